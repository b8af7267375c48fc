package command

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/authn/issuer"
	"wxgate/authn/wechat"
	"wxgate/config"
	"wxgate/gateway"
	"wxgate/upstream"
)

type explainCommand struct {
	output

	Method     string     `arg:"" complete:"method" help:"GET, POST and so on."`
	Path       string     `arg:"" help:"Path and query, as a client sends them."`
	Host       string     `default:"localhost" placeholder:"HOST" help:"The Host of the request (localhost)."`
	Header     []string   `short:"H" sep:"none" placeholder:"'NAME: VALUE'" help:"Another header; may be repeated."`
	BodyLength int64      `placeholder:"BYTES" help:"The length of the body."`
	From       netip.Addr `default:"192.0.2.1" placeholder:"ADDRESS" help:"The address that the connection comes from (192.0.2.1, a stranger)."`
	Token      string     `help:"A token, to see whether it would be accepted; only the running gateway knows whether its session has ended."`
}

// explained is what the gateway would do with a request and its token.
type explained struct {
	gateway.Explanation
	Token   *verdict `json:"token,omitempty"`     // nil: none was given
	Targets []string `json:"targets,omitempty"`   // of the upstream that it goes to
	OnUser  string   `json:"on_user,omitempty"`   // what it has to do with authn.on_user; empty: nothing
	Content string   `json:"content,omitempty"`   // what it has to do with wechat.content_check; empty: nothing
	Issuer  string   `json:"tokens_of,omitempty"` // whose tokens the route wants, if not ours

	method string // the method in question
}

// Validate says how to write the request, where it is clear what was meant.
func (c *explainCommand) Validate() error {
	if c.Method == "" || c.Path == "" {
		return nil // the parser reports missing arguments
	}
	if upper := strings.ToUpper(c.Method); upper != c.Method && slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, upper) {
		return fmt.Errorf("%s: methods are written in capitals: %s", c.Method, upper)
	}
	if !strings.HasPrefix(c.Path, "/") && !strings.Contains(c.Path, "://") && c.Method != "CONNECT" && c.Path != "*" {
		return fmt.Errorf("%s: a path begins with /: /%s", c.Path, c.Path)
	}
	return nil
}

// Run prints what the gateway would do with a request, and returns an error if it would be refused. The gateway need
// not be running, and nothing is sent.
func (c explainCommand) Run(w *env) error {
	cfg, err := config.LoadRouting(w.config, w.lookup)
	if err != nil {
		return err
	}
	question, verdict := c.question(), (*verdict)(nil) // nil: no token was given, or looked at
	if c.Token != "" {
		keys, err := config.Load(w.config, w.lookup)
		if err != nil {
			return fmt.Errorf("the token needs the keys: %w", err)
		}
		question.TokenFault = func(name string) (fault error) {
			verdict, fault = c.checkToken(keys, name, w.config)
			return fault
		}
	}
	got, err := gateway.Explain(cfg.Gateway(), question)
	if err != nil {
		return err
	}
	e := explained{Explanation: got, method: c.Method, Token: verdict, OnUser: aboutOnUser(cfg, got), Content: aboutContent(cfg, got)}
	if got.Route != nil {
		for _, each := range cfg.Authn.Issuers {
			if each.Name == got.Route.Issuer {
				e.Issuer = each.String()
			}
		}
	}
	if got.Route != nil && got.Target != "" {
		service := cfg.Upstreams[got.Route.To]
		e.Targets = targetsOf(service)
		e.replaceHost(service)
	}
	if err := c.print(w.stdout, e, e.write); err != nil {
		return err
	}
	if e.Refusal != nil {
		return fmt.Errorf("it would be refused: %d %s", e.Refusal.Status, e.Refusal.Reason)
	}
	return nil
}

// checkToken checks the token with the keys of the configuration, for a route that wants tokens of an issuer, "" for ours.
func (c explainCommand) checkToken(cfg config.Config, name, file string) (*verdict, error) {
	bearer, now := bareToken(c.Token), time.Now()
	if i := slices.IndexFunc(cfg.Authn.Issuers, func(each issuer.Config) bool { return each.Name == name && name != "" }); i >= 0 {
		return judgeIssued(cfg.Authn.Issuers[i], bearer, cfg.Authn.Leeway, now)
	}
	v := signatureOf(bearer, cfg.Authn.Keys, file)
	fault := authn.CheckToken(cfg.Authn, bearer, now)
	if fault != nil && v.Valid {
		v = verdict{Key: v.Key, Detail: fmt.Sprintf("matches key %q, but: %v", v.Key, fault)}
	}
	return &v, fault
}

