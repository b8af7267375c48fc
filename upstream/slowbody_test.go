package upstream_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

// slowReader is a body whose second half comes after a while.
type slowReader struct {
	halves [2][]byte
	after  time.Duration
	read   int
}

func (r *slowReader) Read(p []byte) (int, error) {
	if r.read == 2 {
		return 0, io.EOF
	}
	if r.read == 1 && r.after > 0 {
		upstreamtest.Dawdle(r.after)
		r.after = 0
	}
	n := copy(p, r.halves[r.read])
	if r.halves[r.read] = r.halves[r.read][n:]; len(r.halves[r.read]) == 0 {
		r.read++
	}
	return n, nil
}

// slowly makes a POST whose body has that size and takes that time.
func slowly(size int, after time.Duration) *message.Request {
	req := newRequest("POST", "/")
	half := bytes.Repeat([]byte("b"), size/2)
	setBody(req, &slowReader{halves: [2][]byte{half, bytes.Clone(half)}, after: after}, size)
	return req
}

func TestBodiesThatComeLateAreNoFailuresOfTheService(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 40_000} {
		r := newRig(t, 1)
		var late sync.WaitGroup
		for range 25 { // the breaker would open at 20
			late.Go(func() {
				_, err := r.Do(within(time.Second), slowly(size, 2*time.Second), new(message.Response), 0)
				wantError(t, err, http1.ErrSlowBody)
			})
		}
		late.Wait()
		if got := arrived(r.services[0], "POST"); size == 100 && got != 0 {
			t.Errorf("%d late bodies of %d bytes arrived, want none", got, size)
		}
		if who, _ := r.send("GET"); who != "a" {
			t.Errorf("after 25 late bodies of %d bytes a GET got %q, want a's answer", size, who)
		}
		r.want("failures of the target", r.metric("requests_total", "timeout", r.services[0].Addr), 0)
	}
}

// The sender took most of the time, and the service needs most of it too: it has all of its own.
func TestTheTimeOfTheServiceBeginsWhenTheBodyIsThere(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 40_000} {
		t.Run(strconv.Itoa(size), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 1)
			r.services[0].Delay = 2 * time.Second
			r.services[0].Become(t, upstreamtest.Slow)
			u := newUpstream(t, r.services[0].URL) // whose clock goes on
			ex, err := u.Do(within(3*time.Second), slowly(size, 2*time.Second), new(message.Response), 0)
			if err != nil {
				t.Fatalf("a body of %d bytes: %v, want the answer", size, err)
			}
			if ex.Waited < 2*time.Second || ex.Duration < 2*time.Second {
				t.Errorf("the sender had %v and the service %v, want 2 s for each", ex.Waited, ex.Duration)
			}
		})
	}
}

// A deadline that was over before anything was sent says nothing of a target.
func TestADeadlineThatIsOverBeforeTheRequestLeftIsNobodysFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	for range 25 {
		_, err := r.Do(within(-time.Second), newRequest("GET", "/"), new(message.Response), 0)
		if !errors.Is(err, http1.ErrTimeout) {
			t.Fatalf("got %v, want a timeout", err)
		}
	}
	r.want("failures of the target", r.metric("requests_total", "timeout", r.services[0].Addr), 0)
	if who, _ := r.send("GET"); who != "a" {
		t.Errorf("then a GET got %q, want a's answer", who)
	}
}

func TestWithoutADeadlineTheUpstreamsOwnTimeoutsHold(t *testing.T) {
	t.Parallel()
	silent := upstreamtest.Raw(t, func(conn net.Conn, _ int) { _, _ = io.Copy(io.Discard, conn) })
	u := newUpstream(t, silent.URL, func(c *upstream.Config) { c.Timeouts.Response = 50 * time.Millisecond })
	_, err := u.Do(t.Context(), newRequest("GET", "/"), new(message.Response), 0)
	wantError(t, err, http1.ErrTimeout)
}
