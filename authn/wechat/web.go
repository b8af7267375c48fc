package wechat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// WebSession is what WeChat returns about a person who logged in on a web page.
type WebSession struct {
	OpenID   string // the person within this account: visible ASCII, 1 to 64 bytes, never empty
	UnionID  string // the person across one Open Platform account; WeChat never tells it with the scope snsapi_base
	Nickname string // empty unless a profile was asked for; free text
	Avatar   string // the same
}

// Format writes *** for every verb: none of it belongs in a log.
func (WebSession) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// LogValue returns ***, whatever the slog handler.
func (WebSession) LogValue() slog.Value { return slog.StringValue(masked) }

// ErrSnapshotUser is the virtual account of a snapshot page (快照页), which stands for nobody: its openid must not be stored
// (page "网页授权").
var ErrSnapshotUser = errors.New("a virtual account of a snapshot page")

// Web is the client of an account of web pages. It is safe for concurrent use.
type Web struct{ client *Client }

// NewWeb returns a Web that works, or every fault of cfg and deps. It opens no connection.
func NewWeb(cfg Config, deps Deps) (*Web, error) {
	client, err := New(cfg, deps)
	if err != nil {
		return nil, err
	}
	return &Web{client}, nil
}

// Close closes idle connections. Calls in progress finish.
func (w *Web) Close() { w.client.Close() }

// WebSession exchanges the code of a web page (valid for 5 minutes, of a QR code for 10, once) for the person who logged in. With
// profile it also asks for nickname and avatar, if the person allowed that; no answer to it is no error. The errors are
// those of Code2Session, and ErrSnapshotUser.
func (w *Web) WebSession(ctx context.Context, code string, profile bool) (WebSession, error) {
	if !ValidCode(code) {
		return WebSession{}, fmt.Errorf("wechat %s: %w", APIWebToken, ErrInvalidCode)
	}
	grant, err := w.webGrant(ctx, code)
	switch {
	case err != nil:
		return WebSession{}, named(APIWebToken, err)
	case grant.snapshot:
		return WebSession{}, ErrSnapshotUser
	case profile && grant.allowsProfile():
		w.addProfile(ctx, &grant)
	}
	return grant.session, nil
}

// webGrant is an answer of /sns/oauth2/access_token. Its token is the person's, not that of ServerToken.
type webGrant struct {
	session  WebSession
	token    string
	scope    string
	snapshot bool
}

// allowsProfile reports whether the token is good for the profile: that of a QR code always is.
func (g webGrant) allowsProfile() bool {
	return strings.Contains(g.scope, ScopeUserInfo) || strings.Contains(g.scope, ScopeLogin)
}

func (w *Web) webGrant(ctx context.Context, code string) (webGrant, error) {
	query := url.Values{"appid": {w.client.cfg.AppID}, "secret": {w.client.cfg.Secret.Reveal()}, "code": {code}, "grant_type": {"authorization_code"}}
	members, err := w.webCall(ctx, pathWebToken, query, w.client.cfg.Secret.Reveal(), code)
	if err != nil {
		return webGrant{}, err
	}
	return readWebGrant(members)
}

// webCall sends one request of a web page's login, and counts it.
func (w *Web) webCall(ctx context.Context, path string, query url.Values, secrets ...string) (members object, err error) {
	ctx, ended := w.client.metrics.begin(ctx, apiLabel(path))
	answer, err := w.client.transport.send(ctx, call{method: http.MethodGet, path: path, query: query, limit: maxBody})
	if err == nil {
		members, err = parseAnswer(apiLabel(path), answer.Body, secrets)
	}
	ended(err)
	return members, err
}

// maxWebToken is the longest access_token of a person taken, in bytes; real ones have about 110.
const maxWebToken = 1024

// readWebGrant wants an openid and a token, unless the account is a virtual one: then nothing else counts.
func readWebGrant(members object) (g webGrant, err error) {
	if g.snapshot = members.marked("is_snapshotuser"); g.snapshot {
		return g, nil
	}
	openIDErr, unionIDErr := members.id("openid", &g.session.OpenID), members.id("unionid", &g.session.UnionID)
	var tokenErr, scopeErr error
	g.token, tokenErr = members.text("access_token")
	g.scope, scopeErr = members.text("scope")
	if err := errors.Join(openIDErr, unionIDErr, tokenErr, scopeErr); err != nil {
		return webGrant{}, badResponse(oneLine(err))
	}
	if g.session.OpenID == "" {
		return webGrant{}, badResponse(errors.New("openid is missing or empty"))
	}
	if g.token == "" || len(g.token) > maxWebToken || !visibleASCII(g.token) {
		return webGrant{}, badResponse(fmt.Errorf("access_token is not visible ASCII of 1 to %d bytes", maxWebToken))
	}
	return g, nil
}

// marked reports whether a member says anything but no: what cannot be read counts as yes.
func (o object) marked(name string) bool {
	switch string(o[name]) {
	case "", "null", "0", `"0"`, `""`, "false":
		return false
	}
	return true
}

// addProfile adds nickname and avatar, and the unionid if the first answer had none. What is not of the same person is left out.
func (w *Web) addProfile(ctx context.Context, g *webGrant) {
	query := url.Values{"access_token": {g.token}, "openid": {g.session.OpenID}, "lang": {"zh_CN"}}
	members, err := w.webCall(ctx, pathUserInfo, query, g.token)
	if err != nil {
		return
	}
	var openID, unionID string
	openIDErr, unionIDErr := members.id("openid", &openID), members.id("unionid", &unionID)
	nickname, nicknameErr := members.text("nickname")
	avatar, avatarErr := members.text("headimgurl")
	of := &g.session
	if errors.Join(openIDErr, unionIDErr, nicknameErr, avatarErr) != nil || openID != of.OpenID || of.UnionID != "" && unionID != "" && unionID != of.UnionID {
		return
	}
	of.Nickname, of.Avatar = nickname, avatar
	if of.UnionID == "" {
		of.UnionID = unionID
	}
}
