package gateway

import (
	"context"
	"sync"
	"time"

	"wxgate/gateway/listen"
)

// watchEvery is how often waiting clients are looked at, and how long a request waits before it is.
const watchEvery = 100 * time.Millisecond

// watcher notices that clients leave while a service works for them or streams to them, and ends that work. One
// goroutine looks at all of them; it runs while there are any. A client that ends its side alone (shutdown(2)) cannot
// be told from one that left, so it too has left once its request is older than watchEvery: see docs/decisions.
type watcher struct {
	mu      sync.Mutex
	waits   map[*wait]struct{}
	running bool
}

// wait is a client that waits for a service, and the context of what is done for it: it ends when the client has left.
// Its deadline is that of the answer's head and ends nothing by itself: the upstream keeps it, adds what it waits for
// the client's body, and lets the body of the answer come later.
type wait struct {
	context.Context // whose values it has
	client          *listen.Conn
	since           time.Time
	deadline        time.Time

	mu    sync.Mutex
	left  bool
	done  chan struct{} // made when it is asked for
	after []func()      // what AfterFunc was given; nil: stopped
	first [1]func()     // room for the one that there is nearly always
}

// Deadline is when the head of the answer must be there.
func (x *wait) Deadline() (time.Time, bool) { return x.deadline, true }

// Err is context.Canceled once the client has left.
func (x *wait) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.left {
		return context.Canceled
	}
	return nil
}

// Done is closed when the client has left.
func (x *wait) Done() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done == nil {
		x.done = make(chan struct{})
		if x.left {
			close(x.done)
		}
	}
	return x.done
}

// AfterFunc is context.AfterFunc, which would cost every request a handful of allocations.
func (x *wait) AfterFunc(f func()) (stop func() bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := len(x.after)
	if x.after = append(x.after, f); x.left {
		go f()
	}
	return func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		pending := !x.left && x.after[i] != nil
		x.after[i] = nil
		return pending
	}
}

// leave ends the context: the client has left.
func (x *wait) leave() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.left {
		return
	}
	x.left = true
	if x.done != nil {
		close(x.done)
	}
	for _, f := range x.after {
		if f != nil {
			go f()
		}
	}
}

func newWatcher() *watcher { return &watcher{waits: make(map[*wait]struct{})} }

// begin watches the client of a request, if it came by a connection of ours. end must follow.
func (w *watcher) begin(ex *Exchange) *wait {
	x := &wait{Context: ex.ctx, client: ex.conn, since: time.Now(), deadline: ex.start.Add(ex.route.timeout + ex.body.waited)}
	x.after = x.first[:0]
	if x.client == nil {
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
		w.forget(x)
	}
}

func (w *watcher) forget(x *wait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waits, x)
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
				x.leave()
			}
		}
	}
}

// olderThan gives those who wait since before then. any is false when nobody waits: the next one must start look anew.
func (w *watcher) olderThan(then time.Time) (old []*wait, any bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.waits {
		if x.since.Before(then) {
			old = append(old, x)
		}
	}
	w.running = len(w.waits) > 0
	return old, w.running
}
