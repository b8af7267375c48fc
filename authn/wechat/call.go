package wechat

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"wxgate/secret"
)

// maxAnswer bounds the answer to a Call, in bytes; the largest real ones are pictures of getwxacode, about 150 KB.
const maxAnswer = 1 << 20

// jsonType is the content type of every body that is made here.
const jsonType = "application/json"

// Answer is WeChat's answer to a Call.
type Answer struct {
	Errcode     int    // 0 on success, and for answers that are not JSON
	ContentType string // as WeChat sent it; JSON may be text/plain
	Body        []byte // the whole of it, at most 1 MiB, unchanged
}

// Format writes the errcode and the length for every verb: the body may hold a phone number or an openid.
func (a Answer) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "errcode %d in %d bytes", a.Errcode, len(a.Body))
}

// Call forwards a request to WeChat and adds the access_token, replacing any in query. path is that of an API, such as
// /wxa/msg_sec_check, but not of one that takes the secret. If WeChat refuses the token, and so has done nothing, the
// token is refreshed and the request is sent again; otherwise it is sent once. An errcode is not an error here but part
// of the Answer, because callers want WeChat's own words. The error wraps ErrInvalidCall, ErrTimeout, ErrUnreachable,
// ErrBadResponse or the caller's context.Canceled, or is an error of ServerToken. Text other than a JSON object, such
// as the HTML of a broken relay, is ErrBadResponse; pictures and other binary content are fine.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, body []byte, contentType string) (Answer, error) {
	api := apiLabel(path)
	if !forwarded(method, path) {
		return Answer{}, named(api, ErrInvalidCall)
	}
	answer, err := c.callWithToken(ctx, call{method: method, path: path, query: query, body: body, contentType: contentType, limit: maxAnswer})
	return answer, named(api, err)
}

// callWithToken is withToken for a whole answer.
func (c *Client) callWithToken(ctx context.Context, r call) (answer Answer, err error) {
	err = c.withToken(ctx, r, func(ctx context.Context, r call) (errcode int, err error) {
		answer, err = c.counted(ctx, r)
		return answer.Errcode, err
	})
	return answer, err
}

// withToken has r sent with the current token, and again with the next one when WeChat refuses it.
func (c *Client) withToken(ctx context.Context, r call, send func(context.Context, call) (errcode int, err error)) error {
	if c.tokens == nil {
		r.query = withoutToken(r.query)
		_, err := send(ctx, r)
		return err
	}
	errcode, used, err := c.sendWithToken(ctx, r, send)
	if err != nil || !refusesToken(errcode) {
		return err
	}
	c.tokens.invalidate(used)
	if r.rest != nil {
		return ErrTokenReplaced
	}
	_, _, err = c.sendWithToken(ctx, r, send)
	return err
}

// sendWithToken has r sent once and says with which token.
func (c *Client) sendWithToken(ctx context.Context, r call, send func(context.Context, call) (int, error)) (errcode int, used secret.Text, err error) {
	token, err := c.tokens.token(ctx)
	if err != nil {
		return 0, "", named(APIStableToken, err)
	}
	r.query = withoutToken(r.query)
	r.query.Set("access_token", token.Value.Reveal())
	errcode, err = send(ctx, r)
	return errcode, token.Value, err
}

// counted sends r once, reads its errcode and counts it.
func (c *Client) counted(ctx context.Context, r call) (Answer, error) {
	start := time.Now()
	answer, err := c.send(ctx, r)
	if err == nil {
		answer.Errcode, err = answerCode(answer)
	}
	outcome := err
	if err == nil {
		outcome = outcomeOf(answer.Errcode)
	}
	c.metrics.observe(apiLabel(r.path), time.Since(start), outcome)
	if err != nil {
		return Answer{}, err
	}
	return answer, nil
}

// outcomeOf is an errcode as the metrics count it.
func outcomeOf(errcode int) error {
	if errcode == CodeOK {
		return nil
	}
	return &Error{Code: errcode}
}