// judgeIssued says what a token of another issuer is worth. Keys that have to be fetched are the gateway's to fetch.
func judgeIssued(of issuer.Config, bearer string, leeway time.Duration, now time.Time) (*verdict, error) {
	checked, fault := issuer.Check(of, bearer, leeway, now)
	switch {
	case fault != nil:
		return &verdict{Detail: fmt.Sprintf("is not accepted from issuer %s: %v", of.Name, fault)}, fault
	case checked:
		return &verdict{Valid: true, Key: of.Name, Detail: "matches the secret of issuer " + of.Name}, nil
	}
	return &verdict{Detail: fmt.Sprintf("is for the running gateway to check, with keys from %s; all else holds", of.JWKS)}, nil
}

func (e explained) write(t *table) {
	if e.Refusal != nil {
		if e.Refusal.Route != "" {
			t.row("route", e.Refusal.Route)
		}
		t.row("refused", fmt.Sprintf("%d %s: %s", e.Refusal.Status, e.Refusal.Reason, cmp.Or(e.Refusal.Detail, e.Refusal.Message)))
	}
	if e.Refusal != nil {
		for _, r := range e.Refusal.Near {
			t.row("but there is", methodsOf(r)+" "+r.Host+r.Path)
		}
	}
	if e.Refusal != nil && e.Refusal.Answer != "" {
		t.row("answer", e.Refusal.Answer)
	}
	if e.Client != "" {
		t.row("client", e.Client)
	}
	for _, line := range e.CORS {
		t.row("cors", line)
	}
	if e.Route == nil {
		if e.Token != nil {
			t.row("token", "its signature "+e.Token.String())
		}
		return
	}
	r := e.Route
	t.row("route", strings.TrimSpace(methodsOf(*r)+" "+r.Host+r.Path))
	t.row("token", e.tokenLine())
	if r.Issuer != "" {
		t.row("issuer", r.Issuer+": "+e.Issuer)
	}
	for _, place := range e.TokenIn {
		t.row("token in", place)
	}
	if len(r.PathRules) > 0 {
		t.row("path rules", "allow "+strings.Join(r.PathRules, ", "))
	}
	if r.Relocates != "" {
		t.row("location", r.Relocates+" is put back into Location and the paths of cookies")
	}
	t.row("rate limit", cmp.Or(r.RateLimit, "none"))
	t.row("body", "at most "+r.BodyLimit+", longer is 413")
	t.row("timeout", r.Timeout)
	t.row("answers", r.Answers)
	for _, change := range r.Response {
		t.row("response", change)
	}
	if r.Compress {
		t.row("compress", "text from 1 KiB, for clients that accept zstd, br or gzip")
	}
	to := r.To + " " + strings.Join(e.Targets, ", ")
	if r.Endpoint != "" {
		to += "endpoints." + r.Endpoint
	}
	t.row("to", strings.TrimSpace(to))
	if e.OnUser != "" {
		t.row("users", e.OnUser)
	}
	if e.Content != "" {
		t.row("content", e.Content)
	}
	if e.Target == "" {
		return
	}
	if e.Method != e.method {
		t.row("method", e.Method)
	}
	t.row("target", e.Target)
	for _, part := range []struct {
		name  string
		lines []string
	}{{"passes", e.Sent}, {"removes", e.Removed}, {"because", e.Reasons}, {"sets", e.Set}, {e.identityRow(), e.Identity}} {
		for _, line := range part.lines {
			t.row(part.name, line)
		}
	}
}

// aboutOnUser says what a request has to do with authn.on_user; "": nothing.
func aboutOnUser(cfg config.Config, got gateway.Explanation) string {
	on := cfg.Authn.OnUser
	switch {
	case got.Route == nil:
	case slices.Contains([]string{"login", "login_skey", "cloud_login"}, got.Route.Endpoint):
		return toldOfUsers(cfg.Authn)
	case on.Upstream == "":
	case slices.Contains([]string{"profile", "phone"}, got.Route.Endpoint) && !slices.Contains(got.Route.Methods, http.MethodGet):
		return fmt.Sprintf("%s is told of a change by POST %s; the answer does not wait", on.Upstream, on.Path)
	case cfg.IsOnUser(got.Route.To, got.Method, got.Target):
		return on.Upstream + " is told of users here; only the signature tells it which requests are the gateway's"
	}
	return ""
}

