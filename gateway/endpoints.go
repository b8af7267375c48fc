package gateway

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"wxgate/gateway/answer"
	"wxgate/gateway/api"
	"wxgate/gateway/credential"
	"wxgate/gateway/limit"
	"wxgate/gateway/pay"
	"wxgate/gateway/push"
	"wxgate/gateway/route"
	"wxgate/input"
	"wxgate/message"
	"wxgate/upstream"
)

// endpointName is a key of the section endpoints.
type endpointName string

// The endpoints of the gateway. The last three have no key: health checks stay where load balancers look for them, preflights are
// those of any path, and WeChat says what the files are called by which it checks a domain.
const (
	endpointLogin      endpointName = "login"
	endpointLoginSkey  endpointName = "login_skey"
	endpointCloudLogin endpointName = "cloud_login"
	endpointH5         endpointName = "h5"
	endpointRefresh    endpointName = "refresh"
	endpointLogout     endpointName = "logout"
	endpointPhone      endpointName = "phone"
	endpointDecrypt    endpointName = "decrypt"
	endpointSessions   endpointName = "sessions"
	endpointProfile    endpointName = "profile"
	endpointUser       endpointName = "user"
	endpointPaySign    endpointName = "pay_sign"
	endpointPush       endpointName = "push"
	endpointJWKS       endpointName = "jwks"
	endpointHealth     endpointName = "health"
	endpointPreflight  endpointName = "preflight" // of server.cors
	endpointVerifyFile endpointName = "verify_file"
)

// EndpointsConfig is the section endpoints: the paths of each of the gateway's own endpoints.
type EndpointsConfig struct {
	Login      Paths `yaml:"login"`       // POST: a code of wx.login becomes a token
	LoginSkey  Paths `yaml:"login_skey"`  // of the dialect that answers {statusCode, message, data: {skey, user_id}}
	CloudLogin Paths `yaml:"cloud_login"` // POST: as login, by the headers of WeChat Cloud Run
	H5         Paths `yaml:"h5"`          // of web pages; below it are start, callback and exchange
	Refresh    Paths `yaml:"refresh"`     // POST: another token for the same session
	Logout     Paths `yaml:"logout"`      // POST: ends the session
	Phone      Paths `yaml:"phone"`       // POST: the phone number of the user
	Decrypt    Paths `yaml:"decrypt"`     // POST: opens data that WeChat encrypted
	Sessions   Paths `yaml:"sessions"`    // the list; below it is a path for each session
	Profile    Paths `yaml:"profile"`     // GET and PUT: the user
	User       Paths `yaml:"user"`        // where users erase themselves; below it is the export of what is known of them
	PaySign    Paths `yaml:"pay_sign"`    // of virtual payment
	Push       Paths `yaml:"push"`        // where WeChat pushes messages to
	JWKS       Paths `yaml:"jwks"`        // GET: the public keys

	Fields  api.FieldNames           `yaml:"fields"`  // what clients call their fields, beside the known names
	Answers map[string]answer.Config `yaml:"answers"` // how those at a path or below it answer; the longest path counts
}

// defaultEndpoints is where the endpoints are unless the file says otherwise.
func defaultEndpoints() EndpointsConfig {
	return EndpointsConfig{
		Login: Paths{"/api/v1/auth/wx-login", "/api/v1/auth/wechat-login"}, LoginSkey: Paths{"/api/v1/user/login"},
		CloudLogin: Paths{"/api/v1/auth/cloud-login"}, H5: Paths{"/api/v1/auth/h5"}, Refresh: Paths{"/api/v1/auth/refresh"}, Logout: Paths{"/api/v1/auth/logout"},
		Phone: Paths{"/api/v1/auth/phone"}, Decrypt: Paths{"/api/v1/auth/decrypt"}, Sessions: Paths{"/api/v1/auth/sessions"},
		Profile: Paths{"/api/v1/user/profile"}, User: Paths{"/api/v1/user"}, PaySign: Paths{"/api/v1/pay/virtual/sign"}, Push: Paths{push.Path}, JWKS: Paths{"/.well-known/jwks.json"},
		Fields:  api.FieldNames{Code: []string{}, RefreshToken: []string{}, PhoneCode: []string{}, Nickname: []string{}, Avatar: []string{}, Bio: []string{}},
		Answers: map[string]answer.Config{},
	}
}

