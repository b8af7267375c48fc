package gateway

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"wxgate/authn/issuer"
	"wxgate/authn/issuer/issuertest"
	"wxgate/gateway/answer"
	"wxgate/gateway/cors"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/stream/streamtest"
	"wxgate/upstream/upstreamtest"
)

// matrixKey is a key of gateway.yaml that lets something of the client pass, or moves where identity is looked for. Its
// settings are numbered; 0 is the default.
type matrixKey struct {
	name     string
	settings []func(*Config)
}

// every route gets a change.
func everyRoute(change func(*RouteConfig)) func(*Config) {
	return func(cfg *Config) {
		for i := range cfg.Routes {
			change(&cfg.Routes[i])
		}
	}
}

// matrixKeys are the keys of the matrix: a new key that could matter to identity gets a row here.
func matrixKeys(t *testing.T) []matrixKey {
	as := func(*Config) {}
	page := cors.DefaultConfig()
	page.Origins, page.Credentials = make(cors.Origins, 1), true
	if err := page.Origins[0].UnmarshalText([]byte("https://page.example.com")); err != nil {
		t.Fatal(err)
	}
	return []matrixKey{
		{"authn.issuers", []func(*Config){as, func(cfg *Config) {
			cfg.Issuers = matrixIssuers()
			cfg.Routes = append(cfg.Routes,
				RouteConfig{Path: "/admin/**", Upstream: "service", Auth: AuthRequired, Issuer: "admin"},
				RouteConfig{Path: "/staff/**", Upstream: "service", Auth: AuthOptional, Issuer: "admin"},
				RouteConfig{Path: "/mixed/:name", Upstream: "service", Auth: AuthRequired},
				RouteConfig{Path: "/mixed/admin/**", Upstream: "service", Auth: AuthRequired, Issuer: "admin"})
		}}},
		{"authn.token_from", []func(*Config){
			as,
			func(cfg *Config) {
				cfg.TokenFrom = []string{"Authorization", "token", "X-WX-Skey", "cookie:sid", "subprotocol:bearer"}
			},
			func(cfg *Config) { cfg.TokenFrom, cfg.SetCookie = []string{"X-WX-Skey", "cookie:sid"}, "sid" },
		}},
		{"routes[].token_query", []func(*Config){as, everyRoute(func(r *RouteConfig) {
			if r.Auth != AuthNone {
				r.TokenQuery = "token"
			}
		})}},
		{"identity.allow", []func(*Config){as, func(cfg *Config) { cfg.Identity.Allow = []string{"X-User-Agent", "X-WX-Skey"} }}},
		{"identity.headers", []func(*Config){
			as,
			func(cfg *Config) {
				cfg.Identity.Headers = map[string]identityField{
					"X-User-Id": fieldID, "X-WX-OPENID": fieldOpenID, "X-WX-UNIONID": fieldUnionID, "X-WX-APPID": fieldAppID, "X-WX-SOURCE": "literal:wx_client",
				}
			},
			func(cfg *Config) {
				cfg.Identity.Headers = map[string]identityField{"X-Caller": fieldID, "X-Member-Of": "literal:shop", "X-Session": fieldSession}
			},
		}},
		{"identity.signed.header", []func(*Config){as, func(cfg *Config) { cfg.Identity.Signed.Header = "X-Identity" }}},
		{"identity.forward_authorization", []func(*Config){as, func(cfg *Config) { cfg.Identity.ForwardAuthorization = false }}},
		{"server.cors", []func(*Config){
			as,
			func(cfg *Config) { cfg.Server.CORS = page },
			everyRoute(func(r *RouteConfig) { r.CORS = &page }),
			func(cfg *Config) {
				cfg.Server.CORS = page
				everyRoute(func(r *RouteConfig) { r.CORS = new(cors.Config) })(cfg)
			},
		}},
		{"routes[].path_rules", []func(*Config){
			as,
			everyRoute(func(r *RouteConfig) { r.PathRules = PathRules{allow, allow, allow, allow} }),
			func(cfg *Config) { cfg.Routes[3].PathRules = PathRules{allow, allow, allow, allow} },
		}},
		{"routes[].strip_prefix", []func(*Config){
			as,
			everyRoute(func(r *RouteConfig) { r.StripPrefix = prefixOf(r.Path) }),
			everyRoute(func(r *RouteConfig) { r.StripPrefix, r.Relocate = prefixOf(r.Path), r.Path != "/**" }),
		}},
		{"routes[].headers", []func(*Config){as, everyRoute(func(r *RouteConfig) {
			r.Headers = RouteHeaders{Set: map[string]string{"X-Api-Key": "of the route"}, Remove: []string{"Accept"}}
		})}},
		{"endpoints", []func(*Config){as, func(cfg *Config) { cfg.Endpoints.Login, cfg.Endpoints.Profile = Paths{"/private/login"}, Paths{} }}},
		{"answers", []func(*Config){
			as,
			func(cfg *Config) { cfg.Answers = answer.Config{Preset: "errno", RefusalStatus: "200"} },
			func(cfg *Config) {
				cfg.Answers = answer.Config{Preset: "errno", Login: `{"t":{access_token},"X-User-Id":{openid}}`}
				cfg.Routes[1].Answers = answer.Config{RefusalStatus: "own"}
			},
		}},
		{"server.trusted_proxies", []func(*Config){as, func(cfg *Config) {
			cfg.Server.TrustedProxies = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
		}, func(cfg *Config) {
			cfg.Server.WeChatGateway = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
		}}},
	}
}

