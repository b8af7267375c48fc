package wechat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
)

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
		ctx, count := c.metrics.begin(ctx, api)
		if reply, err = c.transport.relay(ctx, sent, count); err != nil {
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
