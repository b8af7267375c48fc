package http1

import "time"

// A service that does not read the content of a request takes it for the next request on that connection: what stands
// there was written by a client, with any X-User-Id it likes, and whoever uses the connection next gets its answer. So
// content of methods that have none by their meaning goes out with Connection: close (RFC 9112 §9.6 ends reading
// there), and connections that carried any other content are watched. Bytes that nobody asked for mark the service:
// from then on all of its content goes out so.

// watchFor is how long a connection is watched after a request with content before it serves anybody else: a service
// that takes the content for a request answers it right behind the first answer.
const watchFor = 50 * time.Millisecond

// watchedLook is how many of the connections that are watched are looked through for one of the same user's.
const watchedLook = 16

// recordRequest records that c carries r, and reports whether it is the last that c carries. share is whether other
// requests may follow content on a connection; most is how many requests one carries, 0 for any number.
func (c *conn) recordRequest(r *Request, share bool, most int) (last bool) {
	c.served++
	if c.content = r.content; c.content {
		c.carriedContent, c.user = true, r.User
		if r.share && !share { // the service was marked since the head was written
			r.share = false
			r.rewrite()
		}
	}
	return r.last || most > 0 && c.served >= most
}

// spokeUnasked reports whether the service has said something that belongs to no request. Closing the connection is not
// that.
func (c *conn) spokeUnasked() bool {
	if !c.quiet() && len(c.in.buffered()) == 0 {
		_ = c.readUntil(time.Now().Add(time.Millisecond)) // what lies there may be a session ticket of TLS
		_ = c.in.fill()
	}
	return len(c.in.buffered()) > 0
}

// drop closes an idle connection, and looks first whether the service has said something on it.
func (p *Pool) drop(c *conn) {
	if c.carriedContent && c.spokeUnasked() {
		p.owner.Undrained()
	}
	c.end()
}

// end closes the connection.
func (c *conn) end() {
	_ = c.Close()
	c.in.release()
}

// makeRoom drops the connection that is watched longest when one more would be more than may be.
func (p *Pool) makeRoom(slots chan struct{}) {
	if oldest := p.idle.takeWatched(len(slots), cap(slots)); oldest != nil {
		p.drop(oldest)
	}
}

// CloseCarried closes the idle connections that have carried content.
func (p *Pool) CloseCarried() {
	closeAll(p.idle.remove(func(c *conn) bool { return c.carriedContent }))
}
