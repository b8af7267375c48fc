package wechat

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// slowestTransfer is how fast content and files have to pass, in bytes a second: the uplink of a small server. The time for
// them comes on top of Config.Timeout.
const slowestTransfer = 256 << 10

// transferTime is how long so many bytes may take, or most of them where their number is not known.
func transferTime(length, most int64) time.Duration {
	if length < 0 {
		length = most
	}
	return time.Duration(length) * time.Second / slowestTransfer
}

// transfer is one exchange, until its answer has ended.
type transfer struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	timer   *time.Timer   // ends the exchange
	content *content      // nil: it was kept
	answer  io.ReadCloser // nil: there is none yet
	count   func(outcome error)
}

// relay sends r once, and has its outcome counted when its answer has ended.
func (t *transport) relay(ctx context.Context, r call, count func(outcome error)) (*Reply, error) {
	x := &transfer{count: count}
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	if r.rest == nil {
		r.length = int64(len(r.body))
	} else {
		x.content = &content{from: io.MultiReader(bytes.NewReader(r.body), r.rest)}
		r.rest = x.content
	}
	x.timer = time.AfterFunc(t.timeout+transferTime(r.length, MaxUpload), func() { x.cancel(ErrTimeout) })
	response, err := t.roundTrip(x.ctx, r) //nolint:bodyclose // end closes it
	if err != nil {
		x.end(err)
		return nil, err
	}
	x.timer.Reset(t.timeout + transferTime(response.ContentLength, maxFile))
	x.answer = response.Body
	reply, err := x.read(response)
	if err != nil {
		x.end(err)
	}
	return reply, err
}

// end ends the exchange. From then on nothing reads the caller's content.
func (t *transfer) end(outcome error) {
	t.timer.Stop()
	t.cancel(context.Canceled)
	if t.answer != nil {
		_ = t.answer.Close()
	}
	if t.content != nil {
		_ = t.content.Close()
	}
	t.count(outcome)
}

// firstBytes are enough to see how an answer begins, behind a byte order mark and white space.
const firstBytes = 64

// read tells JSON from a file. JSON it reads to the end.
func (t *transfer) read(response *http.Response) (*Reply, error) {
	reply := &Reply{
		ContentType: response.Header.Get("Content-Type"), Disposition: response.Header.Get("Content-Disposition"), Length: response.ContentLength,
	}
	announced := isFile(reply.ContentType) || strings.HasPrefix(strings.ToLower(reply.Disposition), "attachment")
	body := bufio.NewReader(response.Body)
	head, err := body.Peek(firstBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, transportError(t.ctx, err, true)
	}
	var text []byte
	if bytes.HasPrefix(bytes.TrimLeft(withoutMark(head), " \t\r\n"), []byte("{")) {
		if text, err = io.ReadAll(io.LimitReader(body, maxAnswer+1)); err != nil {
			return nil, transportError(t.ctx, err, true)
		}
		if members, err := parseObject(withoutMark(text)); err == nil && len(text) <= maxAnswer {
			return reply, t.readObject(reply, members, text, announced)
		}
	}
	switch {
	case !announced:
		return nil, badResponse(errors.New("neither a JSON object nor a file"))
	case reply.Length > maxFile:
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrBadResponse, maxFile)
	}
	reply.Body = &file{transfer: t, from: io.MultiReader(bytes.NewReader(text), body), outcome: context.Canceled}
	return reply, nil
}

// readObject makes a reply of a JSON object, and ends the exchange.
func (t *transfer) readObject(reply *Reply, members object, text []byte, announced bool) (err error) {
	if reply.Errcode, err = members.errcode(); err != nil {
		return badResponse(err)
	}
	if announced {
		reply.ContentType, reply.Disposition = jsonType, ""
	}
	reply.Length, reply.Body = int64(len(text)), io.NopCloser(bytes.NewReader(text))
	t.end(outcomeOf(reply.Errcode))
	return nil
}

// content is what a caller sends. It may be closed while it is read.
type content struct {
	mu     sync.Mutex
	from   io.Reader
	closed bool
}

// Read marks the errors of the caller.
func (c *content) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, ErrContent
	}
	n, err := c.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", ErrContent, err)
	}
	return n, err
}

// Close waits for a Read under way, and lets none begin.
func (c *content) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}

// file is the body of an answer that is a file.
type file struct {
	*transfer

	from    io.Reader
	length  int64
	outcome error // so far: the caller has left before the end
	once    sync.Once
}

// Read returns an error of the client.
func (f *file) Read(p []byte) (int, error) {
	n, err := f.from.Read(p)
	f.length += int64(n)
	switch {
	case f.length > maxFile:
		err = fmt.Errorf("%w: longer than %d bytes", ErrBadResponse, maxFile)
		f.outcome = err
	case errors.Is(err, io.EOF):
		f.outcome = nil
	case err != nil:
		err = transportError(f.ctx, err, true)
		f.outcome = err
	}
	return n, err
}

// Close ends the exchange.
func (f *file) Close() error {
	f.once.Do(func() { f.end(f.outcome) })
	return nil
}
