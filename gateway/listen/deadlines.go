package listen

import (
	"errors"
	"os"
	"time"

	"wxgate/socket"
)

// Setting a deadline costs more than judging a head, so it is moved only if it is off by more than this fraction of the
// wait, or by maxSlack: an idle connection may end a second early.
const (
	slackPart = 8
	maxSlack  = time.Second
)

// Slack is by how much a deadline may be off that lies wait ahead.
func Slack(wait time.Duration) time.Duration { return min(wait/slackPart, maxSlack) }

// readClock knows how long a read may wait for the client.
type readClock struct {
	deadline time.Time     // the one currently set
	head     time.Time     // when the current head began; zero before its first byte
	waited   time.Duration // for the current body
	body     int64         // bytes of the current body
}

// nextBody is called after a complete head.
func (r *readClock) nextBody() { r.head, r.waited, r.body = time.Time{}, 0, 0 }

// setDeadline bounds the next read, which begins now.
func (r *reader) setDeadline() (now time.Time) {
	now = time.Now()
	wait := r.timeout(now)
	if off := now.Add(wait).Sub(r.clock.deadline); off.Abs() > Slack(wait) {
		r.clock.deadline = now.Add(wait)
		_ = r.client.SetReadDeadline(r.clock.deadline)
	}
	return now
}

// maxEarned is more seconds than any upload takes.
const maxEarned = 1e9

// BodyWait returns how long the client may be silent within a body of which so many bytes have come, after we have waited for
// it so long: a slow upstream is not its fault.
func (c *Config) BodyWait(bytes int64, waited time.Duration) time.Duration {
	earned := time.Duration(min(float64(bytes)/float64(c.BodyRate), maxEarned) * float64(time.Second))
	return min(c.BodyStall, c.BodyGrace+earned-waited)
}

// timeout is how long the client may be silent from now on. For the rate of a body only the time counts that we waited
// for the client: a slow upstream is not its fault.
func (r *reader) timeout(now time.Time) time.Duration {
	switch {
	case r.BodyRemaining():
		return r.cfg.BodyWait(r.clock.body, r.clock.waited)
	case r.clock.head.IsZero() && !r.started():
		return r.cfg.Idle
	case r.clock.head.IsZero():
		r.clock.head = now
	}
	return r.clock.head.Add(r.cfg.ReadHeader).Sub(now)
}

// started reports whether the client has begun a request.
func (r *reader) started() bool { return r.judge.Started(r.unread()) }

// tooSlow reports whether reading a head ended because the client took too long for it. A silent client only leaves.
func (r *reader) tooSlow() bool { return errors.Is(r.err, os.ErrDeadlineExceeded) && r.started() }

// woken reports whether a wait was interrupted, and gets ready for the next one.
func (r *reader) woken(now time.Time) bool {
	if !errors.Is(r.err, os.ErrDeadlineExceeded) || !now.Before(r.clock.deadline) {
		return false
	}
	r.err, r.clock.deadline = nil, time.Time{}
	return true
}

// writeClock knows how long a write may wait for the client.
type writeClock struct {
	deadline time.Time     // the one currently set
	waited   time.Duration // since the client was last fast enough
	taken    int64         // how much it had taken by then
}

// writePiece is how many bytes of one part one deadline covers.
const writePiece = 64 << 10

// write sends head and then body. Whenever it has waited for Config.WriteStall, in one call or in several, the client
// must have taken Config.WriteRate over that time, or write fails.
func (w *writer) write(head, body []byte) error {
	if w.secure {
		n, err := w.send(head, body) // which is in time below TLS
		w.sent += int64(n)
		return err
	}
	w.cohort.Join()
	if len(head) == 0 {
		head, body = body, nil
	}
	if len(body) == 0 {
		n, err := w.tryWrite(head)
		if head = head[n:]; err != nil {
			return err
		}
	}
	for len(head) > 0 {
		first, second := head[:min(writePiece, len(head))], body[:0]
		if len(first) == len(head) {
			second = body[:min(writePiece, len(body))]
		}
		n, err := w.writeInTime(first, second)
		if n < len(head) {
			head = head[n:]
		} else {
			head, body = body[n-len(head):], nil
		}
		if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || w.timed.Load() || w.isTooSlow()) {
			return err
		}
	}
	return nil
}

// tryWrite sends what goes without waiting, for which no deadline is needed.
func (w *writer) tryWrite(b []byte) (n int, err error) {
	if plain, ok := w.client.(*socket.Conn); ok {
		n, err = plain.TryWrite(b)
		w.sent += int64(n)
	}
	return n, err
}

// writeInTime sends as much as the client takes in the time left.
func (w *writer) writeInTime(head, body []byte) (int, error) {
	start := time.Now()
	wait := w.cfg.WriteStall - w.clock.waited
	if off := start.Add(wait).Sub(w.clock.deadline); off.Abs() > Slack(wait) {
		w.clock.deadline = start.Add(wait)
		_ = w.client.SetWriteDeadline(w.clock.deadline)
	}
	n, err := w.send(head, body)
	w.sent += int64(n)
	w.clock.waited += time.Since(start)
	return n, err
}

// isTooSlow reports whether a client that was waited for has not taken enough.
func (w *writer) isTooSlow() bool { return w.clock.waited >= w.cfg.WriteStall && !w.keepsUp() }

// keepsUp reports whether the client has taken Config.WriteRate since it last did, and if so, starts anew. Bytes that it
// has not acknowledged do not count: the buffers of the kernel hold megabytes.
func (w *writer) keepsUp() bool {
	taken := w.sent - w.unacknowledged()
	if float64(taken-w.clock.taken) < w.clock.waited.Seconds()*float64(w.cfg.WriteRate) {
		return false
	}
	w.clock.waited, w.clock.taken = 0, taken
	return true
}
