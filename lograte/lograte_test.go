package lograte_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/lograte"
)

// clock is moved by the test.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newLog() (*lograte.Log, *clock, *bytes.Buffer) {
	c, out := &clock{time.Unix(1_000_000, 0)}, new(bytes.Buffer)
	plain := slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	return lograte.New(plain, c.now), c, out
}

func TestAFloodOfOneKindIsALineASecondThatTellsHowManyWereLeftOut(t *testing.T) {
	t.Parallel()
	log, c, out := newLog()
	flood := lograte.Kind{Message: "request failed", Reason: "overloaded", Upstream: "recipes"}
	for i := range 2001 {
		log.Error(flood, "n", i)
		c.at = c.at.Add(time.Millisecond)
	}
	want := `level=ERROR msg="request failed" n=0 reason=overloaded upstream=recipes
level=ERROR msg="request failed" n=1000 reason=overloaded upstream=recipes left_out=999
level=ERROR msg="request failed" n=2000 reason=overloaded upstream=recipes left_out=999
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestOneKindDoesNotHideAnother(t *testing.T) {
	t.Parallel()
	log, _, out := newLog()
	for range 3 {
		log.Error(lograte.Kind{Message: "request failed", Reason: "overloaded", Upstream: "recipes"})
		log.Error(lograte.Kind{Message: "request failed", Reason: "overloaded", Upstream: "users"})
		log.Error(lograte.Kind{Message: "request failed", Reason: "internal"})
		log.Warn(lograte.Kind{Message: "admin request refused"}, "from", "127.0.0.1:1")
	}
	if n := strings.Count(out.String(), "\n"); n != 4 {
		t.Errorf("got %d lines, want one of each of 4 kinds:\n%s", n, out)
	}
}

func TestAClockThatWasSetBackDoesNotSilenceTheLog(t *testing.T) {
	t.Parallel()
	log, c, out := newLog()
	log.Warn(lograte.Kind{Message: "x"})
	c.at = c.at.Add(-time.Hour)
	log.Warn(lograte.Kind{Message: "x"})
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("got %d lines, want 2:\n%s", n, out)
	}
}

func TestLinesFromManyGoroutinesAreCounted(t *testing.T) {
	t.Parallel()
	log, c, out := newLog()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				log.Warn(lograte.Kind{Message: "x"})
			}
		})
	}
	all.Wait()
	c.at = c.at.Add(time.Second)
	log.Warn(lograte.Kind{Message: "x"})
	if want := "level=WARN msg=x\nlevel=WARN msg=x left_out=799\n"; out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestAGateLetsOneLinePassInATime(t *testing.T) {
	t.Parallel()
	var g lograte.Gate
	at := time.Unix(1_000_000, 0)
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {0, false}, {59 * time.Second, false}, {time.Second, true}, {time.Second, false}, {-time.Hour, true}, {0, false}} {
		at = at.Add(step.after)
		if got := g.Pass(at, time.Minute); got != step.want {
			t.Errorf("at %v: got %v, want %v", at, got, step.want)
		}
	}
	var all sync.WaitGroup
	var passed atomic.Int64
	for range 8 {
		all.Go(func() {
			if g.Pass(at.Add(time.Hour), time.Minute) {
				passed.Add(1)
			}
		})
	}
	if all.Wait(); passed.Load() != 1 {
		t.Errorf("%d of 8 passed at a time, want 1", passed.Load())
	}
}
