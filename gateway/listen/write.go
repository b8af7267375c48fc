package listen

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"wxgate/message"
	"wxgate/socket"
)

// ErrClientLeft is an answer that its client did not take: it has left, or reads too slowly.
var ErrClientLeft = errors.New("the client did not take the answer")

const (
	flushBytes   = 64 << 10       // of a streamed answer are gathered at most before they are written
	longPart     = flushBytes / 4 // a part of a body that is not copied
	maxKeptWrite = 2 * flushBytes // the largest buffer that is kept for the next answer
)

// writer writes to a client, within time.
type writer struct {
	client         net.Conn
	secure         bool // over TLS
	cfg            *Config
	cohort         *socket.Cohort
	clock          writeClock
	sent           int64
	unacknowledged func() int64
	timed          atomic.Bool // somebody else has set a deadline, which counts
}

// send sends both parts, with one system call where there is one for it.
func (w *writer) send(head, body []byte) (int, error) {
	if len(body) == 0 {
		return w.client.Write(head)
	}
	if plain, ok := w.client.(*socket.Conn); ok {
		return plain.Writev(head, body)
	}
	n, err := w.client.Write(head)
	if err != nil {
		return n, err
	}
	more, err := w.client.Write(body)
	return n + more, err
}

// WriteResponse answers the current request. resp.Fields hold neither framing nor Connection; Date is added if there is
// none. bytes are those of the body that were written. An error of the body's stream is returned as it is, and
// io.ErrUnexpectedEOF or ErrBodyTooLong when the stream is not as long as it should be: all of them make the client see
// that the answer is not whole. Any other is ErrClientLeft.
func (c *Conn) WriteResponse(resp *message.Response) (bytes int64, err error) {
	c.current.ExpectsContinue = false // it has its answer
	pending, _ := c.writes.Get().(*[]byte)
	a := answer{conn: c, resp: resp, pending: (*pending)[:0]}
	a.setFraming()
	a.appendHead()
	before, head := c.sent, len(a.pending)
	if err = a.writeBody(); err != nil {
		a.bytes = max(0, min(a.bytes, c.sent-before-int64(head)))
	}
	if *pending = a.pending; cap(*pending) <= maxKeptWrite {
		c.writes.Put(pending)
	}
	c.current.answered = err == nil && a.persistent
	return a.bytes, err
}

// answer is an answer that is being written.
type answer struct {
	conn       *Conn
	resp       *message.Response
	bodiless   bool
	length     int64 // Content-Length; -1: none
	sized      bool  // the fields have it already
	chunked    bool
	persistent bool   // another request may follow
	pending    []byte // what was not written yet
	bytes      int64  // of the body
}

// setFraming decides how the client learns where the body ends (RFC 9112 §6.3), and whether the connection can stay.
func (a *answer) setFraming() {
	c, resp := a.conn, a.resp
	a.bodiless = c.current.headOnly || HasNoContent(resp.Status)
	a.length = ContentLength(resp, a.bodiless)
	if a.sized = resp.Sized && a.length == resp.Length && a.length >= 0; resp.Sized && !a.sized {
		resp.Fields.Del("Content-Length")
	}
	a.chunked = !a.bodiless && a.length < 0 && !c.current.http10
	endless := !a.bodiless && a.length < 0 && !a.chunked
	a.persistent = c.current.Persistent && !resp.Close && !endless && !c.BodyRemaining() && !(c.isLeaving() && c.IsSecure())
}

// HasNoContent reports whether answers with the status never have content (RFC 9110 §6.4.1).
func HasNoContent(status int) bool {
	return status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}

// ContentLength is what Content-Length says of an answer; -1: there is none (RFC 9110 §8.6). bodiless is that the client knows
// that it ends with its head; one that does not know it of a Bodiless answer must be told that nothing follows.
func ContentLength(resp *message.Response, bodiless bool) int64 {
	switch {
	case (resp.Status < 200 || resp.Status == http.StatusNoContent) && (!resp.Sized || resp.Length != 0):
		return -1
	case resp.Bodiless && !bodiless:
		return 0
	case resp.Bodiless || resp.Stream != nil:
		return resp.Length
	case resp.Status == http.StatusNotModified:
		return -1
	}
	return int64(len(resp.Body))
}

// appendHead appends the head of the answer.
func (a *answer) appendHead() {
	resp := a.resp
	b := append(a.pending, "HTTP/1.1 "...)
	b = append(strconv.AppendInt(b, int64(resp.Status), 10), ' ')
	if len(resp.Reason) > 0 || resp.Relayed {
		b = append(b, resp.Reason...)
	} else {
		b = append(b, http.StatusText(resp.Status)...)
	}
	b = append(b, "\r\n"...)
	if resp.Upgrade == "" && !resp.Fields.Has("Date") {
		b = append(b, a.conn.date.line(time.Now())...)
	}
	b = resp.Fields.AppendTo(b)
	b = a.appendConnection(b)
	switch {
	case a.chunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case a.length >= 0 && !a.sized:
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, a.length, 10), "\r\n"...)
	}
	a.pending = append(b, "\r\n"...)
}

