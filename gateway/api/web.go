package api

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/gateway/answer"
	"wxgate/gateway/header"
)

// WebLogin is how people log in on web pages, for a call about that.
type WebLogin struct {
	wechat.WebLogin

	Callback string // the URL to which WeChat sends browsers back
	Secure   bool   // the browser speaks TLS, so far as it is not a page on this machine
}

// PageError is a refusal while a browser is on its way, and the page that it came from, where it is told the reason.
type PageError struct {
	Err  error
	page string
}

func (e *PageError) Error() string { return e.Err.Error() }

// Unwrap makes errors.Is find the row of the error table.
func (e *PageError) Unwrap() error { return e.Err }

// Location is where the browser is sent for a reason of the error table.
func (e *PageError) Location(reason string) string { return e.page + "#error=" + reason }

// errorDenied is what a page is told of a person who did not allow the login (RFC 6749 §4.1.2.1).
const errorDenied = "access_denied"

// The cookie with the secret of a browser. With its prefix no other host can set one for us, not even one of the same domain, and
// log somebody in as somebody else (RFC 6265bis §4.1.3.2); browsers take the prefix over TLS alone.
const (
	webCookie      = "__Host-wxgate-h5"
	webCookiePlain = "wxgate-h5"
)

// WebCookies are the names of the cookies that are ours alone.
func WebCookies() []string { return []string{webCookie, webCookiePlain} }

func (w *WebLogin) cookie() string {
	if w.Secure {
		return webCookie
	}
	return webCookiePlain
}

// setCookie lets the browser keep its secret for as long as a login may take.
func (w *WebLogin) setCookie(c *fiber.Ctx, browser string) {
	line := fmt.Sprintf("%s=%s; Max-Age=%d; Path=/; HttpOnly; SameSite=Lax", w.cookie(), browser, authn.WebStateLife/time.Second)
	if w.Secure {
		line += "; Secure"
	}
	c.Set(fiber.HeaderSetCookie, line)
}

// browserBytes is the length of a browser's secret, before it is written in hex.
const browserBytes = 32

// browserOf is the secret of the browser, "" if it has none, or several.
func browserOf(call *Call) (browser string) {
	found := 0
	header.EachCookie(call.Fields, func(name, value []byte) {
		if string(name) == call.Web.cookie() {
			browser = string(value)
			found++
		}
	})
	secret, err := hex.DecodeString(browser)
	if found != 1 || err != nil || len(secret) != browserBytes {
		return ""
	}
	return browser
}

func newBrowser() string {
	var secret [browserBytes]byte
	_, _ = rand.Read(secret[:]) // never fails
	return hex.EncodeToString(secret[:])
}

// webQuery is the query of a step, each parameter once: what two readers could read differently is refused.
func webQuery(c *fiber.Ctx) (url.Values, error) {
	query, err := url.ParseQuery(string(c.Request().URI().QueryString()))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	for name, values := range query {
		if len(values) > 1 {
			return nil, fmt.Errorf("%w: %.32q is there twice", answer.ErrInvalidRequest, name)
		}
	}
	return query, nil
}

// WebStart answers GET /api/v1/auth/h5/start?return_to=…[&kind=website]: it sends the browser to WeChat. A browser that has
// begun another login keeps its secret, so that two pages can be open.
func WebStart(a *API, c *fiber.Ctx) error {
	web := callOf(c).Web
	query, err := webQuery(c)
	if err != nil {
		return err
	}
	kind := web.kindOf(query.Get("kind"))
	account, known := web.Accounts[kind]
	page := query.Get("return_to")
	switch {
	case !known:
		return &authn.FieldError{Field: "kind", Problem: "不是已配置的帐号"}
	case !slices.Contains(account.ReturnTo, page):
		return &authn.FieldError{Field: "return_to", Problem: "不在该帐号的 return_to 列表中"}
	}
	browser := browserOf(callOf(c))
	if browser == "" {
		browser = newBrowser()
	}
	web.setCookie(c, browser)
	return redirect(c, web.Authorize(kind, web.Callback, a.auth.Web.Begin(browser, kind, page)))
}

// kindOf is the account that a parameter names: without one that of pages within WeChat, or the only one there is.
func (w *WebLogin) kindOf(named string) wechat.WebKind {
	if _, official := w.Accounts[wechat.WebOfficialAccount]; named == "" && !official {
		return wechat.WebWebsite
	}
	if named == "" {
		return wechat.WebOfficialAccount
	}
	return wechat.WebKind(named)
}

// redirect sends the browser elsewhere, where it does not say from which address it comes.
func redirect(c *fiber.Ctx, to string) error {
	c.Set(fiber.HeaderLocation, to)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Status(fiber.StatusFound)
	return nil
}

// WebCallback answers GET /api/v1/auth/h5/callback, where WeChat sends the browser: it goes back to its page with a one-time
// code, or with an error. The page is one of the configuration, whatever the state says.
func WebCallback(a *API, c *fiber.Ctx) error {
	call := callOf(c)
	query, err := webQuery(c)
	if err != nil {
		return err
	}
	state, code := query.Get("state"), query.Get("code")
	page, ok := authn.PageOf(state, call.Web.WebLogin)
	if !ok {
		return authn.ErrWebLogin
	}
	browser := browserOf(call)
	if err := a.auth.Web.Check(browser, state); err != nil {
		return &PageError{err, page}
	}
	if code == "" || code == "authdeny" { // the person refused; website apps have said so in the code
		return redirect(c, page+"#error="+errorDenied)
	}
	oneTime, err := a.auth.Web.Return(c.UserContext(), browser, state, code, call.Web.Profiles)
	if err != nil {
		return &PageError{err, page}
	}
	return redirect(c, page+"#code="+oneTime)
}

// WebExchange answers POST /api/v1/auth/h5/exchange, as a login.
func WebExchange(a *API, c *fiber.Ctx) error {
	call := callOf(c)
	var body struct {
		Code string `json:"code"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	grant, err := a.auth.Web.Exchange(c.UserContext(), browserOf(call), body.Code, authn.Login{
		Admit: call.Limits.Login, Content: call.Content, Device: deviceFromUserAgent(c.Get(fiber.HeaderUserAgent)),
	})
	if err != nil {
		return err
	}
	sendGrant(c, call.Answers.Login(grant, a.now()), grant)
	return nil
}
