package upstream_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

func TestAServiceWithoutAnAddressIsAConnectError(t *testing.T) {
	t.Parallel()
	_, err := newUpstream(t, "http://no-such-service.invalid:3000").Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	wantError(t, err, http1.ErrConnect)
}

func TestAFullPoolIsUnavailable(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		<-release
		return upstreamtest.OK("text/plain", "hi")
	})
	u := newUpstream(t, service.URL, func(c *upstream.Config) { c.Keepalive.MaxConns, c.Queue.Wait = 2, 50*time.Millisecond })
	var busy sync.WaitGroup
	for range 2 {
		busy.Go(func() { _, _ = u.Do(soon(), newRequest("GET", "/busy"), new(message.Response), 0) })
	}
	eventually(t, "two requests are being served", func() bool { return len(service.Requests()) == 2 })
	ex, err := u.Do(soon(), newRequest("GET", "/more"), new(message.Response), 0)
	wantOverloaded(t, err)
	if ex.Attempts != 0 {
		t.Errorf("%d attempts, want 0", ex.Attempts)
	}
	close(release)
	busy.Wait()
	get(t, u, "/again")
	if got := service.Conns(); got != 2 {
		t.Errorf("the service has seen %d connections, want 2", got)
	}
}

// A request that waits gives its place in the queue up when its client leaves.
func TestWhoWaitsForAConnectionLeavesWithItsContext(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, func(c *upstream.Config) { c.Keepalive.MaxConns, c.Queue.Wait = 1, 30*time.Second })
	r.services[0].Become(t, upstreamtest.Frozen)
	var busy sync.WaitGroup
	busy.Go(func() { _, _ = r.send("GET") })
	eventually(t, "a request is being served", func() bool { return len(r.services[0].Requests()) == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := r.Do(ctx, newRequest("GET", "/"), new(message.Response), 0)
		left <- err
	}()
	eventually(t, "another one waits", func() bool { return r.metric("queue_length") == 1 })
	began := time.Now()
	cancel()
	wantError(t, <-left, http1.ErrStopped)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it left after %v", took)
	}
	r.want("requests that wait", r.metric("queue_length"), 0)
	r.want("attempts that were stopped", r.metric("requests_total", "stopped"), 1)
	r.services[0].Become(t, upstreamtest.Well)
	busy.Wait()
}

func TestAShortQueueForConnectionsIsServed(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	u := newUpstream(t, service.URL, func(c *upstream.Config) {
		c.Keepalive.MaxConns = 2
		c.Queue.Wait = 10 * time.Second // a busy test machine may stop us for longer than the default
	})
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 50 {
				if _, err := u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := service.Conns(); got > 2 {
		t.Errorf("the service has seen %d connections, want at most 2", got)
	}
}

func TestCloseEndsIdleConnectionsAtOnceAndBusyOnesAfterTheirAnswer(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	service := upstreamtest.HTTP(t, func(req upstreamtest.Request) string {
		if req.Target == "/busy" {
			<-release
		}
		return upstreamtest.OK("text/plain", "hi")
	})
	u := newUpstream(t, service.URL)
	busy := make(chan error)
	go func() {
		_, err := u.Do(soon(), newRequest("GET", "/busy"), new(message.Response), 0)
		busy <- err
	}()
	eventually(t, "a request is being served", func() bool { return len(service.Requests()) == 1 })
	get(t, u, "/")
	u.Close()
	u.Close()
	eventually(t, "only the busy connection is open", func() bool { return service.OpenConns() == 1 })
	close(release)
	if err := <-busy; err != nil {
		t.Errorf("the request in flight failed: %v", err)
	}
	eventually(t, "no connection is open", func() bool { return service.OpenConns() == 0 })
	_, err := u.Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	wantError(t, err, http1.ErrUnavailable)
}

func TestErrorsAreLoggedWithTheUpstreamsName(t *testing.T) {
	t.Parallel()
	_, err := newUpstream(t, upstreamtest.Refused(t)).Do(soon(), newRequest("GET", "/"), new(message.Response), 0)
	if !errors.Is(err, http1.ErrConnect) || !strings.HasPrefix(err.Error(), "recipes: upstream connect: ") {
		t.Errorf("error is %q, want it to begin with the name and the kind", err)
	}
}
