package wechat

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

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
	ctx, ended := c.metrics.begin(ctx, apiLabel(r.path))
	answer, err := c.transport.send(ctx, r)
	if err == nil {
		answer.Errcode, err = answerCode(answer)
	}
	outcome := err
	if err == nil {
		outcome = outcomeOf(answer.Errcode)
	}
	ended(outcome)
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

// Post is Call for a question in JSON whose answer is read too: it returns the members of the answer, and an errcode is an *Error
// in which neither the secret nor the token stands.
func (c *Client) Post(ctx context.Context, path string, query url.Values, body []byte) (map[string]json.RawMessage, error) {
	api := apiLabel(path)
	if !forwarded(http.MethodPost, path) {
		return nil, named(api, ErrInvalidCall)
	}
	members, err := c.answerOf(ctx, call{method: http.MethodPost, path: path, query: query, body: body, contentType: jsonType})
	return members, named(api, err)
}
