package sandbox

import (
	"crypto/subtle"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"wxgate/authn/wechat"
	"wxgate/secret"
)

// WebAccount is an account whose web pages log people in.
type WebAccount struct {
	AppID  string
	Secret secret.Text
}

// webCodes are the codes of logins on web pages, and the access_tokens that they were exchanged for.
type webCodes struct {
	*ledger

	mu     sync.Mutex
	logins map[string]webLogin // by code
	tokens map[string]webLogin
}

// webLogin is who logged in where.
type webLogin struct {
	appID    string
	person   string
	scope    string
	snapshot bool // on a snapshot page, where WeChat makes a person up
}

// maxWebLogins is the number of logins at which all are dropped, so that a load test does not fill the memory.
const maxWebLogins = 100_000

func (c *webCodes) issue(l webLogin) (code string) {
	code = c.ledger.issue(l.person)
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.logins, code, l)
	return code
}

// grant returns an access_token for a login.
func (c *webCodes) grant(l webLogin) (token string) {
	token = "web-" + randomHex()
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.tokens, token, l)
	return token
}

func put(among map[string]webLogin, key string, l webLogin) {
	if len(among) >= maxWebLogins {
		clear(among)
	}
	among[key] = l
}

// login is that of a code, or what a code of a known form says.
func (c *webCodes) login(code, appID string) webLogin {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l, issued := c.logins[code]; issued {
		return l
	}
	l := webLogin{appID: appID, scope: wechat.ScopeUserInfo}
	if person, snapshot := strings.CutPrefix(code, "snapshot-"); snapshot {
		l.person, l.snapshot = person, true
	}
	return l
}

func (c *webCodes) ofToken(token string) (l webLogin, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, ok = c.tokens[token]
	return l, ok
}

// web is WeChat's side of a login on a web page.
type web struct {
	cfg     *Config
	backend func() *backend
}

func (w web) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /connect/oauth2/authorize", w.page("公众号网页授权", w.cfg.OfficialAccount, wechat.ScopeBase, wechat.ScopeUserInfo))
	mux.HandleFunc("GET /connect/qrconnect", w.page("扫码登录", w.cfg.Website, wechat.ScopeLogin))
	mux.HandleFunc("GET /connect/confirm", w.confirm)
	mux.HandleFunc("GET /sns/oauth2/access_token", w.accessToken)
	mux.HandleFunc("GET /sns/userinfo", w.userInfo)
}

// authorizeParameters are those of the page, in the order that WeChat wants.
func authorizeParameters() []string {
	return []string{"appid", "redirect_uri", "response_type", "scope", "state"}
}

// askPage is what a person sees: WeChat itself asks only with snsapi_userinfo, but here somebody must say who is asked. Without
// the fragment WeChat shows an error, which only a script can see. html/template would fill it in too, and with it the linker keeps
// every method of every type: 5 MB (decision 0192).
const askPage = `<!doctype html>
<html lang="zh"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>微信登录（沙箱）</title>
<h1>{{title}}</h1>
<p>{{host}} 申请使用你的微信帐号（{{scope}}）</p>
<form action="/connect/confirm">
<input type="hidden" name="appid" value="{{appid}}"><input type="hidden" name="scope" value="{{scope}}">
<input type="hidden" name="redirect_uri" value="{{redirect}}"><input type="hidden" name="state" value="{{state}}">
<p><label>你是谁 <input name="person" value="alice"></label></p>
<p><button id="allow" name="answer" value="allow">允许</button>
<button id="refuse" name="answer" value="refuse">拒绝</button>
<button id="snapshot" name="answer" value="snapshot">快照页</button></p>
</form>
<script>if (location.hash !== '#wechat_redirect') document.querySelector('form').outerHTML = '<p id="fault">缺少 #wechat_redirect</p>'</script>
</html>
`

// page asks a person. Parameters that WeChat would not take are refused with its words.
func (w web) page(title string, account WebAccount, scopes ...string) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		if fault := authorizeFault(r.URL.RawQuery, account, scopes); fault != "" {
			http.Error(rw, fault, http.StatusBadRequest)
			return
		}
		query := r.URL.Query()
		to, _ := url.Parse(query.Get("redirect_uri")) // it was parsed before
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = strings.NewReplacer(
			"{{title}}", title, "{{host}}", html.EscapeString(to.Host), "{{appid}}", html.EscapeString(query.Get("appid")), "{{scope}}", html.EscapeString(query.Get("scope")),
			"{{redirect}}", html.EscapeString(query.Get("redirect_uri")), "{{state}}", html.EscapeString(query.Get("state")),
		).WriteString(rw, askPage)
	}
}

// authorizeFault is what WeChat shows instead of the page, "" if all is well.
func authorizeFault(raw string, account WebAccount, scopes []string) string {
	query, err := url.ParseQuery(raw)
	var names []string
	for part := range strings.SplitSeq(raw, "&") {
		name, _, _ := strings.Cut(part, "=")
		names = append(names, name)
	}
	state := query.Get("state")
	switch {
	case err != nil || strings.Join(names, " ") != strings.Join(authorizeParameters(), " "):
		return "参数错误: the parameters are not " + strings.Join(authorizeParameters(), ", ") + " in this order"
	case account.AppID == "" || query.Get("appid") != account.AppID:
		return "AppID 参数错误 (10013)"
	case query.Get("response_type") != "code":
		return "response_type 参数错误"
	case !strings.Contains(" "+strings.Join(scopes, " ")+" ", " "+query.Get("scope")+" "):
		return "Scope 参数错误或没有 Scope 权限 (10005)"
	case state == "" || len(state) > 128 || strings.ContainsFunc(state, func(r rune) bool { return r == '_' || r == '-' || !wechat.ValidCode(string(r)) }):
		return "state 参数错误: not 1 to 128 of a-zA-Z0-9"
	case !onThisMachine(query.Get("redirect_uri")):
		return "redirect_uri 域名与后台配置不一致 (10003): the sandbox leads back to this machine alone"
	}
	return ""
}