// matrixIssuers are whose tokens the routes of administrators want.
func matrixIssuers() []issuer.Config {
	return []issuer.Config{{Name: "admin", Secret: "tSUWyo4uVvTDcKJDhQ1mZkPq3b7xE9rA", Subject: "sub", Headers: map[string]string{"X-Admin-Id": "sub"}}}
}

// prefixOf is the literal beginning of a path pattern.
func prefixOf(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(path, "/:name"), "/**")
}

// matrixRow has the setting of each key.
type matrixRow []int

// coverTriples returns rows in which all settings of any three keys meet, chosen greedily among random ones.
func coverTriples(keys []matrixKey) (rows []matrixRow) {
	type triple [6]int // keys and their settings
	var all []triple
	open := map[triple]bool{}
	each := func(row func(key int) []int, visit func(triple)) {
		for a := range keys {
			for b := range a {
				for c := range b {
					for _, x := range row(a) {
						for _, y := range row(b) {
							for _, z := range row(c) {
								visit(triple{a, x, b, y, c, z})
							}
						}
					}
				}
			}
		}
	}
	each(func(key int) (settings []int) {
		for setting := range keys[key].settings {
			settings = append(settings, setting)
		}
		return settings
	}, func(met triple) { all, open[met] = append(all, met), true })
	random := rand.New(rand.NewPCG(14, 7))
	for len(open) > 0 {
		var best matrixRow
		bestNew := -1
		for range 20 {
			row := make(matrixRow, len(keys))
			for key := range keys {
				row[key] = random.IntN(len(keys[key].settings))
			}
			if i := slices.IndexFunc(all, func(met triple) bool { return open[met] }); i >= 0 {
				row[all[i][0]], row[all[i][2]], row[all[i][4]] = all[i][1], all[i][3], all[i][5]
			}
			fresh := 0
			each(func(key int) []int { return row[key : key+1] }, func(met triple) {
				if open[met] {
					fresh++
				}
			})
			if fresh > bestNew {
				best, bestNew = row, fresh
			}
		}
		each(func(key int) []int { return best[key : key+1] }, func(met triple) { delete(open, met) })
		rows = append(rows, best)
	}
	return rows
}

// describe names what differs from the defaults.
func (r matrixRow) describe(keys []matrixKey) string {
	var set []string
	for key, setting := range r {
		if setting > 0 {
			set = append(set, fmt.Sprintf("%s=%d", keys[key].name, setting))
		}
	}
	return strings.Join(set, " ")
}

// caller is who a request is of, as far as its route asks for one.
type caller int

const (
	nobody        caller = iota
	user                 // alice, of the mini-program
	administrator        // root, whom another issuer names
)

