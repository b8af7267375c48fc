package http1_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/socket"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

func TestMain(m *testing.M) { upstreamtest.Main(m) }

// client is a pool of connections to one service. Its policy is to retry nothing.
type client struct {
	*http1.Pool
	origin http1.Origin
}

// newClient makes the client of a service on loopback; change may alter its configuration.
func newClient(t testing.TB, url string, change ...func(*http1.Config)) *client {
	t.Helper()
	origin, err := http1.ParseOrigin(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg := http1.Config{
		Timeouts:  http1.Timeouts{Connect: 30 * time.Second, Response: 30 * time.Second, Stream: 60 * time.Second, WebSocket: 10 * time.Minute},
		Keepalive: http1.Keepalive{MaxConns: 512, MaxWebSockets: 1024, Idle: 3 * time.Second, ReuseAfterBody: true},
		Dials:     64,
	}
	for _, c := range change {
		c(&cfg)
	}
	cfg.Security, _ = http1.TLS{}.Load()
	c := &client{origin: origin}
	c.Pool = http1.NewPool(origin, origin.Address, cfg, http1.Owner{
		Wait: waitForSlot, Permits: func() chan struct{} { return nil }, Dialed: func(string) {}, Undrained: func() {}, Cohort: new(socket.Cohort), Now: time.Now,
	})
	t.Cleanup(c.Close)
	return c
}

// exchanged is how often a request was sent, and how long that took.
type exchanged struct {
	Attempts int
	Duration time.Duration
}

// Do exchanges a request for its answer, as an upstream does with one target.
func (c *client) Do(req *message.Request, resp *message.Response, deadline time.Time) (exchanged, error) {
	return c.exchange(context.Background(), req, resp, deadline)
}

func (c *client) exchange(ctx context.Context, req *message.Request, resp *message.Response, deadline time.Time) (exchanged, error) {
	began := time.Now()
	var r http1.Request
	r.Reset(req, resp, deadline, 0)
	err := r.Prepare("", c.origin.Name, c.ReuseAfterBody())
	if err == nil {
		r.Deadline = r.Deadline.Add(r.Waited)
		err = c.Exchange(ctx, &r, c)
	}
	return exchanged{r.Sent, time.Since(began) - r.Waited}, err
}

// waitForSlot is a queue without a bound.
func waitForSlot(_ context.Context, _ http1.Limit, slots chan struct{}, removed <-chan struct{}, deadline time.Time) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-removed:
		return fmt.Errorf("%w: %w", http1.ErrUnavailable, http1.ErrRemoved)
	case <-time.After(time.Until(deadline)):
		return fmt.Errorf("%w: %w", http1.ErrUnavailable, http1.ErrOverloaded)
	}
}

func (*client) ReuseAfterBody() bool { return true }

func (*client) RetryElsewhere() bool { return false }

func (*client) Renewed() {}

// newRequest makes a request as the gateway does.
func newRequest(method, target string) *message.Request {
	return &message.Request{Method: method, Target: []byte(target)}
}

// setBody gives req a body that is to arrive, of a size, or in chunks if that is negative.
func setBody(req *message.Request, body io.Reader, size int) {
	req.Body, req.Length = body, int64(size)
}

// soon is a deadline that no good exchange comes near.
func soon() time.Time { return time.Now().Add(30 * time.Second) }

// get sends a GET and fails the test unless it is answered.
func get(t *testing.T, c *client, target string) *message.Response {
	t.Helper()
	resp := new(message.Response)
	if _, err := c.Do(newRequest("GET", target), resp, soon()); err != nil {
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
		http1.ErrConnect, http1.ErrReset, http1.ErrInvalid, http1.ErrTimeout, http1.ErrUnavailable, http1.ErrRequestBody,
	} {
		if !errors.Is(want, other) && errors.Is(err, other) {
			t.Errorf("error %v is also %v", err, other)
		}
	}
}

// eventually polls until ok or half a minute has passed.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := soon(); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}
