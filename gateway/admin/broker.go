package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/gateway/answer"
)

// Broker calls WeChat with the access_token of a mini-program, which services never see.
type Broker interface {
	// Call returns the whole of a small answer.
	Call(ctx context.Context, method, path string, query url.Values, body []byte, contentType string) (wechat.Answer, error)
	// Relay passes on content and answers of any kind.
	Relay(ctx context.Context, r wechat.Request) (*wechat.Reply, error)
}

// maxSignedBody bounds a call that is signed, in bytes.
const maxSignedBody = 64 << 10

// headerAppID names the mini-program of a call when several are configured.
const headerAppID = "X-App-Id"

// weChatCalls relays calls to the API of WeChat.
type weChatCalls struct {
	responder

	brokers  map[string]Broker // by appid
	openData *authn.OpenData
	payments func() map[string]wechat.VirtualPaymentConfig // by appid
}

// relay answers GET and POST /api/wechat/{path...} on the admin listener: the call goes to api.weixin.qq.com under the same
// path with the access_token added, and WeChat's answer is returned. Large content and files pass while they come. A file that
// breaks off ends the connection.
func (a weChatCalls) relay(w http.ResponseWriter, r *http.Request) {
	start, to := a.now(), patientWriter{w, http.NewResponseController(w)}
	reply, err := a.call(w, r)
	begun := err == nil
	if begun {
		err = pass(w, to, reply)
	}
	a.logCall(r, reply, err, a.now().Sub(start))
	switch {
	case begun && err != nil:
		panic(http.ErrAbortHandler) // the documented way to abort the connection
	case err != nil:
		_ = to.extend() // else the answer comes too late, and the connection is gone
		a.fail(w, err)
	}
}

// pass passes on an answer of WeChat, and closes it. An error is errReader or one of the broker.
func pass(w http.ResponseWriter, to patientWriter, reply *wechat.Reply) error {
	defer reply.Body.Close()
	h := w.Header()
	h.Set("Content-Type", reply.ContentType)
	h.Set("X-Content-Type-Options", "nosniff")
	if reply.Disposition != "" {
		h.Set("Content-Disposition", reply.Disposition)
	}
	if reply.Length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(reply.Length, 10))
	}
	if err := to.extend(); err != nil {
		return errors.Join(errReader, err)
	}
	w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(to, reply.Body); errors.Is(err, errReader) {
		return err
	} else if err != nil {
		return authn.WeChatFailure(err)
	}
	return nil
}

// logCall logs who called which API of WeChat and the outcome, but no content.
func (a weChatCalls) logCall(r *http.Request, reply *wechat.Reply, err error, took time.Duration) {
	outcome := "caller left"
	switch {
	case err == nil:
		outcome = "errcode " + strconv.Itoa(reply.Errcode)
	case !errors.Is(err, errReader):
		outcome = a.errors.Lookup(err).Reason
	}
	event(a.log, r, "wechat call", "api", wechat.APIOf("/"+r.PathValue("path")), "appid", a.knownApp(r),
		"outcome", outcome, "duration_ms", took.Milliseconds())
}

// knownApp is the mini-program that a call names, "" unless it is configured: the log contains no arbitrary text.
func (a weChatCalls) knownApp(r *http.Request) string {
	named := r.Header.Get(headerAppID)
	if _, known := a.brokers[named]; !known {
		return ""
	}
	return named
}

// brokerFor is the client of the mini-program that a call names, or of the only one configured.
func (a weChatCalls) brokerFor(named string) (appID string, broker Broker, err error) {
	if named == "" && len(a.brokers) == 1 {
		for id, only := range a.brokers {
			return id, only, nil
		}
	}
	if broker, known := a.brokers[named]; known {
		return named, broker, nil
	}
	return "", nil, &authn.FieldError{Field: headerAppID, Problem: "不是已配置的小程序"}
}

