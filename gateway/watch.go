package gateway

import (
	"context"
	"io"
	"sync"
	"time"

	"wxgate/upstream/http1"
)

// pollInterval is how often the clients of waiting requests are checked, and how long a request waits before the first
// check.
const pollInterval = 100 * time.Millisecond

// watcher detects clients that disconnect while a service works for them or streams to them, and cancels that work. One
// goroutine checks all of them; it runs while there are any. A client that only closes its sending side (shutdown(2))
// cannot be told from one that left, so it too counts as gone once its request is older than pollInterval: see
// docs/decisions.
type watcher struct {
	mu      sync.Mutex
	watched *clientContext // the first of those that are watched; nil: none is
	running bool
}

// clientContext is the context of work for a client that waits for a service: it ends when the client has left. Its
// deadline is that of the head of the answer and cancels nothing by itself: the upstream enforces it, extends it by the
// time it waits for the body of the request, and lets the body of the answer arrive later. It is part of an exchange and
// is used again with it.
type clientContext struct {
	context.Context // for its values
	client          connection
	since           time.Time
	deadline        time.Time

	watched        bool // these three belong to the watcher
	previous, next *clientContext

	mu       sync.Mutex
	gone     bool
	done     chan struct{} // created by Done
	attached io.Closer     // is closed when the context ends; nil: nothing is
}

// Deadline is when the head of the answer is due.
func (x *clientContext) Deadline() (time.Time, bool) { return x.deadline, true }

// Err is context.Canceled once the client has left.
func (x *clientContext) Err() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.gone {
		return context.Canceled
	}
	return nil
}

// Done is closed when the client has left.
func (x *clientContext) Done() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.done == nil {
		x.done = make(chan struct{})
		if x.gone {
			close(x.done)
		}
	}
	return x.done
}

// Attach lets the context close c when it ends, until Detach. At most one closer is attached at a time.
func (x *clientContext) Attach(c io.Closer) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.attached = c; x.gone {
		go c.Close() // nobody uses it any more
	}
}

// Detach undoes Attach. It is false when the context has ended: the closer is closed, or will be at any moment.
func (x *clientContext) Detach() (attached bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.attached = nil
	return !x.gone
}

// cancel ends the context because the client has left.
func (x *clientContext) cancel() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.gone {
		return
	}
	x.gone = true
	if x.done != nil {
		close(x.done)
	}
	if c := x.attached; c != nil {
		go c.Close() // nobody uses it any more
	}
}

// begin makes x the context of another exchange. Nobody else refers to it.
func (x *clientContext) begin(ex *Exchange) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.Context, x.client, x.since = ex.ctx, ex.conn, ex.start
	x.deadline = ex.start.Add(ex.route.timeout + ex.body.clientWait)
	x.gone, x.done, x.attached = false, nil, nil
}

func newWatcher() *watcher { return new(watcher) }

// watch makes ex.waiting the context of the service's work, and watches the client until unwatch, at the end of the
// exchange.
func (w *watcher) watch(ex *Exchange) {
	x := ex.waiting
	x.begin(ex)
	w.mu.Lock()
	defer w.mu.Unlock()
	x.watched, x.previous, x.next = true, nil, w.watched
	if x.next != nil {
		x.next.previous = x
	}
	if w.watched = x; !w.running {
		w.running = true
		go w.poll()
	}
}

// unwatch stops watching, if the client is watched. The context does not end any more.
func (w *watcher) unwatch(ex *Exchange) {
	x := ex.waiting
	if !x.watched { // written by this goroutine alone
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if x.next != nil {
		x.next.previous = x.previous
	}
	if x.previous != nil {
		x.previous.next = x.next
	} else {
		w.watched = x.next
	}
	x.watched, x.previous, x.next = false, nil, nil
	x.client, x.Context = nil, nil // a pool keeps x
}

// poll cancels the work for clients that left, until none is watched.
func (w *watcher) poll() {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for now := range ticker.C {
		old, any := w.watchedSince(now.Add(-pollInterval))
		if !any {
			return
		}
		for x, client := range old {
			if client.PeerGone() {
				w.cancel(x, client)
			}
		}
	}
}

// cancel ends a context, unless it is not watched any more or serves another connection by now.
func (w *watcher) cancel(x *clientContext, client connection) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if x.watched && x.client == client {
		x.cancel()
	}
}

// watchedSince returns the clients watched since before then. any is false when none is watched: the next watch must
// start poll again.
func (w *watcher) watchedSince(then time.Time) (old map[*clientContext]connection, any bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old = make(map[*clientContext]connection)
	for x := w.watched; x != nil; x = x.next {
		if x.since.Before(then) {
			old[x] = x.client
		}
	}
	w.running = w.watched != nil
	return old, w.running
}

var _ http1.ClosingContext = (*clientContext)(nil)