// Paths are the literal paths of an endpoint; none: it is off. A method may stand before a path, instead of the endpoint's
// own, and behind it the query parameter that may hold the token of a GET: "GET /user/logout?token".
type Paths []string

// off is the text of an endpoint that has no path.
const off = "off"

// UnmarshalText reads the short form: one path, or off. Validate judges the path.
func (p *Paths) UnmarshalText(text []byte) error {
	*p = Paths{string(text)}
	if string(text) == off {
		*p = Paths{}
	}
	return nil
}

// Wanted names what an endpoint takes.
func (*Paths) Wanted() string { return "a path, a list of paths, or off" }

// The bounds of what an endpoint may be called.
const (
	maxPaths     = 16
	maxPathBytes = 256
)

// all are the paths of each endpoint, in the order of the file.
func (c EndpointsConfig) all() []struct {
	name  endpointName
	paths Paths
} {
	return []struct {
		name  endpointName
		paths Paths
	}{
		{endpointLogin, c.Login},
		{endpointLoginSkey, c.LoginSkey},
		{endpointCloudLogin, c.CloudLogin},
		{endpointH5, c.H5},
		{endpointRefresh, c.Refresh},
		{endpointLogout, c.Logout},
		{endpointPhone, c.Phone},
		{endpointDecrypt, c.Decrypt},
		{endpointSessions, c.Sessions},
		{endpointProfile, c.Profile},
		{endpointUser, c.User},
		{endpointPaySign, c.PaySign},
		{endpointPush, c.Push},
		{endpointJWKS, c.JWKS},
	}
}

// validate reports paths that are not literal, and those that two endpoints would answer.
func (c EndpointsConfig) validate() (f input.Faults) {
	for _, e := range c.all() {
		if len(e.paths) > maxPaths {
			f.Add(string(e.name), "has %d paths; %d are the most", len(e.paths), maxPaths)
		}
		for i, text := range e.paths {
			if fault := cmp.Or(faultOfPath(text), e.name.faultOfMethod(parsePlace(text))); fault != "" {
				f.Add(fmt.Sprintf("%s[%d]", e.name, i), "%s", fault)
			}
		}
	}
	f = append(f, c.Fields.Validate().At("fields")...)
	if f = append(f, c.validateAnswers()...); len(f) > 0 {
		return f
	}
	var claimed route.Table[endpointName]
	for _, e := range endpoints(&snapshot{cfg: Config{Endpoints: c}, pushes: make(push.Apps, 1)}) {
		pattern, _ := route.ParsePattern(e.path) // it is valid
		if other, taken := claimed.Of("").Add(pattern.WithoutLastSlash(), e.method, e.name); taken {
			f.Add(string(e.name), "%s %s is an endpoint already, of %s", e.method, e.path, other)
		}
	}
	return f
}

// validateAnswers reports the faults of endpoints.answers.
func (c EndpointsConfig) validateAnswers() (f input.Faults) {
	if len(c.Answers) > maxPaths {
		f.Add("answers", "has %d paths; %d are the most", len(c.Answers), maxPaths)
	}
	seen := map[string]string{}
	for _, path := range slices.Sorted(maps.Keys(c.Answers)) {
		at, folded := "answers."+path, strings.ToLower(strings.TrimSuffix(path, "/"))
		if other, twice := seen[folded]; twice {
			f.Add(at, "is listed twice, as %s too: paths are compared without case", other)
		}
		seen[folded] = path
		if !c.hasBelow(path) {
			f.Add(at, "no endpoint is there or below")
		}
		f = append(f, c.Answers[path].Validate().At(at)...)
	}
	return f
}

