package load

import (
	"bytes"
	"time"

	"golang.org/x/sys/unix"

	"wxgate/bench/epoll"
	"wxgate/bench/framing"
)

// largeBuffer reads an answer of many kilobytes with few system calls.
const largeBuffer = 256 << 10

// conn is one connection with at most one request in flight.
type conn struct {
	fd      int // -1 once it has ended
	due     time.Time
	waiting bool // for an answer

	head    []byte // reused
	out     []byte // what is still to be written of the head, or of a piece of content
	content int    // bytes of content still to be written behind it
	polled  bool   // for writing

	in     []byte
	filled int // of in
	inBody bool
	body   framing.Body
	status int
	last   bool // the server closes it after this answer
}

// pump writes what there is to write, and reports false when the connection has failed.
func (c *conn) pump(poll *epoll.Poll, piece []byte) bool {
	for len(c.out) > 0 || c.content > 0 {
		if len(c.out) == 0 {
			c.out = piece[:min(c.content, len(piece))]
			c.content -= len(c.out)
		}
		n, err := unix.Write(c.fd, c.out)
		if n > 0 {
			c.out = c.out[n:]
		}
		if epoll.Again(err) {
			c.polled = true
			return poll.WaitToWrite(c.fd) == nil
		}
		if err != nil {
			return false
		}
	}
	if c.polled {
		c.polled = false
		return poll.WaitToRead(c.fd) == nil
	}
	return true
}

// read takes what has arrived. It reports whether an answer is complete, and whether the connection still works.
func (c *conn) read() (complete, ok bool) {
	if c.filled == len(c.in) {
		c.in = append(c.in, make([]byte, len(c.in))...)
	}
	n, err := unix.Read(c.fd, c.in[c.filled:])
	if epoll.Again(err) {
		return false, true
	}
	if err != nil || n <= 0 {
		return false, false
	}
	c.filled += n
	if !c.inBody && !c.readHead() {
		return false, true
	}
	used, _ := c.body.Feed(c.in[:c.filled])
	c.drop(used)
	c.inBody = !c.body.Done()
	return !c.inBody, true
}

// readHead reports whether the head is complete; then the buffer begins with the body.
func (c *conn) readHead() bool {
	end := framing.HeadEnd(c.in[:c.filled])
	if end < len("HTTP/1.1 200") {
		return false
	}
	head := c.in[:end]
	c.status = int(head[9]-'0')*100 + int(head[10]-'0')*10 + int(head[11]-'0')
	c.last = bytes.EqualFold(framing.Header(head, "connection"), []byte("close"))
	c.body, c.inBody = framing.BodyOf(head), true
	c.drop(end)
	if len(c.in) < largeBuffer && c.body.Left > 16<<10 {
		c.in = append(make([]byte, 0, largeBuffer), c.in[:c.filled]...)[:largeBuffer]
	}
	return true
}

func (c *conn) drop(n int) {
	copy(c.in, c.in[n:c.filled])
	c.filled -= n
}
