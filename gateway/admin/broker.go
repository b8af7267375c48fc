package admin

import (
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
	Call(ctx context.Context, method, path string, query url.Values, body []byte, contentType string) (wechat.Answer, error)
}

// brokerBodyLimit is the largest body of a call, in bytes: uploads of media stay below 2 MiB.
const brokerBodyLimit = 2 << 20

// headerAppID names the mini-program of a call when several are configured.
const headerAppID = "X-App-Id"

// weChatCalls relays calls to the API of WeChat.
type weChatCalls struct {
	responder

	brokers  map[string]Broker // by appid
	openData *authn.OpenData
	payments func() map[string]wechat.VirtualPaymentConfig // by appid
}

// relay answers POST /api/wechat/{path...} on the admin listener: the call goes to api.weixin.qq.com under the same
// path with the access_token added, and WeChat's answer is returned unchanged.
func (a weChatCalls) relay(w http.ResponseWriter, r *http.Request) {
	start := a.now()
	appID, broker, err := a.brokerFor(r.Header.Get(headerAppID))
	errcode := 0
	if err == nil {
		errcode, err = a.relayCall(w, r, appID, broker)
	}
	a.logCall(r, errcode, err, a.now().Sub(start))
	if err != nil {
		a.fail(w, err)
	}
}

// logCall logs who called which API of WeChat and the outcome, but no content.
func (a weChatCalls) logCall(r *http.Request, errcode int, err error, took time.Duration) {
	outcome := "errcode " + strconv.Itoa(errcode)
	if err != nil {
		outcome = a.errors.Lookup(err).Reason
	}
	event(a.log, r, "wechat call", "api", wechat.APIOf("/"+r.PathValue("path")), "appid", a.knownApp(r), "from", r.RemoteAddr,
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

func (a weChatCalls) relayCall(w http.ResponseWriter, r *http.Request, appID string, broker Broker) (errcode int, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, brokerBodyLimit))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return 0, answer.ErrBodyTooLarge
	}
	if err != nil {
		return 0, fmt.Errorf("%w: the body broke off: %w", answer.ErrInvalidRequest, err)
	}
	path, query := "/"+r.PathValue("path"), r.URL.Query()
	key, err := a.sign(r.Context(), appID, path, query, body)
	if err != nil {
		return 0, err
	}
	reply, err := broker.Call(r.Context(), http.MethodPost, path, query, body, r.Header.Get("Content-Type"))
	if errors.Is(err, wechat.ErrInvalidCall) {
		return 0, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	if err != nil {
		return 0, authn.WeChatFailure(err)
	}
	if key != nil && wechat.RefusesSessionKey(reply.Errcode) {
		return reply.Errcode, errors.Join(authn.ErrSigningKeyStale, a.openData.MarkStale(r.Context(), *key))
	}
	w.Header().Set("Content-Type", reply.ContentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(reply.Body) // the service has left: there is nobody to tell
	return reply.Errcode, nil
}

// sign adds the signatures of virtual payment to the query of a call, over the bytes of its body. The key is the session_key
// that signed it; nil: none did, or the caller has signed it.
func (a weChatCalls) sign(ctx context.Context, appID, path string, query url.Values, body []byte) (key *authn.SigningKey, err error) {
	call, signed, err := a.payments()[appID].SignCall(path, body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	case !signed:
		return nil, nil
	case call.OpenID == "" || query.Has("signature"):
		call.AddTo(query, "")
		return nil, nil
	}
	newest, err := a.openData.SigningKeyOf(ctx, appID, call.OpenID)
	if err != nil {
		return nil, err
	}
	call.AddTo(query, newest.Sign(string(body)))
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