// onThisMachine reports whether a URL is one of a loopback address: the sandbox logs everybody in as anybody.
func onThisMachine(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// confirm leads back to the web page: with a code and the state, or after 拒绝 with the state alone.
func (w web) confirm(rw http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	person, answer := query.Get("person"), query.Get("answer")
	if !onThisMachine(query.Get("redirect_uri")) || person == "" {
		http.Error(rw, "redirect_uri or person", http.StatusBadRequest)
		return
	}
	back := query.Get("redirect_uri") + "?"
	if answer != "refuse" {
		back += "code=" + w.backend().webs.issue(webLogin{query.Get("appid"), person, query.Get("scope"), answer == "snapshot"}) + "&"
	}
	http.Redirect(rw, r, back+"state="+url.QueryEscape(query.Get("state")), http.StatusFound)
}

// fault returns the errcode for a missing or wrong parameter of an exchange.
func (w web) fault(query url.Values) int {
	appID, given := query.Get("appid"), query.Get("secret")
	for _, account := range []WebAccount{w.cfg.OfficialAccount, w.cfg.Website} {
		switch {
		case account.AppID == "" || account.AppID != appID:
		case subtle.ConstantTimeCompare([]byte(given), []byte(account.Secret.Reveal())) != 1:
			return wechat.ErrCodeInvalidSecret
		case query.Get("code") == "":
			return wechat.ErrCodeMissingCode
		case query.Get("grant_type") != "authorization_code":
			return wechat.ErrCodeInvalidGrantType
		default:
			return wechat.CodeOK
		}
	}
	return wechat.ErrCodeInvalidAppID
}

// accessToken is the second step of the page "网页授权".
func (w web) accessToken(rw http.ResponseWriter, r *http.Request) {
	query, b := r.URL.Query(), w.backend()
	if errcode := w.fault(query); errcode != wechat.CodeOK {
		writeError(rw, errcode, false)
		return
	}
	code, appID := query.Get("code"), query.Get("appid")
	script, l := parseScript(code), b.webs.login(code, appID)
	if script.errcode != wechat.CodeOK {
		writeError(rw, script.errcode, script.asString)
		return
	}
	if script.person == "" {
		script.person = l.person
	}
	person, errcode := spend(b.webs.ledger, code, script)
	if errcode == wechat.CodeOK && l.appID != appID {
		errcode = wechat.ErrCodeInvalidCode
	}
	if errcode != wechat.CodeOK {
		writeError(rw, errcode, false)
		return
	}
	l.person = person
	answer := w.grant(b, l)
	if script.broken != "" {
		breakAnswer(rw, script.broken, answer)
		return
	}
	write(rw, answer)
}

// grant is the answer to an exchange. A snapshot page has a made-up person, who differs each time.
func (w web) grant(b *backend, l webLogin) map[string]any {
	openID := openID(l.appID, l.person)
	if l.snapshot {
		openID = "oSnapshot" + randomHex()[:19]
	}
	answer := map[string]any{
		"access_token": b.webs.grant(l), "expires_in": 7200, "refresh_token": "web-refresh-" + randomHex(), "openid": openID, "scope": l.scope,
	}
	if l.snapshot {
		answer["is_snapshotuser"] = 1
	}
	if l.scope != wechat.ScopeBase && w.cfg.OpenPlatform {
		answer["unionid"] = unionID(l.person)
	}
	return answer
}

// userInfo is the last step of the page "网页授权".
func (w web) userInfo(rw http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	l, known := w.backend().webs.ofToken(query.Get("access_token"))
	switch {
	case !known:
		writeError(rw, wechat.ErrCodeInvalidToken, false)
		return
	case query.Get("openid") != openID(l.appID, l.person):
		writeError(rw, wechat.ErrCodeInvalidOpenID, false)
		return
	case l.scope == wechat.ScopeBase:
		writeError(rw, wechat.ErrCodeUnauthorized, false)
		return
	}
	answer := map[string]any{
		"openid": query.Get("openid"), "nickname": l.person, "sex": 0, "language": "", "city": "", "province": "", "country": "",
		"headimgurl": fmt.Sprintf("https://thirdwx.qlogo.cn/mmopen/vi_32/%s/132", digest("avatar", l.person)[:20]), "privilege": []string{},
	}
	if w.cfg.OpenPlatform {
		answer["unionid"] = unionID(l.person)
	}
	write(rw, answer)
}

// webCode is the page of WeChat, where person allows it, for curl.
func (c control) webCode(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Person   string `json:"person"`
		Kind     string `json:"kind"`
		Snapshot bool   `json:"snapshot"`
	}
	if !read(w, r, &body, `{"person":"alice","kind":"official_account"}`) || !named(w, body.Person) {
		return
	}
	account, scope := c.cfg.OfficialAccount, wechat.ScopeUserInfo
	if body.Kind == string(wechat.WebWebsite) {
		account, scope = c.cfg.Website, wechat.ScopeLogin
	}
	respond(w, map[string]string{"code": c.IssueWebCode(account.AppID, body.Person, scope, body.Snapshot)})
}
