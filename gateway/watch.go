package gateway

import (
	"context"
	"sync"
	"time"

	"wxgate/gateway/listen"
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
	watched map[*clientContext]struct{}
	running bool
}

// clientContext is the context of work for a client that waits for a service: it ends when the client has left. Its
// deadline is that of the head of the answer and cancels nothing by itself: the upstream enforces it, extends it by the
// time it waits for the body of the request, and lets the body of the answer arrive later.
type clientContext struct {
	context.Context // for its values
	client          *listen.Conn
	since           time.Time
	deadline        time.Time

	mu        sync.Mutex
	gone      bool
	done      chan struct{} // created by Done
	callbacks []func()      // registered by AfterFunc; nil: stopped
	inline    [1]func()     // backing array for one callback, nearly always enough
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

// AfterFunc implements context.AfterFunc, which would otherwise cost every request several allocations.
func (x *clientContext) AfterFunc(f func()) (stop func() bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	i := len(x.callbacks)
	if x.callbacks = append(x.callbacks, f); x.gone {
		go f()
	}
	return func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		pending := !x.gone && x.callbacks[i] != nil
		x.callbacks[i] = nil
		return pending
	}
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
	for _, f := range x.callbacks {
		if f != nil {
			go f()
		}
	}
}

func newWatcher() *watcher { return &watcher{watched: make(map[*clientContext]struct{})} }

// watch watches the client of a request, if its connection is one of ours. unwatchUnlessStreaming must follow.
func (w *watcher) watch(ex *Exchange) *clientContext {
	x := &clientContext{Context: ex.ctx, client: ex.conn, since: time.Now(), deadline: ex.start.Add(ex.route.timeout + ex.body.clientWait)}
	x.callbacks = x.inline[:0]
	if x.client == nil {
		return x
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.watched[x] = struct{}{}
	if !w.running {
		w.running = true
		go w.poll()
	}
	return x
}

// unwatchUnlessStreaming stops watching, unless the body of the answer is still being sent: trackBody then stops it at
// the end.
func (w *watcher) unwatchUnlessStreaming(x *clientContext, ex *Exchange) {
	if ex.streamed == nil {
		w.unwatch(x)
	}
}

func (w *watcher) unwatch(x *clientContext) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watched, x)
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
		for _, x := range old {
			if x.client.PeerGone() {
				x.cancel()
			}
		}
	}
}

// watchedSince returns the clients watched since before then. any is false when none is watched: the next watch must
// start poll again.
func (w *watcher) watchedSince(then time.Time) (old []*clientContext, any bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for x := range w.watched {
		if x.since.Before(then) {
			old = append(old, x)
		}
	}
	w.running = len(w.watched) > 0
	return old, w.running
}