// matrix is a gateway whose configuration changes from row to row.
type matrix struct {
	*edge
	service *upstreamtest.Service
	alice   string // a token that names everything
	bob     string
	root    string                   // of another issuer
	known   map[identityField]string // of alice
	cfg     Config
	what    string     // the row and the trick
	at      tokenPlace // of the token
	last    string     // status and body of the last answer
	streams []streams  // of HTTP/2 and HTTP/3
	turn    int        // of which of them it is
}

// forgeries are lines that no service may see, in every spelling; they say "forged".
func (m *matrix) forgeries() (lines []string) {
	names := []string{"X-User-Id", "X-User-Openid", "X-User-Role", "X-WX-OPENID", "X-WX-UNIONID", "X-WX-SOURCE", "X-WX-APPID", "X-WX-From-Openid", "X-Wxgate-Openid", "Remote-User", "X-Auth-Request-User"}
	for name := range m.cfg.Identity.Headers {
		names = append(names, name)
	}
	if len(m.cfg.Issuers) > 0 {
		names = append(names, "X-Admin-Id")
	}
	if name := m.cfg.Identity.Signed.Header; name != "" {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range slices.Compact(names) {
		spellings := []string{name, strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", "."), strings.ToUpper(strings.Replace(name, "-", "_", 1)), strings.ReplaceAll(name, "-", "!")}
		lines = append(lines, name+": forged", spellings[i%len(spellings)]+": forged", spellings[(i+2)%len(spellings)]+": forged")
	}
	return append(lines, "X_User_Agent: forged", "X.WX.Skey: forged", "X_WX_Skey: forged", "x-user-: forged", "X_WX_Risk_Rank: forged", "X-WX-Cloudbase-Access-Token: forged")
}

// tokenPlace is where a request has its token.
type tokenPlace struct {
	name    string
	counts  bool   // the gateway looks there
	line    string // a header line; %s is the token
	query   bool
	upgrade bool
}

// places are all places, also those where this configuration does not look.
func (m *matrix) places(path string) []tokenPlace {
	listed := func(entry string) bool { return slices.Contains(m.cfg.TokenFrom, entry) }
	query := slices.ContainsFunc(m.cfg.Routes, func(r RouteConfig) bool { return r.TokenQuery != "" && strings.HasPrefix(path, prefixOf(r.Path)+"/") })
	return []tokenPlace{
		{"Authorization", listed("Authorization"), "Authorization: Bearer %s", false, false},
		{"token", listed("token"), "TOKEN: %s", false, false},
		{"X-WX-Skey", listed("X-WX-Skey"), "x-wx-skey: %s", false, false},
		{"cookie", listed("cookie:sid"), "Cookie: a=b; sid=%s", false, false},
		{"subprotocol", listed("subprotocol:bearer"), "Sec-WebSocket-Protocol: chat, bearer, %s", false, true},
		{"query", query, "", true, false},
		{"nowhere", false, "", false, false},
	}
}

// request writes a request with a token in a place.
func (m *matrix) request(method, path string, at tokenPlace, token string, more ...string) string {
	m.at = at
	if at.query {
		path += "?a=1&%74oken=" + token
	}
	if at.line != "" {
		more = append(more, fmt.Sprintf(at.line, token))
	}
	if at.upgrade {
		return webSocket(method+" "+path, "", more...)
	}
	return head(method+" "+path, "", more...)
}

// want are the identity headers of a caller, by folded name.
func (m *matrix) want(who caller) map[string]string {
	want := map[string]string{}
	if who == administrator {
		want["x-admin-id"] = "root"
	}
	for name, field := range m.cfg.Identity.Headers {
		value := m.known[field]
		if literal, fixed := strings.CutPrefix(string(field), literalPrefix); fixed {
			value = literal
		}
		if who == user && value != "" {
			want[header.Fold(name)] = value
		}
	}
	return want
}

// check judges what a service received.
func (m *matrix) check(t *testing.T, req upstreamtest.Request, who caller) {
	t.Helper()
	fail := func(format string, values ...any) {
		t.Errorf("%s: %s; the service received\n%s", m.what, fmt.Sprintf(format, values...), req.Raw)
	}
	if strings.Contains(string(req.Raw), "forged") {
		fail("a forgery")
	}
	want, signed := m.want(who), 0
	for _, f := range req.Fields {
		folded := header.Fold(f.Name)
		value, ours := want[folded]
		configured := slices.ContainsFunc(m.placesListed(), func(name string) bool { return strings.EqualFold(name, f.Name) })
		passes := configured && m.cfg.Identity.ForwardAuthorization || !configured && slices.ContainsFunc(m.cfg.Identity.Allow, func(name string) bool { return strings.EqualFold(name, f.Name) })
		switch {
		case ours:
			if f.Value != value {
				fail("%s, want %s", f.Name, value)
			}
			delete(want, folded)
		case m.cfg.Identity.Signed.Header != "" && folded == header.Fold(m.cfg.Identity.Signed.Header):
			if signed++; strings.Count(f.Value, ".") != 2 {
				fail("a signed identity that is none")
			}
		case passes:
		case strings.HasPrefix(folded, "x-user") || strings.HasPrefix(folded, "x-wx") || m.cfg.Identity.Headers[f.Name] != "" || folded == "x-admin-id":
			fail("%s, which is not ours, or is there twice", f.Name)
		}
	}
	if len(want) > 0 {
		fail("without %v", want)
	}
	if wanted := map[bool]int{true: 1}[who == user && m.cfg.Identity.Signed.Header != ""]; signed != wanted {
		fail("%d signed identities, want %d", signed, wanted)
	}
	if !m.cfg.Identity.ForwardAuthorization && (len(req.Values("Authorization")) > 0 || m.at.counts && m.holdsToken(string(req.Raw))) || m.at.counts && m.at.query && m.holdsToken(req.Target) {
		fail("a token")
	}
	allowed := len(m.cfg.Identity.Allow) > 0
	if got := len(req.Values("X-User-Agent")) == 1; got != allowed {
		fail("X-User-Agent: %v, want %v", got, allowed)
	}
	listed := slices.Contains(m.cfg.TokenFrom, "X-WX-Skey")
	if got := len(req.Values("X-WX-Skey")) > 0; got != (allowed && !listed || listed && m.cfg.Identity.ForwardAuthorization) {
		fail("X-WX-Skey: %v", got)
	}
}

// holdsToken reports whether a text has a token in it.
func (m *matrix) holdsToken(text string) bool {
	return strings.Contains(text, m.alice) || strings.Contains(text, m.root)
}

// of is the token that a path is asked for with, and whom it names there.
func (m *matrix) of(path string) (token string, who caller) {
	switch path {
	case "/public/x":
		return m.alice, nobody
	case "/admin/x", "/staff/x":
		return m.root, administrator
	}
	return m.alice, user
}

// required reports whether a path needs a token.
func required(path string) bool { return path == "/private/x" || path == "/admin/x" }

// asIf is who, if the token counts.
func asIf(counts bool, who caller) caller {
	if counts {
		return who
	}
	return nobody
}

// placesListed are the headers of authn.token_from.
func (m *matrix) placesListed() (names []string) {
	for _, entry := range m.cfg.TokenFrom {
		if !strings.Contains(entry, ":") {
			names = append(names, entry)
		}
	}
	return names
}

// arrives sends raw bytes on a connection of their own, and returns the requests that have reached the service once there
// are so many answers.
func (m *matrix) arrives(t *testing.T, raw string, answers int) []upstreamtest.Request {
	t.Helper()
	before := len(m.service.Requests())
	l := m.dial(t)
	defer l.Close()
	l.say(t, raw)
	for range answers {
		resp, body := l.answer(t)
		m.last = fmt.Sprint(resp.StatusCode, " ", body)
	}
	return m.service.Requests()[before:]
}

// try sends one request that must arrive, or must not.
func (m *matrix) try(t *testing.T, raw string, arrives bool, who caller) {
	t.Helper()
	got := m.arrives(t, raw, 1)
	if len(got) != map[bool]int{true: 1}[arrives] {
		t.Errorf("%s: %d requests arrived, want it to arrive: %v; the answer is %s\n%s", m.what, len(got), arrives, m.last, raw)
		return
	}
	for _, req := range got {
		m.check(t, req, who)
	}
	m.tryOnStreams(t, raw, arrives, who)
}

// tryOnStreams sends the same on a stream, of HTTP/2 and HTTP/3 in turn, where fields about the connection are refused.
func (m *matrix) tryOnStreams(t *testing.T, raw string, arrives bool, who caller) {
	t.Helper()
	fields, body := streamtest.FieldsOf(strings.Replace(raw, "Connection: close\r\n", "", 1))
	for _, f := range fields {
		switch f.Name {
		case "transfer-encoding", "upgrade":
			return // another request, on a stream
		case "connection", "keep-alive", "te":
			arrives = false
		}
	}
	i := m.turn % len(m.streams)
	m.turn++
	before := len(m.service.Requests())
	got, err := m.streams[i].Do(fields, body)
	if err != nil {
		t.Fatalf("%s: HTTP/%d: %v\n%s", m.what, i+2, err, raw)
	}
	arrived := m.service.Requests()[before:]
	if len(arrived) != map[bool]int{true: 1}[arrives] {
		t.Errorf("%s: %d requests arrived over HTTP/%d, want it to arrive: %v; the answer is %d %s\n%s", m.what, len(arrived), i+2, arrives, got.Status, got.Body, raw)
	}
	for _, req := range arrived {
		m.check(t, req, who)
	}
}

// TestIdentityIsUnforgeableWithEveryCombinationOfKeys sends forgeries, in every way in which a header can be sent, to every
// kind of route and with the token in every place. In the configurations, all settings of any three keys meet.
func TestIdentityIsUnforgeableWithEveryCombinationOfKeys(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	base := func(cfg *Config) {
		cfg.Routes = []RouteConfig{
			{Path: "/private/**", Upstream: "service", Auth: AuthRequired},
			{Path: "/public/**", Upstream: "service", Auth: AuthNone},
			{Path: "/optional/**", Upstream: "service", Auth: AuthOptional},
			{Path: "/**", Upstream: "service", Auth: AuthNone},
			{Path: "/files/**", Methods: []string{"GET"}, Upstream: "service", Auth: AuthNone},
			{Path: "/files/private/**", Methods: []string{"OPTIONS"}, Upstream: "service", Auth: AuthRequired},
		}
	}
	m := &matrix{service: service}
	m.edge = newEdgeWith(t, service.URL, base, func(d *Deps) {
		d.Issuers = issuer.NewSet(matrixIssuers(), 0, d.Metrics, d.Log, d.Now)
		t.Cleanup(d.Issuers.Close)
	})
	m.root = issuertest.Key{Algorithm: "HS256", Signing: []byte(matrixIssuers()[0].Secret)}.Sign(t, issuertest.Claims("", "", "root", map[string]any{"iss": nil, "aud": nil}))
	m.deps.Authn.Tokens.NameUnionIDs(true)
	m.alice, m.bob = m.token(t, "alice"), m.token(t, "bob")
	subject, err := m.deps.Authn.Tokens.Verify(t.Context(), "Bearer "+m.alice, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range m.versions(t) {
		conn, err := v.dial(v.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		m.streams = append(m.streams, conn)
	}
	m.known = map[identityField]string{}
	for _, field := range []identityField{fieldID, fieldOpenID, fieldUnionID, fieldNickname, fieldAppID, fieldSession} {
		m.known[field] = field.valueFor(subject)
	}
	if m.known[fieldUnionID] == "" {
		t.Fatal("alice has no unionid")
	}
	keys, upstreams, plain := matrixKeys(t), m.snapshot.Load().upstreams, m.snapshot.Load().cfg
	rows := coverTriples(keys)
	if len(rows) > 150 {
		t.Errorf("%d configurations: too many for a test", len(rows))
	}
	for i, row := range rows {
		m.cfg, m.turn = plain, i // each trick meets both in turn
		m.cfg.Routes = slices.Clone(plain.Routes)
		for key, setting := range row {
			keys[key].settings[setting](&m.cfg)
		}
		if faults := m.cfg.Validate(); len(faults) > 0 {
			t.Fatalf("%s: %v", row.describe(keys), faults)
		}
		m.reload(t, m.cfg, upstreams)
		m.attack(t, row.describe(keys))
	}
	t.Logf("%d configurations, %d requests arrived", len(rows), len(service.Requests()))
}

// attack tries everything with one configuration.
func (m *matrix) attack(t *testing.T, row string) {
	t.Helper()
	say := func(format string, values ...any) { m.what = row + ": " + fmt.Sprintf(format, values...) }
	forged := append(m.forgeries(), "X-User-Agent: grpc-web", "X-Wx-Skey: ")
	paths := []string{"/private/x", "/public/x", "/optional/x"}
	if len(m.cfg.Issuers) > 0 {
		paths = append(paths, "/admin/x", "/staff/x")
	}
	for _, path := range paths {
		token, who := m.of(path)
		found := tokenPlace{name: "nowhere"}
		for _, at := range m.places(path) {
			say("%s, the token in %s", path, at.name)
			m.try(t, m.request("GET", path, at, token, append(slices.Clone(forged), closes(at)...)...), at.counts || !required(path), asIf(at.counts, who))
			if at.counts && !at.upgrade && !at.query {
				found = at
			}
		}
		m.tricks(t, say, path, found, forged)
	}
	m.paths(t, say, forged)
	m.preflightPaths(t, say, append(slices.Clone(forged), "Connection: close"))
}

// closes asks for the end of the connection, where the request does not say another thing of it.
func closes(at tokenPlace) []string {
	if at.upgrade {
		return nil
	}
	return []string{"Connection: close"}
}

// tricks sends forgeries in the ways that parsers differ about, with a token in a place that counts.
func (m *matrix) tricks(t *testing.T, say func(string, ...any), path string, at tokenPlace, forged []string) {
	t.Helper()
	token, who := m.of(path)
	arrives, who := at.counts || !required(path), asIf(at.counts, who)
	var names []string
	for name := range m.cfg.Identity.Headers {
		names = append(names, name)
	}
	names = append(names, "X-Admin-Id")
	with := func(more ...string) []string { return append(slices.Clone(forged), more...) }
	say("%s, Connection names ours", path)
	m.try(t, m.request("GET", path, at, token, with("Connection: close, X-Identity, "+strings.Join(names, ","), "Connection: Via, X-Request-Id")...), arrives, who)
	say("%s, trailers and chunk extensions", path)
	const chunks = "5;X-User-Id=forged\r\nhello\r\n0;X_User_Id=forged\r\nX-User-Id: forged\r\nX-Caller: forged\r\n\r\n"
	posts, poster := arrives, who
	if at.name == "cookie" { // of a POST without an Origin it does not count
		posts, poster = !required(path), nobody
	}
	m.try(t, m.request("POST", path, at, token, with("Transfer-Encoding: chunked", "Trailer: X-User-Id, X-Caller", "TE: trailers", "Connection: close")...)+chunks,
		posts, poster)
	say("%s, another method", path)
	m.try(t, m.request("POST", path, at, token, with("X-HTTP-Method-Override: PATCH", "Content-Length: 0", "Connection: close")...),
		posts, poster)
	say("%s, HTTP/1.0", path)
	m.try(t, strings.Replace(m.request("GET", path, at, token, with()...), "HTTP/1.1", "HTTP/1.0", 1), arrives, who)
	for _, line := range []string{"X-User-Id : forged", "X-A: b\r\n X-User-Id: forged", "X-User-Id\t: forged", "X-User-Id\x00: forged", "X-User-Id: forged\rX-User-Id: forged", "X-A: b\nX-User-Id: forged", ": forged", "X-Us\xc3\xa9r-Id: forged"} {
		say("%s, %q", path, line)
		m.try(t, m.request("GET", path, at, token, line, "Connection: close"), false, nobody)
	}
	m.tokens(t, say, path, at, with("Connection: close"))
	m.pipelined(t, say, path, at, forged)
	m.continued(t, say, path, at, forged)
	m.cookies(t, say, path, forged)
	m.preflight(t, say, path, forged)
}

// tokens sends several tokens, the same one in all places that count, and one that nobody has signed.
func (m *matrix) tokens(t *testing.T, say func(string, ...any), path string, at tokenPlace, forged []string) {
	t.Helper()
	token, who := m.of(path)
	everywhere, target := slices.Clone(forged), path
	for _, place := range m.places(path) {
		switch {
		case place.counts && place.query:
			target = path + "?token=" + token
		case place.counts && !place.upgrade:
			everywhere = append(everywhere, fmt.Sprintf(place.line, token))
		}
	}
	say("%s, the token in all places", path)
	m.try(t, head("GET "+target, "", everywhere...), true, who)
	say("%s, two tokens", path)
	if at.line != "" && path != "/public/x" {
		m.try(t, m.request("GET", path, at, token, append([]string{fmt.Sprintf(at.line, m.bob)}, forged...)...), false, nobody)
	}
	if who == nobody || !at.counts {
		return
	}
	say("%s, the token of another kind of caller", path)
	other := map[caller]string{user: m.root, administrator: m.alice}[who]
	m.try(t, m.request("GET", path, at, other, forged...), false, nobody)
	say("%s, a token that nobody has signed", path)
	before := len(m.service.Requests())
	resp, body := m.send(t, m.request("GET", path, at, token[:len(token)-6]+"AAAAAA", forged...))
	dressed := m.cfg.Answers.Preset == "errno"
	if len(m.service.Requests()) != before || (resp.StatusCode == http.StatusOK) != dressed || resp.Header.Get("X-Wxgate-Reason") != "token_invalid" {
		t.Errorf("%s: got %d %s and %d requests at the service", m.what, resp.StatusCode, body, len(m.service.Requests())-before)
	}
}

// pipelined sends requests of somebody and of nobody in one write: nothing of one may show in the next.
func (m *matrix) pipelined(t *testing.T, say func(string, ...any), path string, at tokenPlace, forged []string) {
	t.Helper()
	if !at.counts || path != "/optional/x" && path != "/staff/x" {
		return
	}
	token, who := m.of(path)
	without := tokenPlace{name: "nowhere"}
	say("%s, pipelined", path)
	got := m.arrives(t, m.request("GET", path, at, token, forged...)+m.request("GET", path, without, "", forged...)+
		m.request("GET", "/public/x", at, m.alice, forged...)+m.request("GET", path, at, token, append(slices.Clone(forged), "Connection: close")...), 4)
	if len(got) != 4 {
		t.Fatalf("%s: %d arrived", m.what, len(got))
	}
	for i, req := range got {
		say("%s, pipelined, request %d", path, i+1)
		m.check(t, req, asIf(i == 0 || i == 3, who))
	}
}

// continued holds a body back until it is asked for.
func (m *matrix) continued(t *testing.T, say func(string, ...any), path string, at tokenPlace, forged []string) {
	t.Helper()
	if !at.counts || at.name == "cookie" {
		return
	}
	token, who := m.of(path)
	say("%s, 100-continue", path)
	before := len(m.service.Requests())
	l := m.dial(t)
	l.say(t, m.request("POST", path, at, token, append(slices.Clone(forged), "Expect: 100-continue", "Content-Length: 5", "Connection: close")...))
	if resp, _ := l.answer(t); resp.StatusCode != http.StatusContinue {
		t.Fatalf("%s: got %d, want 100", m.what, resp.StatusCode)
	}
	l.say(t, "hello")
	if resp, body := l.answer(t); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %d %s", m.what, resp.StatusCode, body)
	}
	for _, req := range m.service.Requests()[before:] {
		m.check(t, req, who)
	}
}

// cookies sends the token in a cookie with a request that could change something: only pages of our own may.
func (m *matrix) cookies(t *testing.T, say func(string, ...any), path string, forged []string) {
	t.Helper()
	i := slices.IndexFunc(m.places(path), func(p tokenPlace) bool { return p.name == "cookie" && p.counts })
	if i < 0 || path == "/public/x" {
		return
	}
	token, who := m.of(path)
	at, policy := m.places(path)[i], m.policy()
	for origin, own := range map[string]bool{
		"X-No: origin": false, "Origin: https://api.example.com": true, "Origin: https://page.example.com": policy, "Origin: https://evil.example": false, "Origin: null": false,
		"Sec-Fetch-Site: same-origin": true, "Sec-Fetch-Site: same-site": false,
	} {
		say("%s, a cookie and %s", path, origin)
		at.counts = own
		got := m.arrives(t, m.request("POST", path, at, token, append(slices.Clone(forged), origin, "Content-Length: 0", "Connection: close")...), 1)
		if len(got) != map[bool]int{true: 1}[own || !required(path)] {
			t.Errorf("%s: %d requests arrived, %s", m.what, len(got), m.last)
		}
		for _, req := range got {
			if m.check(t, req, asIf(own, who)); !own && m.holdsToken(string(req.Raw)) {
				t.Errorf("%s: the service got a cookie that does not count", m.what)
			}
		}
	}
}

// preflight asks as a browser does, which is answered here where there is a policy.
func (m *matrix) preflight(t *testing.T, say func(string, ...any), path string, forged []string) {
	t.Helper()
	say("%s, a preflight", path)
	asks := append(slices.Clone(forged), "Origin: https://page.example.com", "Access-Control-Request-Method: GET", "Access-Control-Request-Headers: x-user-id, authorization", "Connection: close")
	m.try(t, head("OPTIONS "+path, "", asks...), !m.policy() && !required(path), nobody)
}

// policy reports whether the routes have a policy for pages.
func (m *matrix) policy() bool {
	if own := m.cfg.Routes[0].CORS; own != nil {
		return len(own.Origins) > 0
	}
	return len(m.cfg.Server.CORS.Origins) > 0
}

// preflightPaths asks whether a page may read an open route, by paths that a service may read as those of a protected one
// of the method of the question itself.
func (m *matrix) preflightPaths(t *testing.T, say func(string, ...any), forged []string) {
	t.Helper()
	asks := append(slices.Clone(forged), "Origin: https://page.example.com", "Access-Control-Request-Method: GET")
	for _, path := range []string{
		"/files/private/x", "/files/private%2Fx", "/files/private;a/x", "/files;a/private/x", "/files%2Fprivate/x", "/files/%2570rivate/x", "/files/private%20/x",
		"/private%2Fx", "/private;a=b/x", "/public/..;/private/x",
	} {
		say("%s, a preflight", path)
		m.try(t, head("OPTIONS "+path, "", asks...), false, nobody)
	}
	for _, path := range []string{"/public/a%2Fb", "/optional/a;b=c"} {
		say("%s, a preflight", path)
		m.try(t, head("OPTIONS "+path, "", asks...), !m.policy() && m.cfg.Routes[1].PathRules.Semicolon == allow, nobody)
	}
}

// paths asks for the protected route in ways that a service may read as it, on the open one beside it.
func (m *matrix) paths(t *testing.T, say func(string, ...any), forged []string) {
	t.Helper()
	forged = append(slices.Clone(forged), "Connection: close")
	protected := []string{
		"/private%2Fx", "/private%2fx", "/%2Fprivate/x", "/private;a=b/x", "/;/private/x", "/x;/../private/x", "/%70rivate/x", "/%2570rivate/x", "/private%20/x", "/%20private/x",
		"/public/..%2Fprivate/x", "/public/%2e%2e/private/x", "/public/../private/x", "//private/x", "/PRIVATE/x", "/private%5Cx", "/public/..;/private/x", "http://h/private/x",
	}
	if len(m.cfg.Issuers) > 0 {
		protected = append(protected, "/admin%2Fx", "/admin;a/x", "/%2561dmin/x", "/admin%20/x", "/private/..%2fadmin/x", "/staff/..;/admin/x")
	}
	if m.cfg.Routes[1].PathRules.Semicolon != allow { // what is open allows nothing either
		protected = append(protected, "/public%2Fx", "/public;a/x")
	}
	for _, path := range protected {
		say("%s", path)
		m.try(t, head("GET "+path, "", forged...), false, nobody)
	}
	say("/mixed/admin%%2Fx with the token of a user")
	m.try(t, head("GET /mixed/admin%2Fx", m.alice, forged...), len(m.cfg.Issuers) == 0 && m.cfg.Routes[3].PathRules.Semicolon == allow, nobody)
	open := m.cfg.Routes[1].PathRules.Semicolon == allow
	for _, path := range []string{"/public/a%2Fb", "/optional/a;b=c", "/public/50%25ab", "/optional/%20a"} {
		say("%s", path)
		m.try(t, head("GET "+path, "", forged...), open, nobody)
	}
}