// hasBelow reports whether an endpoint is at a path or below it.
func (c EndpointsConfig) hasBelow(path string) bool {
	for _, e := range c.all() {
		if slices.ContainsFunc(e.paths, func(text string) bool { return isBelow(parsePlace(text).path, path) }) {
			return true
		}
	}
	return false
}

// isBelow reports whether a path is another one or below it, in any case, as routes are found.
func isBelow(path, above string) bool {
	path, above = strings.ToLower(path)+"/", strings.ToLower(strings.TrimSuffix(above, "/"))+"/"
	return strings.HasPrefix(path, above)
}

// answersAt is how an endpoint at a path answers. ok reports whether endpoints.answers says so.
func (c EndpointsConfig) answersAt(path string) (cfg answer.Config, ok bool) {
	longest := ""
	for above, own := range c.Answers {
		if isBelow(path, above) && (!ok || len(above) > len(longest)) {
			cfg, longest, ok = own, above, true
		}
	}
	return cfg, ok
}

// place is an entry of Paths.
type place struct {
	method string // "": the endpoint's own
	path   string
	query  string // the parameter that may hold the token; "": none
}

// parsePlace splits an entry, which need not be valid.
func parsePlace(text string) (p place) {
	p.path = text
	if method, path, found := strings.Cut(text, " "); found {
		p.method, p.path = method, path
	}
	p.path, p.query, _ = strings.Cut(p.path, "?")
	return p
}

// faultOfPath says why a text cannot be an entry of Paths, "" if it can.
func faultOfPath(text string) string {
	at := parsePlace(text)
	p, err := route.ParsePattern(at.path)
	switch {
	case !strings.HasPrefix(at.path, "/"):
		return fmt.Sprintf("%q is neither a path, which begins with /, nor %s alone", text, off)
	case err != nil:
		return err.Error()
	case p.TakesRest() || strings.Contains(at.path, "/:"):
		return fmt.Sprintf("%q is not literal, and an endpoint is found by nothing else", text)
	case len(text) > maxPathBytes:
		return fmt.Sprintf("has %d bytes; %d are the most", len(text), maxPathBytes)
	case at.query == "" && strings.HasSuffix(text, "?"):
		return fmt.Sprintf("%q names no query parameter", text)
	case at.query != "":
		if err := credential.CheckName(at.query); err != nil {
			return err.Error()
		}
	}
	return ""
}

// faultOfMethod says why an endpoint cannot answer at a place, "" if it can.
func (e endpointName) faultOfMethod(at place) string {
	methods := e.methods()
	switch {
	case at.method != "" && len(methods) == 0:
		return fmt.Sprintf("%q: only the methods of login, login_skey, refresh, logout and profile can be chosen", at.method)
	case at.method != "" && !slices.Contains(methods, at.method):
		return fmt.Sprintf("%q is not a method of it, which are %s", at.method, strings.Join(methods, ", "))
	case at.query != "" && (at.method != http.MethodGet || e.isLogin()):
		return fmt.Sprintf("?%s: a query holds the token of a GET alone, for refresh, logout and profile", at.query)
	}
	return ""
}

// methods are those that a path can name instead of the endpoint's own, with the reading one first.
func (e endpointName) methods() []string {
	switch e {
	case endpointLogin, endpointLoginSkey, endpointRefresh:
		return []string{http.MethodGet, http.MethodPost}
	case endpointLogout:
		return []string{http.MethodGet, http.MethodPost, http.MethodDelete}
	case endpointProfile:
		return []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch}
	}
	return nil
}

// isLogin reports whether the endpoint takes a code of WeChat, and no token.
func (e endpointName) isLogin() bool {
	return e == endpointLogin || e == endpointLoginSkey || e == endpointCloudLogin || e == endpointH5
}

