package upstream_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

// dying runs a service that answers until it dies; then it reads every request and closes its connection without a
// word.
func dying(t *testing.T, dead *atomic.Bool) *upstreamtest.Service {
	var s *upstreamtest.Service
	ready := make(chan struct{})
	s = upstreamtest.Raw(t, func(conn net.Conn, n int) {
		<-ready
		br := bufio.NewReader(conn)
		for {
			if _, err := s.Receive(br, n); err != nil || dead.Load() {
				return
			}
			_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "hi"))
		}
	})
	close(ready)
	return s
}

// A request that meets a dead connection goes once more to the same target, and only one of its attempts does: with
// many targets that are ending, each GET would arrive twice at each otherwise.
func TestAGetThatMeetsDeadConnectionsEverywhereIsRenewedOnceAltogether(t *testing.T) {
	t.Parallel()
	var dead atomic.Bool
	services := []*upstreamtest.Service{dying(t, &dead), dying(t, &dead), dying(t, &dead)}
	r := newRig(t, 0, func(c *upstream.Config) {
		for _, s := range services {
			c.Targets = append(c.Targets, upstream.Target{URL: s.URL, Weight: 1})
		}
		c.Timeouts.Connect = 30 * time.Second
		c.Retries = upstream.Retries{Attempts: 2, Budget: 1, TryTimeout: 30 * time.Second}
	})
	for range services { // each has a connection that is kept
		r.send("GET")
	}
	dead.Store(true)
	_, err := r.Do(soon(), newRequest("GET", "/dead"), new(message.Response), 0)
	wantError(t, err, http1.ErrReset)
	total := 0
	for i, s := range services {
		n := s.Count("GET", "/dead", "")
		if total += n; n == 0 || s.Count("GET", "/", "") != 1 {
			t.Errorf("target %d got the request %d times, want it to be tried, on a connection that was kept", i, n)
		}
	}
	r.want("requests that arrived: one for each target, and one again", total, len(services)+1)
	r.want("requests that went again", r.metric("retries_total", "dead_connection"), 1.0)
}

func TestTheSpanOfAnAttemptTellsOfADeadConnection(t *testing.T) {
	t.Parallel()
	var dead atomic.Bool
	s := dying(t, &dead)
	r := newRig(t, 0, func(c *upstream.Config) { c.Targets = []upstream.Target{{URL: s.URL, Weight: 1}} })
	r.send("GET")
	dead.Store(true)
	recorder := tracetest.NewSpanRecorder()
	ctx, request := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("").Start(soon(), "request")
	defer request.End()
	_, err := r.Do(ctx, newRequest("GET", "/dead"), new(message.Response), 0)
	wantError(t, err, http1.ErrReset)
	var got []attribute.KeyValue
	for _, attempt := range recorder.Ended() {
		got = append(got, attempt.Attributes()...)
	}
	if !slices.Contains(got, attribute.Bool("wxgate.dead_connection", true)) {
		t.Errorf("the attempts say %v, want that the connection was dead", got)
	}
}

// What came too late to be sent on a connection that was kept says nothing of the target either.
func TestADeadlineThatIsOverBeforeAKeptConnectionTookTheRequestIsNobodysFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	r.send("GET")
	for range 25 {
		_, err := r.Do(within(-time.Second), newRequest("GET", "/late"), new(message.Response), 0)
		if !errors.Is(err, http1.ErrTimeout) {
			t.Fatalf("got %v, want a timeout", err)
		}
		if who, _ := r.send("GET"); who != "a" { // on a connection that the next one finds
			t.Fatalf("then a GET got %q, want a's answer: nothing opens the breaker", who)
		}
	}
	r.want("failures of the target", r.metric("requests_total", "timeout", r.services[0].Addr), 0.0)
	r.want("requests that arrived late", r.services[0].Count("GET", "/late", ""), 0)
}

// A sender that announces more than it sends is at fault itself, and its request is not tried again.
func TestABodyShorterThanItsLengthIsItsSendersFault(t *testing.T) {
	t.Parallel()
	for name, announced := range map[string]int{"small": 1000, "long": 100_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 2)
			for range 25 {
				req := newRequest("PUT", "/short")
				setBody(req, io.LimitReader(strings.NewReader(strings.Repeat("b", announced)), int64(announced-1)), announced)
				_, err := r.Do(soon(), req, new(message.Response), 0)
				wantError(t, err, http1.ErrRequestBody)
			}
			for _, s := range r.services {
				for _, req := range s.Requests() {
					if req.Method == "PUT" && len(req.Body) >= announced {
						t.Errorf("a short body looked whole to %s", s.Addr)
					}
				}
				r.want("failures", r.metric("requests_total", "reset", s.Addr)+r.metric("requests_total", "timeout", s.Addr), 0.0)
			}
			r.want("answers afterwards", r.answers("GET", 4), map[string]int{"a": 2, "b": 2})
		})
	}
}
