package prove

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"wxgate/gateway"
)

// control shows that what the others look for would be seen: a harmless header reaches a service.
func (p *prober) control(ctx context.Context) Finding {
	f := Finding{About: "control", Verdict: Held, Sent: "X-Prove-Control: " + p.marker}
	open := p.routes(gateway.AuthNone, gateway.AuthOptional)
	if len(open) == 0 {
		f.Verdict, f.Sent, f.Got = Look, "nothing", "no route without a token leads to a service"
		f.Advice = "forged headers are tried on the gateway's own endpoints alone; with a token nothing else would be seen"
		return f
	}
	got, err := p.ask(ctx, method(open[0]), open[0].ExamplePath(restOfPath), open[0].Host, f.Sent)
	if err != nil || got.explained == nil {
		f.Verdict, f.Got, f.Advice = Look, p.said(got, err), "something in front of the gateway does not let the request through"
		return f
	}
	f.Got = "a service would get it, and what is forged would be seen as well"
	if !slices.ContainsFunc(got.lines(), func(line string) bool { return strings.Contains(line, p.marker) }) {
		f.Verdict, f.Got, f.Advice = Failed, "a service would not get it", "something removes headers on the way, so nothing can be proved by them"
	}
	return f
}

func (p *prober) said(got reply, err error) string {
	if err != nil {
		return err.Error()
	}
	return got.String()
}

// identityNames are the headers by which services know users, and others that many believe.
func (p *prober) identityNames() []string {
	names := slices.Collect(maps.Keys(p.Config.Identity.Headers))
	if signed := p.Config.Identity.Signed.Header; signed != "" {
		names = append(names, signed)
	}
	for _, issuer := range p.Config.Issuers {
		names = slices.AppendSeq(names, maps.Keys(issuer.Headers))
	}
	slices.Sort(names)
	return append(names, "X-User-Role", "X-WX-OPENID", "X-WX-UNIONID", "X-WX-FROM-OPENID", "X-Remote-User", "Remote-User", "X-Auth-Request-User", "X-Forwarded-User",
		"X-Wxgate-Appid", "X-Wxgate-Openid", "SSL-Client-S-DN")
}

