package wechat

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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

// relay sends r once, and counts it when its answer has ended.
func (c *Client) relay(ctx context.Context, r call) (*Reply, error) {
	began := time.Now()
	t := &transfer{count: func(outcome error) { c.metrics.observe(apiLabel(r.path), time.Since(began), outcome) }}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	if r.rest == nil {
		r.length = int64(len(r.body))
	} else {
		t.content = &content{from: io.MultiReader(bytes.NewReader(r.body), r.rest)}
		r.rest = t.content
	}
	t.timer = time.AfterFunc(c.cfg.Timeout+transferTime(r.length, MaxUpload), func() { t.cancel(ErrTimeout) })
	response, err := c.roundTrip(t.ctx, r) //nolint:bodyclose // end closes it
	if err != nil {
		t.end(err)
		return nil, err
	}
	t.timer.Reset(c.cfg.Timeout + transferTime(response.ContentLength, maxFile))
	t.answer = response.Body
	reply, err := t.read(response)
	if err != nil {
		t.end(err)
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

// The bounds of what Relay passes on, in bytes. WeChat takes and gives pictures and videos of up to 10 MB.
const (
	MaxUpload = 16 << 20 // content that may be sent
	maxFile   = 16 << 20 // a file that is received
	maxKept   = 2 << 20  // content that is kept, so that it can be sent again with another token
)

// Failures of Relay alone.
var (
	// ErrContent means that the caller's content broke off. The error wraps what reading it returned.
	ErrContent = errors.New("the content broke off")
	// ErrTokenReplaced means that WeChat refused the access_token, and the content is gone: it was too large to be kept. The
	// next call has another token.
	ErrTokenReplaced = errors.New("the access_token was refused, and the content is too large to be sent again")
)

// Request is a call that Relay passes on.
type Request struct {
	Method      string // GET or POST
	Path        string // that of an API, such as /cgi-bin/media/upload
	Query       url.Values
	Content     io.Reader // at most MaxUpload bytes; nil: none
	Length      int64     // of Content; -1: unknown
	ContentType string    // with its own boundary, where the content has parts
}

// Reply is WeChat's answer to a Request: JSON, which has been read, or a file, which comes while Body is read.
type Reply struct {
	Errcode     int           // 0 on success, and for files
	ContentType string        // as WeChat sent it, but application/json for JSON in the place of a file
	Disposition string        // Content-Disposition of a file; "": none
	Length      int64         // of Body; -1: unknown
	Body        io.ReadCloser // at most 16 MiB; its errors are those of Call. The caller closes it
}

// Relay is Call for content and files of any kind: large content passes while it comes, and so do files that WeChat answers.
// Whether an answer is a file or JSON, its first byte says, since WeChat announces both alike. An errcode that refuses the token is
// one in either place: the call is sent again with the next token while its content, of up to 2 MiB, is kept; otherwise the error wraps
// ErrTokenReplaced. The other errors are those of Call, and ErrContent.
func (c *Client) Relay(ctx context.Context, r Request) (*Reply, error) {
	api := apiLabel(r.Path)
	if !forwarded(r.Method, r.Path) {
		return nil, named(api, ErrInvalidCall)
	}
	kept, rest, err := r.split()
	if err != nil {
		return nil, named(api, err)
	}
	var reply *Reply
	sent := call{method: r.Method, path: r.Path, query: r.Query, body: kept, rest: rest, length: r.Length, contentType: r.ContentType, limit: maxAnswer}
	err = c.withToken(ctx, sent, func(ctx context.Context, sent call) (errcode int, err error) {
		if reply, err = c.relay(ctx, sent); err != nil {
			return 0, err
		}
		return reply.Errcode, nil
	})
	if err != nil {
		return nil, named(api, err)
	}
	return reply, nil
}

// split reads as much of the content as is kept; rest is what follows, nil for content that is complete.
func (r Request) split() (kept []byte, rest io.Reader, err error) {
	if r.Content == nil {
		return nil, nil, nil
	}
	if kept, err = io.ReadAll(io.LimitReader(r.Content, maxKept+1)); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrContent, err)
	}
	if len(kept) > maxKept {
		rest = r.Content
	}
	return kept, rest, nil
}
