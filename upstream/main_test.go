package upstream_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

func TestMain(m *testing.M) { upstreamtest.Main(m) }

// newUpstream makes an upstream for one URL; change may alter its configuration.
func newUpstream(t testing.TB, url string, change ...func(*upstream.Config)) *upstream.Upstream {
	t.Helper()
	cfg := upstream.DefaultConfig()
	cfg.Targets = []upstream.Target{{URL: url, Weight: 1}}
	cfg.Timeouts.Connect = 30 * time.Second // a busy machine takes its time; the tests of time-outs set their own
	for _, c := range change {
		c(&cfg)
	}
	u, err := upstream.New("recipes", cfg, upstream.NewMetrics(prometheus.NewRegistry()), nil)
	if err != nil {
		t.Fatalf("New(%q): %v", url, err)
	}
	t.Cleanup(u.Close)
	return u
}

// newRequest makes a request as the gateway does.
func newRequest(method, target string) *message.Request {
	return &message.Request{Method: method, Target: []byte(target)}
}

// setBody gives req a body that is to arrive, of a size, or in chunks if that is negative.
func setBody(req *message.Request, body io.Reader, size int) {
	req.Body, req.Length = body, int64(size)
}

// within is a context with a deadline that does not end it, as the gateway's is: the body of an answer may come later.
func within(d time.Duration) context.Context { return until{context.Background(), time.Now().Add(d)} }

type until struct {
	context.Context
	at time.Time
}

func (u until) Deadline() (time.Time, bool) { return u.at, true }

// soon has a deadline that no good exchange comes near.
func soon() context.Context { return within(30 * time.Second) }

// get sends a GET and fails the test unless it is answered.
func get(t *testing.T, u *upstream.Upstream, target string) *message.Response {
	t.Helper()
	resp := new(message.Response)
	if _, err := u.Do(soon(), newRequest("GET", target), resp, 0); err != nil {
		t.Fatalf("GET %s: %v", target, err)
	}
	return resp
}

// wantError fails the test unless err is want and none of the other kinds.
func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
	for _, other := range []error{
		http1.ErrConnect, http1.ErrReset, http1.ErrInvalid, http1.ErrTimeout,
		http1.ErrUnavailable, http1.ErrRequestBody,
	} {
		if !errors.Is(want, other) && errors.Is(err, other) {
			t.Errorf("error %v is also %v", err, other)
		}
	}
}

// wantOverloaded fails the test unless err is a bound of ours, which says nothing of the service.
func wantOverloaded(t *testing.T, err error) {
	t.Helper()
	wantError(t, err, http1.ErrUnavailable)
	if !errors.Is(err, http1.ErrOverloaded) {
		t.Errorf("error is %v, want %v", err, http1.ErrOverloaded)
	}
}

// eventually polls until ok or half a minute has passed.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}