// answerCode reads the errcode of a JSON object, and refuses other text.
func answerCode(a Answer) (int, error) {
	members, err := parseObject(withoutMark(a.Body))
	switch {
	case err == nil:
		code, err := members.errcode()
		if err != nil {
			return 0, badResponse(err)
		}
		return code, nil
	case isFile(a.ContentType):
		return CodeOK, nil
	}
	return 0, badResponse(err)
}

// isFile reports whether contentType is one of those in which WeChat sends pictures and files.
func isFile(contentType string) bool {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	kind, _, _ := strings.Cut(media, "/")
	return kind == "image" || kind == "audio" || kind == "video" || strings.TrimSpace(media) == "application/octet-stream"
}

// plainPath reports whether a path has nothing that needs escaping, or that a proxy on the way could read in two ways: two
// to six segments of at most 64 letters, digits, _ and -.
func plainPath(path string) bool {
	rest, rooted := strings.CutPrefix(path, "/")
	segments := 0
	for segment := range strings.SplitSeq(rest, "/") {
		segments++
		if segment == "" || len(segment) > 64 || segments > 6 || strings.ContainsFunc(segment, notInSegment) {
			return false
		}
	}
	return rooted && segments >= 2
}

func notInSegment(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' && r != '-'
}

// forwarded reports whether Call sends this. The APIs below /sns and those that make tokens want the secret, and are ours.
func forwarded(method, path string) bool {
	lower := strings.ToLower(path)
	switch {
	case method != http.MethodGet && method != http.MethodPost, !plainPath(path):
		return false
	case strings.HasPrefix(lower, "/sns/"), lower == "/cgi-bin/token", lower == "/cgi-bin/stable_token":
		return false
	}
	return true
}

// withoutToken copies query, which belongs to the caller.
func withoutToken(query url.Values) url.Values {
	own := url.Values{}
	maps.Copy(own, query)
	own.Del("access_token")
	return own
}

// answerOf is Call for an API whose answer is read here: an errcode is an *Error that hides secrets and the tokens.
func (c *Client) answerOf(ctx context.Context, r call, secrets ...string) (object, error) {
	r.limit = maxBody
	answer, err := c.callWithToken(ctx, r)
	if err != nil {
		return nil, err
	}
	if c.tokens != nil {
		secrets = append(secrets, c.tokens.secret())
	}
	return parseAnswer(apiLabel(r.path), answer.Body, append(secrets, c.cfg.Secret.Reveal()))
}

const (
	// maxBody bounds the answer to a login or a token, in bytes; a real one has about 150.
	maxBody = 64 << 10
	// idleTimeout is how long an unused connection is kept. It is below the 5 s that is the shortest keep-alive of common
	// servers, so it is we who close: a request that meets a connection the far end is closing cannot be sent again, and
	// fails a login. Within a burst of logins the TLS handshake is still saved.
	idleTimeout = 4 * time.Second
)

// newTransport speaks HTTP/1.1 only, since HTTP/2 re-sends refused streams on its own. No redirect is followed, as a
// bare RoundTrip follows none, and a proxy is taken from HTTPS_PROXY. A connection is kept for each of the exchanges that
// may run at a time: with fewer, a steady stream of logins dials, and shakes hands for TLS, for most of them.
func newTransport(timeout time.Duration, exchanges int) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Protocols: protocols,
		Proxy:     http.ProxyFromEnvironment,
		// The two timeouts end a dial that outlives its request; the request itself is ended by its context.
		DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
		TLSHandshakeTimeout:    timeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    cmp.Or(exchanges, maxConcurrency),
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

// send sends one request, once, within Config.Timeout, and returns a 200 answer.
func (c *Client) send(ctx context.Context, r call) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	response, err := c.roundTrip(ctx, r)
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
func (c *Client) roundTrip(ctx context.Context, r call) (*http.Response, error) {
	var connected atomic.Bool
	request, err := r.request(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), c.cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	response, err := c.transport.RoundTrip(request)
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
