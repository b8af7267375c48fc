package wechat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	// maxBody bounds an answer in bytes; a real one has about 150.
	maxBody = 64 << 10
	// idleTimeout is how long an unused connection is kept. It is below the 5 s that is the shortest keep-alive of common
	// servers, so it is we who close: a request that meets a connection the far end is closing cannot be sent again, and
	// fails a login. Within a burst of logins the TLS handshake is still saved.
	idleTimeout = 4 * time.Second
	// maxIdle is how many connections are kept for the next burst of logins.
	maxIdle = 32
)

// newTransport speaks HTTP/1.1 only, since HTTP/2 re-sends refused streams on its own. No redirect is followed, as a
// bare RoundTrip follows none, and a proxy is taken from HTTPS_PROXY.
func newTransport(timeout time.Duration) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Protocols: protocols,
		Proxy:     http.ProxyFromEnvironment,
		// The two timeouts end a dial that outlives its request; the request itself is ended by its context.
		DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
		TLSHandshakeTimeout:    timeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    maxIdle,
		MaxResponseHeaderBytes: maxBody,
		DisableCompression:     true,
	}
}

// onceBody is an empty request body that marks a GET as not replayable. net/http silently sends a GET again when a kept
// connection turns out to be closed, unless the request has a body and no GetBody; a js_code sent twice is answered 40163.
// net/http finds the body empty before it writes the header, so the request on the wire is a plain GET.
type onceBody struct{}

func (onceBody) Read([]byte) (int, error) { return 0, io.EOF }
func (onceBody) Close() error             { return nil }

// get sends one GET, once, and returns the body of a 200 answer. It calls RoundTrip itself because http.Client follows
// redirects and puts the URL, with the secret in it, into its errors.
func (c *Client) get(ctx context.Context, url string) ([]byte, error) {
	var connected atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	request, err := http.NewRequestWithContext(traced, http.MethodGet, url, onceBody{})
	if err != nil {
		return nil, errors.New("building the request") // err quotes the URL
	}
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return nil, transportError(ctx, err, connected.Load())
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, transportError(ctx, err, true)
	}
	return body, answerFault(response.StatusCode, len(body))
}

// answerFault wants a 200 of bounded length: WeChat answers 200 even to say that a code is invalid.
func answerFault(status, length int) error {
	switch {
	case status != http.StatusOK:
		return fmt.Errorf("%w: status %d", ErrBadResponse, status)
	case length > maxBody:
		return fmt.Errorf("%w: longer than %d bytes", ErrBadResponse, maxBody)
	}
	return nil
}