// call asks WeChat.
func (a weChatCalls) call(w http.ResponseWriter, r *http.Request) (*wechat.Reply, error) {
	appID, broker, err := a.brokerFor(r.Header.Get(headerAppID))
	if err != nil {
		return nil, err
	}
	request := wechat.Request{
		Method: r.Method, Path: "/" + r.PathValue("path"), Query: r.URL.Query(), Length: r.ContentLength, ContentType: r.Header.Get("Content-Type"),
		Content: http.MaxBytesReader(w, patientReader{r.Body, http.NewResponseController(w)}, wechat.MaxUpload),
	}
	if request.Length > wechat.MaxUpload { // said before WeChat is asked, who might answer first
		return nil, answer.ErrBodyTooLarge
	}
	var key *authn.SigningKey
	if wechat.IsPayment(request.Path) {
		if key, err = a.sign(r.Context(), appID, &request); err != nil {
			return nil, err
		}
	}
	reply, err := broker.Relay(r.Context(), request)
	switch {
	case errors.Is(err, wechat.ErrContent):
		return nil, bodyError(err)
	case errors.Is(err, wechat.ErrInvalidCall):
		return nil, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	case err != nil:
		return nil, authn.WeChatFailure(err)
	case key != nil && wechat.RefusesSessionKey(reply.Errcode):
		return reply, errors.Join(authn.ErrSigningKeyStale, a.openData.MarkStale(r.Context(), *key), reply.Body.Close())
	}
	return reply, nil
}

// sign adds the signatures of virtual payment to the query of a request, over the bytes of its content, which it reads. The key
// is the session_key that signed it; nil: none did, or the caller has signed it.
func (a weChatCalls) sign(ctx context.Context, appID string, request *wechat.Request) (key *authn.SigningKey, err error) {
	body, err := io.ReadAll(io.LimitReader(request.Content, maxSignedBody+1))
	switch {
	case err != nil:
		return nil, bodyError(err)
	case len(body) > maxSignedBody:
		return nil, answer.ErrBodyTooLarge
	}
	request.Content = bytes.NewReader(body)
	call, signed, err := a.payments()[appID].SignCall(request.Path, body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	case !signed:
		return nil, nil
	case call.OpenID == "" || request.Query.Has("signature"):
		call.AddTo(request.Query, "")
		return nil, nil
	}
	newest, err := a.openData.SigningKeyOf(ctx, appID, call.OpenID)
	if err != nil {
		return nil, err
	}
	call.AddTo(request.Query, newest.Sign(string(body)))
	return &newest, nil
}

// signWithSessionKey answers POST /api/users/{id}/session-key/sign: the login-state signature of data by the user's newest
// session_key, for what a service sends to WeChat, or has its client send.
func (a users) signWithSessionKey(r *http.Request, id int64) (any, error) {
	object, err := readObject(r, "data", "appid")
	if err != nil {
		return nil, err
	}
	var data *string
	var appID string
	if json.Unmarshal(object["data"], &data) != nil || data == nil {
		return nil, fmt.Errorf("%w: data is not a string", answer.ErrInvalidRequest)
	}
	if raw, named := object["appid"]; named && json.Unmarshal(raw, &appID) != nil {
		return nil, fmt.Errorf("%w: appid is not a string", answer.ErrInvalidRequest)
	}
	key, err := a.authn.OpenData.SigningKey(r.Context(), id, appID)
	if err != nil {
		return nil, err
	}
	return map[string]string{"signature": key.Sign(*data)}, nil
}

// checkSessionKey answers POST /api/users/{id}/session-key/check: whether the user's newest session_key is still valid
// at WeChat.
func (a users) checkSessionKey(r *http.Request, id int64) (any, error) {
	valid, err := a.authn.OpenData.CheckSessionKey(r.Context(), id)
	return map[string]bool{"valid": valid}, err
}

// resetSessionKey answers POST /api/users/{id}/session-key/reset: WeChat replaces the key, and the old one is invalid
// at once.
func (a users) resetSessionKey(r *http.Request, id int64) (any, error) {
	return map[string]int64{"id": id}, a.authn.OpenData.ResetSessionKey(r.Context(), id)
}

// phone answers GET /api/users/{id}/phone, for the operator and the team's services.
func (a users) phone(r *http.Request, id int64) (any, error) {
	return a.authn.OpenData.PhoneOf(r.Context(), id)
}

// needsOfCall are the scopes of which a service must have one to call an API of WeChat.
func needsOfCall(r *http.Request) []Scope {
	// WeChat may not tell case apart, so whatever is fenced is fenced in any case.
	path := strings.ToLower(r.PathValue("path"))
	switch {
	case strings.Contains(path, "clear_quota"), strings.HasPrefix(path, "cgi-bin/openapi/rid"):
		return nil // ten times a month for the whole account; and earlier calls of everybody, with their answers
	case strings.HasPrefix(path, "xpay/"), strings.HasPrefix(path, "retail/"):
		return []Scope{ScopeSign} // we sign them, and they move money
	case strings.HasPrefix(path, "cgi-bin/message/"):
		return []Scope{ScopeWeChat, ScopeNotify}
	}
	return []Scope{ScopeWeChat}
}