// changes reports whether an endpoint changes something whatever its method is, so that a page of another origin must
// not use it with a cookie.
func (e endpointName) changes() bool { return e == endpointRefresh || e == endpointLogout }

// endpoint is a path that the gateway answers itself.
type endpoint struct {
	name     endpointName
	label    string // in the description of the API, wherever it is: "GET h5/start"
	method   string
	path     string // the pattern
	priority priority
	auth     AuthMode
	limit    *limit.Bucket
	check    func(*pipeline, *Exchange) error // what is refused before the body is read; nil: nothing
	serve    func(*pipeline, *Exchange) error
	query    string // the query parameter that may hold the token; "": none
}

// at is the endpoint at a place. ok reports whether it answers there: of the two of a profile, one reads and one writes.
func (e endpoint) at(p place) (there endpoint, ok bool) {
	e.path, e.query = p.path, p.query
	if p.method == "" {
		return e, true
	}
	if e.name == endpointProfile && (e.method == http.MethodGet) != (p.method == http.MethodGet) {
		return e, false
	}
	e.method = p.method
	return e, true
}

// endpoints is the gateway's own API. A configured route overrides one of them only with the same literal path.
func endpoints(r *snapshot) (all []endpoint) {
	const get, post, put, login, normal, health = http.MethodGet, http.MethodPost, http.MethodPut, priorityLogin, priorityNormal, priorityHealth
	at, probes, root := r.cfg.Endpoints, Paths{"/healthz", "/"}, Paths{"/"} // WeChat Cloud Run probes / without a token
	for _, of := range []struct {
		paths Paths
		below string
		endpoint
	}{
		{at.Login, "", endpoint{name: endpointLogin, method: post, priority: login, auth: AuthNone, limit: r.logins, serve: apiEndpoint((*api.API).Login)}},
		{at.LoginSkey, "", endpoint{name: endpointLoginSkey, method: post, priority: login, auth: AuthNone, limit: r.logins, serve: apiEndpoint((*api.API).LegacyLogin)}},
		{at.Refresh, "", endpoint{name: endpointRefresh, method: post, priority: normal, auth: AuthNone, serve: apiEndpoint((*api.API).Refresh)}},                   // accepts expired tokens, so it reads them itself
		{at.Logout, "", endpoint{name: endpointLogout, method: post, priority: normal, auth: AuthOptional, limit: r.writes, serve: apiEndpoint((*api.API).Logout)}}, // accepts tokens from the body too, and no guest
		{at.CloudLogin, "", endpoint{name: endpointCloudLogin, method: post, priority: login, auth: AuthNone, limit: r.logins, serve: apiEndpoint((*api.API).CloudLogin)}},
		{at.H5, webStart, endpoint{name: endpointH5, method: get, priority: normal, auth: AuthNone, serve: apiEndpoint(api.WebStart)}},
		{at.H5, webCallback, endpoint{name: endpointH5, method: get, priority: login, auth: AuthNone, limit: r.logins, serve: apiEndpoint(api.WebCallback)}},
		{at.H5, "/exchange", endpoint{name: endpointH5, method: post, priority: login, auth: AuthNone, serve: apiEndpoint(api.WebExchange)}}, // a code that is not ours costs nothing
		{at.Decrypt, "", endpoint{name: endpointDecrypt, method: post, priority: normal, auth: AuthRequired, serve: apiEndpoint((*api.API).Decrypt)}},
		{at.Phone, "", endpoint{name: endpointPhone, method: post, priority: normal, auth: AuthRequired, limit: r.writes, serve: apiEndpoint((*api.API).Phone)}},
		{at.Sessions, "", endpoint{name: endpointSessions, method: get, priority: normal, auth: AuthRequired, serve: apiEndpoint((*api.API).Sessions)}},
		{at.Sessions, "/:id", endpoint{name: endpointSessions, method: http.MethodDelete, priority: normal, auth: AuthRequired, limit: r.writes, serve: apiEndpoint((*api.API).EndSession)}},
		{at.JWKS, "", endpoint{name: endpointJWKS, method: get, priority: normal, auth: AuthNone, serve: apiEndpoint((*api.API).Keys)}},
		{at.Profile, "", endpoint{name: endpointProfile, method: get, priority: normal, auth: AuthRequired, serve: apiEndpoint((*api.API).Profile)}},
		{at.Profile, "", endpoint{name: endpointProfile, method: put, priority: normal, auth: AuthRequired, limit: r.writes, serve: apiEndpoint((*api.API).UpdateProfile)}},
		{at.User, "", endpoint{name: endpointUser, method: http.MethodDelete, priority: normal, auth: AuthRequired, limit: r.writes, serve: apiEndpoint((*api.API).DeleteUser)}},
		{at.User, "/export", endpoint{name: endpointUser, method: get, priority: normal, auth: AuthRequired, limit: r.writes, serve: apiEndpoint((*api.API).ExportUser)}},
		{at.PaySign, "", endpoint{name: endpointPaySign, method: post, priority: normal, auth: AuthRequired, limit: r.writes, serve: apiEndpoint(api.SignPayment)}},
		{at.Push, "", endpoint{name: endpointPush, method: get, priority: normal, auth: AuthNone, serve: echoPush}},
		{at.Push, "", endpoint{name: endpointPush, method: post, priority: normal, auth: AuthNone, check: checkPush, serve: receivePush}},
		{probes, "", endpoint{name: endpointHealth, method: get, priority: health, auth: AuthNone, serve: healthz}},
		{probes, "", endpoint{name: endpointHealth, method: http.MethodHead, priority: health, auth: AuthNone, serve: healthz}},
		{root, "", endpoint{name: endpointHealth, method: http.MethodOptions, priority: health, auth: AuthNone, serve: func(_ *pipeline, ex *Exchange) error { return answerOptions(ex) }}}, // HAProxy's httpchk, unless told otherwise
	} {
		if of.name == endpointPush && len(r.pushes) == 0 {
			continue
		}
		of.endpoint.label = of.method + " " + string(of.name) + of.below
		for _, text := range of.paths {
			at := parsePlace(text)
			if of.below != "" {
				at.path = strings.TrimSuffix(at.path, "/") + of.below
			}
			if there, ok := of.endpoint.at(at); ok {
				all = append(all, there)
			}
		}
	}
	return append(all, verifyFiles(r.cfg.WebLogin.VerifyFiles())...)
}