func (a *answer) appendConnection(b []byte) []byte {
	switch {
	case a.resp.Upgrade != "":
		return a.appendUpgrade(b)
	case !a.persistent:
		return append(b, "Connection: close\r\n"...)
	case a.conn.current.http10:
		return append(b, "Connection: keep-alive\r\n"...)
	}
	return b
}

// appendUpgrade appends what the fields of a 101 lack.
func (a *answer) appendUpgrade(b []byte) []byte {
	if !a.resp.Fields.Has("Connection") {
		b = append(b, "Connection: Upgrade\r\n"...)
	}
	if !a.resp.Fields.Has("Upgrade") {
		b = append(append(append(b, "Upgrade: "...), a.resp.Upgrade...), "\r\n"...)
	}
	return b
}

// writeBody writes what is pending, and the body.
func (a *answer) writeBody() error {
	stream, body := a.resp.Stream, a.resp.Body
	if stream != nil {
		defer func() { _ = stream.Close() }() // a whole one has nothing to say any more
	}
	switch {
	case a.bodiless || a.resp.Bodiless:
		return a.flush()
	case stream != nil:
		return a.writeStream(stream)
	}
	if err := a.append(body); err != nil {
		return err
	}
	return a.flush()
}

// append makes part, which belongs to the body, pending, or writes it at once when it is long.
func (a *answer) append(part []byte) error {
	a.bytes += int64(len(part))
	if len(part) < longPart {
		a.pending = append(a.pending, part...)
		return nil
	}
	return a.send(part)
}

// flush writes what is pending.
func (a *answer) flush() error { return a.send(nil) }

// send writes what is pending, and part behind it.
func (a *answer) send(part []byte) error {
	err := a.conn.write(a.pending, part)
	a.pending = a.pending[:0]
	if err != nil {
		return errors.Join(ErrClientLeft, err)
	}
	return nil
}

// writeStream passes the body on as it comes: what is there is written before it waits for more. The end of the body is
// looked at before its last bytes are written, so that its source is free by the time that the client has it.
func (a *answer) writeStream(stream message.Stream) error {
	for {
		if len(a.pending) >= flushBytes || !stream.Ready() {
			if err := a.flush(); err != nil {
				return err
			}
		}
		part, err := stream.Next()
		if err == io.EOF { //nolint:errorlint // a wrapped one is no end
			return a.endStream()
		}
		if err != nil {
			return a.breakOff(err)
		}
		if err := a.writePart(part); err != nil {
			return err
		}
	}
}

// ErrBodyTooLong is a stream that has more than the length that it came with.
var ErrBodyTooLong = errors.New("the body is longer than its length")

// writePart writes a part of the body, or keeps it for the next write when it is short.
func (a *answer) writePart(part []byte) error {
	if len(part) == 0 {
		return nil // as a chunk it would be the last one
	}
	if a.length >= 0 && int64(len(part)) > a.length-a.bytes {
		return a.breakOff(ErrBodyTooLong)
	}
	if !a.chunked {
		return a.append(part)
	}
	a.pending = append(strconv.AppendInt(a.pending, int64(len(part)), 16), "\r\n"...)
	if err := a.append(part); err != nil {
		return err
	}
	a.pending = append(a.pending, "\r\n"...)
	return nil
}

// endStream writes the end of a body that is whole.
func (a *answer) endStream() error {
	if a.length > a.bytes {
		return a.breakOff(io.ErrUnexpectedEOF)
	}
	if a.chunked {
		a.pending = append(a.pending, "0\r\n\r\n"...)
	}
	return a.flush()
}

// breakOff ends an answer that is not whole. Without a length and without chunks an orderly end would mean that it is:
// the connection is reset then.
func (a *answer) breakOff(cause error) error {
	if err := a.flush(); err == nil && a.length < 0 && !a.chunked {
		a.conn.Reset()
	}
	return cause
}

// date is the Date of answers, which changes once a second.
type date struct{ current atomic.Pointer[dateLine] }

type dateLine struct {
	unix int64
	text []byte
}

// line is the field line of now.
func (d *date) line(now time.Time) []byte {
	unix := now.Unix()
	if l := d.current.Load(); l != nil && l.unix == unix {
		return l.text
	}
	l := &dateLine{unix, now.UTC().AppendFormat([]byte("Date: "), http.TimeFormat)}
	l.text = append(l.text, "\r\n"...)
	d.current.Store(l)
	return l.text
}
