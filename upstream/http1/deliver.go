package http1

import (
	"io"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// smallAnswer is the length in bytes up to which an answer is read whole before any of it is passed on.
const smallAnswer = 64 << 10

// smallAnswerWait is how long the rest of a small answer may take before it is passed on as it comes.
const smallAnswerWait = 100 * time.Millisecond

// firstByteWait is how long an answer waits for the first byte of a long body, so that a service which dies behind its
// head is a 502. It must not be felt: events of SSE may come minutes after the head.
const firstByteWait = 2 * time.Millisecond

// deliver puts the body of the answer into resp and gives the connection back, or leaves it to the body stream.
func (k *call) deliver() error {
	h := &k.answer
	keep := h.persistent() && !k.early && !k.last
	switch {
	case k.bodiless():
		k.announce()
		// Who announces a body where none may be might send it all the same.
		k.pool.put(k.conn, keep && h.length <= 0 && !h.chunked)
		return nil
	case !h.chunked && h.length >= 0 && h.length <= smallAnswer:
		return k.deliverWhole(keep)
	}
	s := k.newStream(keep, k.framing())
	if err := k.awaitFirstByte(s.body); err != nil {
		k.pool.discard(k.conn)
		return err
	}
	k.resp.ImmediateHeaderFlush = k.br.Buffered() == 0
	k.pass(s)
	return nil
}

func (k *call) newStream(keep bool, body framing) *stream {
	return &stream{ctx: k.ctx, pool: k.pool, conn: k.conn, idle: k.timeouts.Stream, keep: keep, body: body}
}

// pass makes s the body of the answer.
func (k *call) pass(s *stream) {
	k.resp.SetBodyStream(s, int(max(-1, k.answer.length)))
	k.request.Body = &s.Body
}

// awaitFirstByte looks at the beginning of a body that comes with its head or right behind it: one that is broken there
// is an error before the client has seen anything. A body that takes longer is passed on as it comes.
func (k *call) awaitFirstByte(body framing) error {
	if k.br.Buffered() == 0 {
		if err := k.readUntil(time.Now().Add(firstByteWait)); err != nil {
			return ioError("reading the body", err)
		}
		if _, err := k.br.Peek(1); timedOut(err) {
			return nil
		}
	}
	if err := k.until(earlier(k.deadline, time.Now().Add(k.timeouts.Stream))); err != nil {
		return ioError("reading the body", err)
	}
	if _, err := body.peek(k.br); err != io.EOF { //nolint:errorlint // a wrapped one is no end
		return err
	}
	return nil
}

// bodiless reports whether the answer ends with its head, whatever its fields say (RFC 9112 §6.3).
func (k *call) bodiless() bool {
	return k.headOnly || k.answer.status == fasthttp.StatusNoContent || k.answer.status == fasthttp.StatusNotModified
}

// announce passes on the length that a body would have had: a 204 has none (RFC 9110 §8.6).
func (k *call) announce() {
	k.resp.SkipBody = true
	if k.answer.length >= 0 && k.answer.status != fasthttp.StatusNoContent {
		k.resp.Header.Set(fasthttp.HeaderContentLength, strconv.FormatInt(k.answer.length, 10))
	}
}

// deliverWhole reads a small body, so that one that is cut short is an error before the client has seen anything.
func (k *call) deliverWhole(keep bool) error {
	err := k.readBody(k.answer.length)
	switch {
	case err == nil:
		k.pool.put(k.conn, keep)
		return nil
	case !timedOut(err):
		k.pool.discard(k.conn)
		return ioError("reading the body", err)
	}
	buffered := append([]byte(nil), k.resp.Body()...)
	s := k.newStream(keep, &sized{remaining: k.answer.length - int64(len(buffered))})
	s.buffered = buffered
	k.pass(s)
	return nil
}

// readBody appends n bytes to the body of resp. It waits no longer than smallAnswerWait.
func (k *call) readBody(n int64) error {
	if n > int64(k.br.Buffered()) {
		if err := k.readUntil(time.Now().Add(smallAnswerWait)); err != nil {
			return err
		}
	}
	for n > 0 {
		part, err := peekSome(k.br, n)
		if err != nil {
			return err
		}
		k.resp.AppendBody(part)
		_, _ = k.br.Discard(len(part))
		n -= int64(len(part))
	}
	return nil
}

// framing is how the body of the answer ends (RFC 9112 §6.3).
func (k *call) framing() framing {
	switch {
	case k.answer.chunked:
		return &chunked{}
	case k.answer.length >= 0:
		return &sized{remaining: k.answer.length}
	}
	return untilClose{}
}
