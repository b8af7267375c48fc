package gateway

import (
	"sync"
	"time"

	"wxgate/gateway/listen"
	"wxgate/upstream"
)

// watchEvery is how often waiting clients are looked at, and how long a request waits before it is.
const watchEvery = 100 * time.Millisecond

// watcher notices that clients leave while a service works for them or streams to them, and ends that work. One
// goroutine looks at all of them; it runs while there are any. A client that ends its side alone (shutdown(2)) cannot be
// told from one that left, so it too has left once its request is older than watchEvery: see docs/decisions.
type watcher struct {
	mu      sync.Mutex
	waits   map[*wait]struct{}
	running bool
}

// wait is a client that waits for a service.
type wait struct {
	client *listen.Conn
	since  time.Time
	stop   upstream.Stop
}

func newWatcher() *watcher { return &watcher{waits: make(map[*wait]struct{})} }

// begin watches the client of a request, if it came by a connection of ours. end must follow.
func (w *watcher) begin(client *listen.Conn) *wait {
	x := &wait{client: client, since: time.Now()}
	if client == nil {
		return x
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits[x] = struct{}{}
	if !w.running {
		w.running = true
		go w.look()
	}
	return x
}

// end stops watching, unless the body of the answer still flows: then that is watched to its end.
func (w *watcher) end(x *wait, ex *Exchange) {
	if ex.ending == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.waits, x)
	}
}

// look ends the work for clients that left, until nobody waits any more.
func (w *watcher) look() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for now := range ticker.C {
		old, any := w.olderThan(now.Add(-watchEvery))
		if !any {
			return
		}
		for _, x := range old {
			if x.client.PeerGone() {
				x.stop.Now()
			}
		}
	}
}

// olderThan forgets what has ended, and gives those who wait since before then. any is false when nobody waits: the
// next one must start look anew.
func (w *watcher) olderThan(then time.Time) (old []*wait, any bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.waits {
		switch {
		case x.stop.Ended():
			delete(w.waits, x)
		case x.since.Before(then):
			old = append(old, x)
		}
	}
	w.running = len(w.waits) > 0
	return old, w.running
}
