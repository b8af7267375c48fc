package listen

import (
	"errors"
	"os"
	"time"
)

// Setting a deadline costs more than judging a head, so it is moved only if it is off by more than this fraction of the
// wait, or by maxSlack: an idle connection may end a second early.
const (
	slackPart = 8
	maxSlack  = time.Second
)

func slack(wait time.Duration) time.Duration { return min(wait/slackPart, maxSlack) }

// readClock knows how long Read may wait for the client.
type readClock struct {
	deadline time.Time     // the one currently set
	head     time.Time     // when the current head began; zero before its first byte
	waited   time.Duration // for the current body
	body     int64         // bytes of the current body
}

// nextBody is called after a complete head.
func (r *readClock) nextBody() { r.head, r.waited, r.body = time.Time{}, 0, 0 }

// fill reads from the client, within the time for what is being waited for.
func (c *Conn) fill(p []byte) (n int) {
	for n == 0 {
		if n = c.fillOnce(p); !c.woken(time.Now()) {
			break
		}
	}
	return n
}

func (c *Conn) fillOnce(p []byte) int {
	now := time.Now()
	wait := c.readTimeout(now)
	if off := now.Add(wait).Sub(c.reads.deadline); off.Abs() > slack(wait) {
		c.reads.deadline = now.Add(wait)
		_ = c.Conn.SetReadDeadline(c.reads.deadline)
	}
	if c.leaves() { // checked after the deadline is set, since wake asks us to leave before it moves the deadline
		return 0
	}
	var n int
	n, c.err = c.Conn.Read(p)
	c.received.Add(int64(n))
	if !c.judge.InHead() {
		c.reads.waited += time.Since(now)
		c.reads.body += int64(n)
	}
	return n
}

// readTimeout is how long the client may be silent from now on. For the rate of a body only the time counts that we
// waited for the client: a slow upstream is not its fault.
func (c *Conn) readTimeout(now time.Time) time.Duration {
	switch {
	case !c.judge.InHead():
		earned := time.Duration(c.reads.body) * time.Second / time.Duration(c.cfg.BodyRate)
		return min(c.cfg.BodyStall, c.cfg.BodyGrace+earned-c.reads.waited)
	case c.reads.head.IsZero() && !c.judge.Started(c.rest):
		return c.cfg.Idle
	case c.reads.head.IsZero():
		c.reads.head = now
	}
	return c.reads.head.Add(c.cfg.ReadHeader).Sub(now)
}

// writeClock knows how long Write may wait for the client.
type writeClock struct {
	deadline time.Time     // the one currently set
	waited   time.Duration // since the client was last fast enough
	taken    int64         // how much it had taken by then
}

// writePiece is how many bytes one deadline covers.
const writePiece = 64 << 10

// Write sends b. Whenever it has waited for Config.WriteStall, in one call or in several, the client must have taken
// Config.WriteRate over that time, or Write fails.
func (c *Conn) Write(b []byte) (int, error) {
	if c.passthrough.Load() {
		return c.send(b)
	}
	if c.noContinue.Swap(false) && string(b) == continueLine {
		return len(b), nil
	}
	done := 0
	for {
		n, err := c.sendInTime(b[done:min(done+writePiece, len(b))])
		done += n
		late := errors.Is(err, os.ErrDeadlineExceeded)
		if done == len(b) || err != nil && !(late && c.fastEnough()) {
			return done, err
		}
	}
}

// sendInTime sends a piece, or as much of it as the client takes in the time left.
func (c *Conn) sendInTime(piece []byte) (int, error) {
	start := time.Now()
	wait := c.cfg.WriteStall - c.writes.waited
	if off := start.Add(wait).Sub(c.writes.deadline); off.Abs() > slack(wait) {
		c.writes.deadline = start.Add(wait)
		_ = c.Conn.SetWriteDeadline(c.writes.deadline)
	}
	n, err := c.send(piece)
	c.writes.waited += time.Since(start)
	return n, err
}

// fastEnough reports whether a client that was waited for took enough. Bytes that it has not acknowledged do not count:
// the buffers of the kernel hold megabytes.
func (c *Conn) fastEnough() bool {
	w := &c.writes
	if w.waited < c.cfg.WriteStall {
		return true
	}
	taken := c.sent.Load() - c.unacknowledged()
	due := int64(c.cfg.WriteStall.Seconds() * float64(c.cfg.WriteRate))
	if taken-w.taken < due {
		return false
	}
	w.waited, w.taken = 0, taken
	return true
}

// continueLine is the interim answer as fasthttp writes it, on its own: a pipelined request is held back until the
// server reads, so the server flushes earlier answers first.
const continueLine = "HTTP/1.1 100 Continue\r\n\r\n"

func (c *Conn) send(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// SetDeadline does nothing until Passthrough: before, the deadlines are those of Config.
func (c *Conn) SetDeadline(t time.Time) error { return c.ifRaw(c.Conn.SetDeadline, t) }

// SetReadDeadline does nothing until Passthrough.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.ifRaw(c.Conn.SetReadDeadline, t) }

// SetWriteDeadline does nothing until Passthrough.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.ifRaw(c.Conn.SetWriteDeadline, t) }

func (c *Conn) ifRaw(set func(time.Time) error, t time.Time) error {
	if !c.passthrough.Load() {
		return nil
	}
	return set(t)
}