// verifyFiles serve the files by which WeChat checks that a domain is the account's.
func verifyFiles(files map[string]string) (all []endpoint) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		all = append(all, endpoint{
			name: endpointVerifyFile, method: http.MethodGet, path: "/" + name, priority: priorityNormal, auth: AuthNone,
			serve: func(_ *pipeline, ex *Exchange) error {
				respondText(ex, files[name])
				return nil
			},
		})
	}
	return all
}

// The steps of a login on a web page in which the browser itself comes, below endpoints.h5.
const (
	webStart    = "/start"
	webCallback = "/callback"
)

// newWebLogin is how people log in on web pages by the endpoint of an exchange. WeChat leads back to where the browser came: the
// host is its word, which WeChat compares with the domain of the account. Whatever is no page on this machine is on TLS, even if
// that ends at a proxy we do not know of.
func newWebLogin(ex *Exchange) *api.WebLogin {
	host := string(ex.forwardedHost())
	plain := ex.forwardedProto() == "http" && isLoopbackHost(host)
	scheme := "https://"
	if plain {
		scheme = "http://"
	}
	base := ex.route.pattern[:strings.LastIndexByte(ex.route.pattern, '/')]
	return &api.WebLogin{WebLogin: ex.snapshot.cfg.WebLogin, Callback: scheme + host + base + webCallback, Secure: !plain}
}