// forgery is the identity names in the spellings that services fold together, and what could remove or hide them.
func (p *prober) forgery() (lines []string) {
	for _, name := range p.identityNames() {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ReplaceAll(name, "-", ".")} {
			if line := spelling + ": " + p.marker; !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// forgedIdentity sends each route what a client must not say, at most forgedAtATime of it at a time.
func (p *prober) forgedIdentity(ctx context.Context) Finding {
	const forgedAtATime = 40
	f, all := Finding{About: "identity", Verdict: Held, Got: "none reaches a service"}, p.forgery()
	sent, routes := 0, p.routes(gateway.AuthNone, gateway.AuthOptional, gateway.AuthRequired)
	for _, r := range routes {
		for lines := range slices.Chunk(all, forgedAtATime) {
			sent += len(lines)
			lines = append(slices.Clone(lines), "Connection: close, X-User-Id, x-user-openid")
			got, err := p.ask(ctx, method(r), r.ExamplePath(restOfPath), r.Host, lines...)
			switch {
			case r.Auth == gateway.AuthRequired && got.explained != nil && !got.explained.Cloud:
				return Finding{About: f.About, Verdict: Failed, Sent: method(r) + " " + r.ExamplePath(restOfPath) + " without a token", Got: got.String(), Advice: "something lets it pass"}
			case err != nil, got.explained == nil && !(r.Auth == gateway.AuthRequired && got.refused()):
				f.Verdict, f.Got, f.Advice = Look, r.Path+": "+p.said(got, err), "this route was not tried"
			}
			if leak := p.leak(got); leak != "" {
				f.Verdict, f.Got, f.Advice = Failed, fmt.Sprintf("at %s a service would get %q", r.Path, leak), "take the name out of identity.allow, or out of headers.set of the route"
				f.Sent = strings.Join(lines, "; ")
				return f
			}
		}
	}
	f.Sent = fmt.Sprintf("%d forged headers, routes: %d", sent, len(routes))
	return f
}

// leak is a line that a service would get of what is forged, or an identity although there is no token; "": none.
func (p *prober) leak(got reply) string {
	ours := slices.Collect(maps.Keys(p.Config.Identity.Headers))
	for _, line := range got.lines() {
		name, _, _ := strings.Cut(line, ":")
		named := slices.ContainsFunc(ours, func(own string) bool {
			return strings.EqualFold(own, name) && !strings.HasPrefix(string(p.Config.Identity.Headers[own]), "literal:")
		})
		if strings.Contains(line, p.marker) || named {
			return line
		}
	}
	return ""
}

// cloudIdentity plays WeChat Cloud Run, which only the platform may.
func (p *prober) cloudIdentity(ctx context.Context) Finding {
	lines := []string{"X-WX-OPENID: " + p.marker, "X-WX-SOURCE: wx_client", "X-WX-APPID: wx0000000000000000"}
	f := Finding{About: "Cloud Run", Verdict: Held, Sent: strings.Join(lines, "; "), Got: "it is not believed"}
	got, err := p.ask(ctx, "GET", "/healthz", "", lines...)
	switch {
	case err != nil || got.explained == nil:
		f.Verdict, f.Got = Look, p.said(got, err)
	case got.explained.Cloud:
		f.Verdict, f.Got = Failed, "it is believed: from here, anybody can be anybody"
		f.Advice = "close the public access of the service in the console of WeChat Cloud Run, or set wechat.cloud_run: false"
	}
	return f
}

// forgedAddress says to be somewhere else.
func (p *prober) forgedAddress(ctx context.Context) Finding {
	lines := []string{"X-Forwarded-For: 203.0.113.77", "X-Real-IP: 203.0.113.77", "X-Wx-Client-Ip: 203.0.113.77", "Forwarded: for=203.0.113.77"}
	f := Finding{About: "address", Verdict: Held, Sent: strings.Join(lines, "; ")}
	got, err := p.ask(ctx, "GET", "/healthz", "", lines...)
	if err != nil || got.explained == nil {
		f.Verdict, f.Got = Look, p.said(got, err)
		return f
	}
	f.Got = "limits count " + got.explained.Client
	if strings.Contains(got.explained.Client, "203.0.113.77") {
		f.Verdict = Look
		f.Advice = "this machine is in server.trusted_proxies. If it is not one of your proxies, whoever is there can be any address"
	}
	return f
}

// hostileTokens are tokens that nobody has signed with our key.
func (p *prober) hostileTokens(ctx context.Context) Finding {
	routes := p.routes(gateway.AuthRequired)
	if len(routes) == 0 {
		return Finding{About: "tokens", Verdict: Look, Sent: "nothing", Got: "no route to a service wants a token", Advice: "set auth: required where services believe X-User-Id"}
	}
	f := Finding{About: "tokens", Verdict: Held, Got: "each is refused"}
	tokens := forgedTokens()
	for _, r := range routes {
		for name, token := range tokens {
			got, err := p.ask(ctx, method(r), r.ExamplePath(restOfPath), r.Host, "Authorization: Bearer "+token)
			switch {
			case err != nil, got.explained == nil && !got.refused():
				f.Verdict, f.Got, f.Advice = Look, r.Path+": "+p.said(got, err), "this route was not tried"
			case got.explained != nil && !got.explained.Cloud:
				return Finding{
					About: "tokens", Verdict: Failed, Sent: name + " at " + r.Path + ": " + token, Got: got.String(),
					Advice: "replace authn.keys with keys of `wxgate keys new`: a key can be guessed",
				}
			}
		}
	}
	f.Sent = fmt.Sprintf("%d tokens (no algorithm, no signature, keys that are empty, short or in examples), routes: %d", len(tokens), len(routes))
	return f
}

// forgedTokens are tokens of user 1, by what is wrong with them.
func forgedTokens() map[string]string {
	const payload = `{"iss":"wxgate","sub":1,"sid":"prove","jti":"prove","iat":1,"exp":4102444800}`
	signed := func(header, key string) string {
		text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	tokens := map[string]string{}
	for _, alg := range []string{"none", "None", "NONE", "nOnE"} {
		token := signed(`{"alg":"`+alg+`","typ":"JWT"}`, "")
		tokens["alg "+alg] = token
		tokens["alg "+alg+" without a signature"] = token[:strings.LastIndexByte(token, '.')+1]
	}
	for _, key := range []string{"", "secret", "wxgate", "jwt-secret", "your-256-bit-secret", "your-secret-key", strings.Repeat("0", 32), strings.Repeat("a", 32)} {
		tokens[fmt.Sprintf("HS256 with the key %q", key)] = signed(`{"alg":"HS256","typ":"JWT"}`, key)
	}
	return tokens
}

// dressedPaths asks for protected paths in other spellings, none of which an open route may take.
func (p *prober) dressedPaths(ctx context.Context) Finding {
	f, sent := Finding{About: "paths", Verdict: Held, Got: "none is open"}, 0
	for _, r := range p.routes(gateway.AuthRequired) {
		path := r.ExamplePath(restOfPath)
		for _, dressed := range dressings(path) {
			sent++
			got, err := p.ask(ctx, method(r), dressed, r.Host)
			switch {
			case err != nil, got.explained == nil && !got.refused():
				f.Verdict, f.Got, f.Advice = Look, dressed+": "+p.said(got, err), "this path was not tried"
			case got.explained != nil && got.explained.Route != nil && !got.explained.Cloud && got.explained.Route.Auth != gateway.AuthRequired && got.explained.Route.To != "wxgate":
				return Finding{
					About: "paths", Verdict: Failed, Sent: method(r) + " " + dressed, Got: got.String(),
					Advice: "a service may read it as " + path + ", which wants a token: give the open route narrower paths",
				}
			}
		}
	}
	f.Sent = fmt.Sprintf("%d spellings of paths that want a token", sent)
	return f
}

// dressings are spellings of a path that a service could read as the path itself.
func dressings(path string) []string {
	first, rest, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	encoded := first
	if first != "" {
		encoded = fmt.Sprintf("%%%02x%s", first[0], first[1:])
	}
	all := []string{
		"//" + first + "/" + rest, "/./" + first + "/" + rest, "/x/../" + first + "/" + rest, "/x/%2e%2e/" + first + "/" + rest, "/x/..%2f" + first + "/" + rest,
		"/" + encoded + "/" + rest, "/" + first + "%2f" + rest, "/" + first + "/;x/" + rest, "/x/..;/" + first + "/" + rest, "/" + first + "\\" + rest,
		"/x%5c..%5c" + first + "/" + rest, "/" + strings.ToUpper(first) + "/" + rest, path + "/", path + "%3fx", path + "%23x", path + "%00", path + "%20",
		"/x/%252e%252e/" + first + "/" + rest,
	}
	return slices.DeleteFunc(all, func(dressed string) bool { return dressed == path })
}
