package upstream_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/upstream"
	"wxgate/upstream/upstreamtest"
)

// lines is a log that a test reads while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write is for slog.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// with gives the lines that hold all the words.
func (l *lines) with(words ...string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
next:
	for line := range strings.Lines(l.text.String()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// once fails the test unless exactly one line holds all the words.
func (r *rig) once(words ...string) {
	r.t.Helper()
	if got := r.log.with(words...); len(got) != 1 {
		r.t.Errorf("%d lines with %q, want one; all:\n%s", len(got), words, r.log.with())
	}
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func TestTheLogTellsOfAnEjectionAndItsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *upstream.Config) { c.Retries.Attempts = 0 })
	bad := r.services[0]
	bad.Become(t, upstreamtest.Down)
	_ = r.answers("GET", 30)
	r.once("level=WARN", `msg="address ejected"`, "upstream=recipes", "target="+bad.Addr, "address="+bad.Addr, "for=10s",
		`why="5 failures in a row, the last: 503"`)
	bad.Become(t, upstreamtest.Hangup)
	r.move(11 * time.Second)
	_ = r.answers("GET", 30)
	r.once(`msg="address ejected"`, "for=20s", `the last: reset"`)
	bad.Become(t, upstreamtest.Well)
	r.move(21 * time.Second)
	_ = r.answers("GET", 30)
	r.once("level=INFO", `msg="address back from ejection"`, "upstream=recipes", "target="+bad.Addr, "address="+bad.Addr)
	r.want("lines of 90 requests", len(r.log.with()), 3)
}

func TestTheLogTellsWhatHealthChecksFind(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, func(c *upstream.Config) {
		c.Health = upstream.Health{Path: "/healthz", Interval: time.Millisecond, Timeout: time.Second, UnhealthyAfter: 3, HealthyAfter: 2}
	})
	a := r.services[0]
	a.Become(t, upstreamtest.Down)
	eventually(t, "a is out", func() bool { return len(r.log.with("address unhealthy")) == 1 })
	r.once("level=WARN", "upstream=recipes", "address="+a.Addr, "failed=3", `error="status 503"`)
	a.Become(t, upstreamtest.Well)
	eventually(t, "a is back", func() bool { return len(r.log.with("address healthy again")) == 1 })
	r.once("address healthy again", "address="+a.Addr, `why="2 health checks succeeded"`)
	a.Become(t, upstreamtest.Refusing)
	eventually(t, "a is out again", func() bool { return len(r.log.with("address unhealthy", "refused")) == 1 })
	r.reconfigure(func(c *upstream.Config) { c.Health.Path = "" })
	r.once("address healthy again", "address="+a.Addr, `why="health checks are off"`)
	r.want("lines", len(r.log.with()), 4)
}

func TestTheLogTellsWhenTheBreakerTurns(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	r.services[0].Become(t, upstreamtest.Down)
	_ = r.answers("GET", 100)
	r.once("level=WARN", `msg="breaker open"`, "upstream=recipes", `why="20 of 20 requests failed within 10s"`)
	r.move(6 * time.Second)
	_ = r.answers("GET", 10)
	r.want("lines while it stays open", len(r.log.with()), 1)
	r.services[0].Become(t, upstreamtest.Well)
	r.move(6 * time.Second)
	_ = r.answers("GET", 10)
	r.once("level=INFO", `msg="breaker closed"`, "upstream=recipes", `why="3 requests succeeded"`)
	r.want("lines", len(r.log.with()), 2)
}

func TestTheLogTellsOnceThatANameIsLostAndFound(t *testing.T) {
	t.Parallel()
	var n names
	n.set(nil, "127.0.0.1")
	r := named(t, &n)
	eventually(t, "the name is known", func() bool { return len(r.log.with("addresses of a target", "127.0.0.1")) == 1 })
	n.set(errors.New("no name server"))
	eventually(t, "look-ups fail", func() bool { return r.metric("dns_failures_total") >= 5 })
	r.once("level=WARN", `msg="look-up failed"`, "upstream=recipes", "target=recipes.example", `error="no name server"`, "addresses_kept=1")
	n.set(nil, "127.0.0.2")
	eventually(t, "the name is found", func() bool { return len(r.log.with("look-up works again", "upstream=recipes")) == 1 })
	eventually(t, "the name has moved", func() bool { return len(r.log.with("addresses of a target", "127.0.0.2")) == 1 })
	r.want("lines", len(r.log.with()), 4)
}