// isLoopbackHost reports whether a Host is this machine, as its browsers call it.
func isLoopbackHost(host string) bool {
	if _, _, err := net.SplitHostPort(host); err != nil {
		host += ":0"
	}
	return loopback(host)
}

// endpointBodyLimit is the largest request body of an endpoint; encryptedData of WeChat is far smaller.
const endpointBodyLimit = 64 << 10

// disabled reports whether the endpoint has no function under this configuration, so that it answers 404 no_route.
func (e endpoint) disabled(cfg Config) bool {
	switch e.name {
	case endpointCloudLogin:
		return !cfg.CloudRun && cfg.FunctionKey == ""
	case endpointH5:
		return len(cfg.WebLogin.Accounts) == 0
	case endpointPaySign:
		return len(cfg.VirtualPayments) == 0
	case endpointJWKS:
		return !cfg.PublicKeys && cfg.Identity.Signed.Header == ""
	}
	return false
}

// extraLimits describes the limits that the endpoint counts itself, beside the one of its route, because it learns late
// which user it is or whether to count.
func (e endpoint) extraLimits(cfg Config) []string {
	decryptFailures := cfg.Limits.DecryptFailures.String() + " for data that cannot be decrypted"
	switch e.name {
	case endpointRefresh:
		return []string{cfg.Limits.Writes.String()}
	case endpointDecrypt:
		return []string{decryptFailures}
	case endpointPhone:
		if cfg.PhoneByDecryption {
			return []string{phoneLimit().String(), decryptFailures}
		}
		return []string{phoneLimit().String()}
	}
	if e.priority == priorityLogin && !strings.HasSuffix(e.path, webCallback) {
		return []string{"and per " + limit.PerOpenID}
	}
	return nil
}

// needsStore reports whether the endpoint uses the store; the others only publish what is in memory.
func (e endpoint) needsStore() bool {
	return e.auth != AuthNone || e.method == http.MethodPost || e.name.isLogin() || e.name == endpointRefresh
}

// healthz answers GET /healthz and GET /: the process is alive. It reveals nothing else.
func healthz(p *pipeline, ex *Exchange) error {
	healthy, err := answer.Success("success", map[string]string{"status": "ok"}, p.deps.Now())
	if err != nil {
		return err
	}
	healthy.Fill(&ex.response)
	return nil
}

// echoPush answers the GET with which WeChat verifies the address.
func echoPush(p *pipeline, ex *Exchange) error {
	_, query, _ := strings.Cut(string(ex.target.Raw), "?")
	echo, err := p.pushes.Echo(ex.ctx, ex.snapshot.pushes, query)
	if err != nil {
		return err
	}
	respondText(ex, echo)
	return nil
}

// receivePush answers a message that WeChat pushes with what the service answers. WeChat sends it again after an error.
func receivePush(p *pipeline, ex *Exchange) error {
	message, check, err := openPush(p, ex)
	if err != nil {
		return err
	}
	ex.hold.Close() // WeChat sends for all users, from a few addresses
	if check {
		respondText(ex, "success")
		return nil
	}
	ctx, cancel := context.WithTimeout(ex.trace.Context(ex.ctx), message.Budget()-p.deps.Now().Sub(ex.start))
	defer cancel()
	reply, err := p.pushes.Deliver(ctx, message, ex.snapshot.upstreams[message.Upstream()], ex.id)
	if err != nil {
		return err
	}
	ex.response.Fields.Add("Content-Type", reply.ContentType)
	ex.response.Body = append(ex.response.Body, reply.Body...)
	return nil
}

// checkPush refuses a message by its query, before its body is read.
func checkPush(p *pipeline, ex *Exchange) error {
	query, unsigned := pushQuery(ex)
	if unsigned {
		return nil
	}
	return p.pushes.Check(ex.snapshot.pushes, query)
}

