package upstream_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/upstreamtest"
)

// TestDawdlingUploadsLeaveConnectionsForOthers holds every connection that uploads may have.
func TestDawdlingUploadsLeaveConnectionsForOthers(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	u := newUpstream(t, service.URL, func(cfg *upstream.Config) { cfg.Keepalive.MaxConns, cfg.Queue.Wait = 4, 50*time.Millisecond })
	var uploads sync.WaitGroup
	var writers []io.Closer
	for range 3 {
		r, w := io.Pipe()
		writers = append(writers, w)
		uploads.Go(func() {
			req := newRequest("POST", "/")
			setBody(req, r, -1)
			if _, err := u.Do(soon(), req, new(message.Response), 0); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "three uploads are under way", func() bool { return service.OpenConns() == 3 })
	fourth := newRequest("POST", "/")
	r, w := net.Pipe()
	defer w.Close()
	setBody(fourth, r, -1)
	_, err := u.Do(soon(), fourth, new(message.Response), 0)
	wantOverloaded(t, err)
	get(t, u, "/")
	small := newRequest("POST", "/")
	small.Content = []byte("a body that is there")
	if _, err := u.Do(soon(), small, new(message.Response), 0); err != nil {
		t.Errorf("a POST with its body in hand: %v", err)
	}
	for _, w := range writers {
		_ = w.Close()
	}
	uploads.Wait()
	again := newRequest("POST", "/")
	done, finish := io.Pipe()
	_ = finish.Close()
	setBody(again, done, -1)
	if _, err := u.Do(soon(), again, new(message.Response), 0); err != nil {
		t.Errorf("an upload after the others: %v", err)
	}
}
