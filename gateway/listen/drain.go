package listen

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	handshakeWait = 100 * time.Millisecond // for the connections that had begun to come in: a round trip
	queueWait     = time.Second            // for the accept loop to take those that wait
	queueLook     = 2 * time.Millisecond
	leaveLinger   = 500 * time.Millisecond // for a client to see that its connection has ended
)

// draining is how far the end of a listener is.
type draining struct {
	lingers atomic.Bool   // a connection that ends is read to the client's end
	leaves  atomic.Bool   // nobody waits for a next request
	accepts atomic.Bool   // there is an accept loop
	ended   chan struct{} // closed when it has ended
}

// Drain accepts what waits to be accepted, closes, and returns when no connection is left or ctx ends. No client is reset:
// those that send the next request get its answer, which must say Connection: close, and the others an orderly end.
func (l *Listener) Drain(ctx context.Context) error {
	l.shared.drain.lingers.Store(true)
	l.acceptRest(ctx)
	err := l.Close()
	ended := ctx.Done()
	if l.shared.drain.accepts.Load() { // until then, one that was accepted may not be counted
		select {
		case <-l.shared.drain.ended:
		case <-ended:
		}
	}
	leave := time.After(l.shared.cfg.NextRequest)
	for ticker := time.NewTicker(wakeEvery); l.open.Load() > 0; {
		select {
		case <-ended:
			ticker.Stop()
			return ctx.Err()
		case <-leave:
			l.shared.drain.leaves.Store(true)
		case <-ticker.C:
		}
		if l.shared.drain.leaves.Load() {
			l.shared.conns.wake()
		}
	}
	return err
}

// acceptRest turns away who only begins to connect, and waits until those are accepted who have connected: the end of a
// listening socket resets them, unless another process has it too.
func (l *Listener) acceptRest(ctx context.Context) {
	if !l.shared.drain.accepts.Load() || l.shared.give.Load() != nil || l.shared.cfg.SharedSocket {
		return
	}
	q, ok := acceptQueueOf(l.Listener)
	if !ok {
		return
	}
	_ = q.shut() // without it a client that connects in the last moment is reset
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