// aboutContent says what a request has to do with wechat.content_check; "": nothing.
func aboutContent(cfg config.Config, got gateway.Explanation) string {
	if got.Route == nil || !cfg.WeChat.ContentCheck.Enabled {
		return ""
	}
	switch {
	case slices.Contains([]string{"login", "login_skey", "cloud_login"}, got.Route.Endpoint):
		return "WeChat is asked about a new nickname and avatar; what it finds risky is left out, and " + notJudged(cfg)
	case got.Route.Endpoint == "profile" && !slices.Contains(got.Route.Methods, http.MethodGet):
		return "WeChat is asked about what is new; a risky text is 422 content_risky, and " + notJudged(cfg)
	}
	return ""
}

// notJudged says what becomes of what WeChat does not judge.
func notJudged(cfg config.Config) string {
	if cfg.WeChat.ContentCheck.OnError == wechat.OnErrorAllow {
		return "what it does not judge is stored"
	}
	return "what it does not judge is not stored"
}

// toldOfUsers says where a service is told of users, and what that means for a first login.
func toldOfUsers(cfg authn.Config) string {
	on, links := cfg.OnUser, cfg.Link != ""
	switch {
	case on.Upstream == "" && links:
		return "accounts of one unionid are linked at once, and nobody is told"
	case on.Upstream == "":
		return ""
	}
	wait := "a first login does not wait for it"
	if on.Wait {
		wait = "a first login waits for its 2xx, and is 503 user_service_unavailable without"
	}
	if links {
		wait += "; accounts of one unionid are linked by its 2xx to user.merged"
	}
	return fmt.Sprintf("%s is told of users by POST %s; %s", on.Upstream, on.Path, wait)
}

// identityRow names the lines that say who is calling.
func (e explained) identityRow() string {
	if e.Route.Issuer != "" {
		return "sets for " + e.Route.Issuer
	}
	return "sets for users"
}

// replaceHost shows the Host that the service gets instead of the client's, which depends on the target.
func (e *explained) replaceHost(service upstream.Config) {
	isHost := func(line string) bool { return strings.HasPrefix(line, "Host: ") }
	var own []string
	for _, t := range service.Targets {
		if host := service.HostOf(t); host != "" && !slices.Contains(own, "Host: "+host) {
			own = append(own, "Host: "+host)
		}
	}
	if i := slices.IndexFunc(e.Sent, isHost); i >= 0 && len(own) > 0 {
		e.Removed = append(e.Removed, e.Sent[i])
		e.Reasons = append(e.Reasons, "Host is the service's own: upstreams."+e.Route.To+".host")
		e.Sent = slices.Delete(e.Sent, i, i+1)
		e.Set = append(own, e.Set...)
	}
}

// targetsOf returns the targets of an upstream as text.
func targetsOf(cfg upstream.Config) []string {
	var all []string
	for _, t := range cfg.Targets {
		text := t.URL
		if t.Weight != 1 {
			text += fmt.Sprintf(" (weight %d)", t.Weight)
		}
		all = append(all, text)
	}
	return all
}

// question returns the request to explain. If there is one Content-Length among the headers, the request has such a
// body.
func (c explainCommand) question() gateway.Question {
	host, path := c.Host, c.Path
	if _, rest, absolute := strings.Cut(path, "://"); absolute { // a URL that was copied from somewhere
		host, path, _ = strings.Cut(rest, "/")
		path = "/" + path
	}
	q := gateway.Question{Method: c.Method, Target: path, Host: host, Headers: c.Header, BodyLength: c.BodyLength, Client: c.From}
	var others []string
	lengths := 0
	for _, line := range c.Header {
		name, value, _ := strings.Cut(line, ":")
		length, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		if err == nil && strings.EqualFold(name, "Content-Length") && length >= 0 {
			lengths++
			q.BodyLength = length
			continue
		}
		others = append(others, line)
	}
	if lengths == 1 {
		q.Headers = others
	} else {
		q.BodyLength = c.BodyLength
	}
	return q
}

// tokenLine says what token the route wants, and what the given one is worth.
func (e explained) tokenLine() string {
	wants := map[gateway.AuthMode]string{
		gateway.AuthRequired: "required: without one 401 token_missing",
		gateway.AuthOptional: "optional: an invalid one is 401",
		gateway.AuthNone:     "not looked at",
		gateway.AuthPrefetch: "?code or ?token in the query, otherwise 401 token_missing",

		gateway.AuthWeChatPay: "none: notifications are signed by WeChat Pay, otherwise 403",
	}[e.Route.Auth]
	if e.Route.Query != "" {
		wants += "; may be in the query as " + e.Route.Query
	}
	if e.Token != nil {
		wants += "; the given one's signature " + e.Token.String()
	}
	return wants
}