// openPush opens a message by its signature, or, of WeChat Cloud Run, by who brings it; check says that it is only the check of a
// container.
func openPush(p *pipeline, ex *Exchange) (m push.Message, check bool, err error) {
	query, unsigned := pushQuery(ex)
	if unsigned {
		return p.pushes.OpenUnsigned(ex.snapshot.pushes, ex.cloudApp, &ex.body)
	}
	m, err = p.pushes.Open(ex.snapshot.pushes, query, &ex.body)
	return m, false, err
}

// pushQuery is the raw query that signs a message; unsigned says that WeChat Cloud Run brings it, and nobody signs it.
func pushQuery(ex *Exchange) (query string, unsigned bool) {
	_, query, _ = strings.Cut(string(ex.target.Raw), "?")
	return query, query == "" && broughtByCloudRun(ex) && !isOfClient(ex.cloudSource) && !isOfFunction(ex.cloudSource)
}

// AuthWeChatPay is how a route with wechat_pay is shown: WeChat's signature takes the place of a token.
const AuthWeChatPay AuthMode = "wechat_pay"

// sourcePayCallback is where WeChat Cloud Run says that the notifications of WeChat Pay come from, which it does not sign.
const sourcePayCallback = "wx_paycallback"

// isPayCallback reports whether a source says so, and no person is behind it.
func isPayCallback(source string) bool {
	return message.ListContains([]byte(source), sourcePayCallback) && !isOfClient(source)
}

// takeNotifications makes a route one for the notifications of WeChat Pay.
func takeNotifications(p *pipeline, made *routeEntry, r *snapshot, cfg RouteConfig, keys *pay.Keys) error {
	merchant, err := pay.NewMerchant(cfg.WeChatPay, keys)
	if err != nil {
		return fmt.Errorf("wechat_pay: %w", err)
	}
	if made.answers, err = r.shapes.Of(answer.Config{Refusal: pay.Refusal}); err != nil {
		return fmt.Errorf("wechat_pay: %w", err)
	}
	made.keepStatus, made.needsStore, made.bodyLimit, made.timeout = true, true, pay.MaxBody, min(made.timeout, pay.AnswerTimeout)
	made.precheck = func(ex *Exchange) (err error) {
		if !merchant.Unsigned() || !isPayCallback(ex.cloudSource) {
			ex.signature, err = p.payments.ReadSignature(merchant, &ex.request.Fields)
		}
		if err != nil {
			return err
		}
		return ex.next()
	}
	to := made.upstream
	made.upstream, made.adaptive = nil, nil // the answer is ours
	made.endpoint = func(ex *Exchange) error { return receivePayment(p, ex, merchant, to) }
	return nil
}

// receivePayment answers a notification of WeChat Pay once the service has accepted it. WeChat Pay sends it again otherwise.
func receivePayment(p *pipeline, ex *Exchange, of *pay.Merchant, to *upstream.Upstream) (err error) {
	var n pay.Notification
	if of.Unsigned() {
		n, err = p.payments.OpenUnsigned(of, &ex.body)
	} else {
		n, err = p.payments.Open(of, ex.signature, &ex.body)
	}
	if err != nil {
		return err
	}
	ex.hold.Close() // WeChat Pay sends for all users, from a few addresses
	out := &ex.outbound
	out.Target, _, _ = bytes.Cut(ex.upstreamTarget(), []byte("?")) // nobody signs a query, and WeChat Pay sends none
	ex.route.changes.Apply(&out.Fields)
	out.Fields.Set(answer.HeaderRequestID, ex.id)
	setTrace(ex, &out.Fields)
	ctx, cancel := context.WithTimeout(ex.ctx, ex.route.timeout-p.deps.Now().Sub(ex.start))
	defer cancel()
	if err := p.payments.Deliver(ctx, n, out, to); err != nil {
		return err
	}
	n.Answer(&ex.response)
	return nil
}

func respondText(ex *Exchange, text string) {
	ex.response.Fields.Add("Content-Type", "text/plain; charset=utf-8")
	ex.response.Body = append(ex.response.Body, text...)
}
