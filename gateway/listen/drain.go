package listen

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	handshakeWait = 100 * time.Millisecond // for connections that were just being established: a round trip
	queueWait     = time.Second            // for the accept loop to take those that are waiting
	queueLook     = 2 * time.Millisecond
	leaveLinger   = 500 * time.Millisecond // for a client to see that its connection has ended
)

// draining is how far the drain of a listener has come.
type draining struct {
	lingers atomic.Bool   // a connection that ends is read to the client's end
	leaves  atomic.Bool   // no connection waits for a next request
	accepts atomic.Bool   // there is an accept loop
	ended   chan struct{} // closed when it has ended
}

// Drain accepts the connections that are waiting, closes the listener, and returns when no connection is left or ctx
// ends. No client is reset: a client that sends its next request gets the answer, which must say Connection: close, and
// all others get an orderly end.
func (l *Listener) Drain(ctx context.Context) error {
	l.shared.drain.lingers.Store(true)
	l.acceptRest(ctx)
	err := l.Close()
	ended := ctx.Done()
	if l.shared.drain.accepts.Load() { // until then an accepted connection may not be counted yet
		select {
		case <-l.shared.drain.ended:
		case <-ended:
		}
	}
	leave := time.After(l.shared.cfg.NextRequest)
	for ticker := time.NewTicker(wakeEvery); l.places.taken.Load() > 0; {
		select {
		case <-ended:
			ticker.Stop()
			return ctx.Err()
		case <-leave:
			l.shared.drain.leaves.Store(true)
		case <-ticker.C:
		}
		l.shared.goAway() // each time: a handshake may just have ended
		if l.shared.drain.leaves.Load() {
			l.shared.conns.wake()
		}
	}
	return err
}

// Abort cuts every connection that is left.
func (l *Listener) Abort() { l.shared.conns.abort() }

// Wait returns when no connection is being served.
func (l *Listener) Wait() { l.serving.Wait() }

// acceptRest turns new connections away, and waits until those that are established are accepted: closing a listening
// socket resets them, unless another process holds it, too.
func (l *Listener) acceptRest(ctx context.Context) {
	if !l.shared.drain.accepts.Load() || l.shared.give.Load() != nil || l.shared.cfg.SharedSocket {
		return
	}
	q, ok := acceptQueueOf(l.accepting)
	if !ok {
		return
	}
	_ = q.shut() // without this a client that connects at the last moment is reset
	wait := time.NewTimer(handshakeWait)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return
	}
	for end := time.Now().Add(queueWait); !q.empty() && time.Now().Before(end); {
		wait.Reset(queueLook)
		<-wait.C
	}
}
