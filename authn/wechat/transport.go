package wechat

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	// maxBody bounds the answer to a login or a token, in bytes; a real one has about 150.
	maxBody = 64 << 10
	// idleTimeout is how long an unused connection is kept. It is below the 5 s that is the shortest keep-alive of common
	// servers, so it is we who close: a request that meets a connection the far end is closing cannot be sent again, and
	// fails a login. Within a burst of logins the TLS handshake is still saved.
	idleTimeout = 4 * time.Second
)

// transport exchanges requests with one server.
type transport struct {
	*http.Transport

	base    string        // its URL
	timeout time.Duration // for a whole exchange
}

// newTransport speaks HTTP/1.1 only, since HTTP/2 re-sends refused streams on its own. No redirect is followed, as a
// bare RoundTrip follows none, and a proxy is taken from HTTPS_PROXY. A connection is kept for each of the exchanges that
// may run at a time: with fewer, a steady stream of logins dials, and shakes hands for TLS, for most of them.
func newTransport(base string, timeout time.Duration, exchanges int) *transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &transport{base: base, timeout: timeout, Transport: &http.Transport{
		Protocols: protocols,
		Proxy:     http.ProxyFromEnvironment,
		// The two timeouts end a dial that outlives its request; the request itself is ended by its context.
		DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
		TLSHandshakeTimeout:    timeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    cmp.Or(exchanges, maxConcurrency),
		MaxResponseHeaderBytes: maxBody,
		DisableCompression:     true,
	}}
}

// onceBody is an empty request body that marks a GET as not replayable. net/http silently sends a GET again when a kept
// connection turns out to be closed, unless the request has a body and no GetBody; a js_code sent twice is answered 40163.
// net/http finds the body empty before it writes the header, so the request on the wire is a plain GET.
type onceBody struct{}

func (onceBody) Read([]byte) (int, error) { return 0, io.EOF }
func (onceBody) Close() error             { return nil }

// call is one request to WeChat.
type call struct {
	method      string
	path        string // below Config.BaseURL
	query       url.Values
	body        []byte
	rest        io.Reader // content that contains body and follows it; nil: body is all
	length      int64     // of rest, in bytes; -1: unknown
	contentType string    // of the content
	limit       int       // the longest answer taken, in bytes
}

// send sends one request, once, within the timeout, and returns a 200 answer.
func (t *transport) send(ctx context.Context, r call) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	response, err := t.roundTrip(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(r.limit)+1))
	if err != nil {
		return Answer{}, transportError(ctx, err, true)
	}
	if len(body) > r.limit {
		return Answer{}, fmt.Errorf("%w: longer than %d bytes", ErrBadResponse, r.limit)
	}
	return Answer{ContentType: response.Header.Get("Content-Type"), Body: body}, nil
}

// roundTrip sends one request, once, and returns a 200 whose body has not been read: WeChat answers 200 even to say that a code
// is invalid. It calls RoundTrip itself because http.Client follows redirects and puts the URL, with the secret in it, into
// its errors.
func (t *transport) roundTrip(ctx context.Context, r call) (*http.Response, error) {
	var connected atomic.Bool
	request, err := r.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), t.base)
	if err != nil {
		return nil, err
	}
	response, err := t.RoundTrip(request)
	if err != nil {
		return nil, transportError(ctx, err, connected.Load())
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close()
		return nil, fmt.Errorf("%w: status %d", ErrBadResponse, response.StatusCode)
	}
	return response, nil
}

// request builds what net/http cannot send twice, whatever the method.
func (r call) request(ctx context.Context, base string) (*http.Request, error) {
	body, length := io.Reader(onceBody{}), int64(len(r.body))
	switch {
	case r.rest != nil:
		body, length = r.rest, r.length
	case length > 0:
		body = io.NopCloser(bytes.NewReader(r.body)) // the closer hides the Reader, so that there is no GetBody
	}
	request, err := http.NewRequestWithContext(ctx, r.method, base+r.path+"?"+r.query.Encode(), body)
	if err != nil {
		return nil, errors.New("building the request") // err quotes the URL
	}
	request.ContentLength = length
	if r.contentType != "" {
		request.Header.Set("Content-Type", r.contentType)
	}
	return request, nil
}
