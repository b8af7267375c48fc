// Package prove attacks a gateway of one's own over the wire, as docs/security.md describes attacks, and says what came of it.
//
// Nothing is done with its requests: the gateway recognizes them by a proof that both have server.admin_token, and answers what it
// would send to a service instead of sending it. So only a gateway with the token of this gateway.yaml is attacked.
package prove

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"wxgate/gateway"
	"wxgate/gateway/proof"
	"wxgate/secret"
)

// Verdict is what a finding means.
type Verdict string

// The verdicts.
const (
	Held   Verdict = "ok"
	Failed Verdict = "FAIL"
	Look   Verdict = "look" // only the reader can tell
)

// Finding is what came of one kind of attack.
type Finding struct {
	About   string  `json:"about"`
	Verdict Verdict `json:"verdict"`
	Sent    string  `json:"sent"`
	Got     string  `json:"got"`
	Advice  string  `json:"advice,omitempty"` // what to do unless it has held
}

// Gateway is what is attacked.
type Gateway struct {
	URL      *url.URL // http://host[:port] or https://host[:port], as its clients reach it
	Roots    *x509.CertPool
	Token    secret.Text // server.admin_token
	Config   gateway.Config
	Services []string // the targets of all upstreams, as they are in gateway.yaml
	Here     bool     // it runs on this machine, which reaches what others should not
}

// ErrNotOurs means that something answers that does not have server.admin_token: it is left alone.
var ErrNotOurs = errors.New("what answers there does not prove that it has the server.admin_token of this gateway.yaml")

const (
	answerTimeout = 5 * time.Second
	maxAnswer     = 256 << 10 // bytes
	maxRoutes     = 100       // that are attacked
)

// prober attacks a gateway.
type prober struct {
	Gateway
	marker string // in everything that is forged
}

// Run attacks a gateway and returns what came of it. An error means that it could not begin; ErrNotOurs is one.
func Run(ctx context.Context, g Gateway) ([]Finding, error) {
	p := &prober{g, "forged-" + strings.ToLower(rand.Text())}
	got, err := p.ask(ctx, "GET", "/healthz", "")
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", g.URL, err)
	}
	if got.explained == nil {
		return nil, fmt.Errorf("%s: %w (%s)", g.URL, ErrNotOurs, got)
	}
	var findings []Finding
	for _, attack := range []func(context.Context) Finding{
		p.control, p.forgedIdentity, p.cloudIdentity, p.forgedAddress, p.hostileTokens, p.dressedPaths, p.ambiguousFraming, p.oddMethods,
		p.forgedMessages, p.adminPaths, p.adminListener,
	} {
		f := attack(ctx)
		if ctx.Err() != nil {
			return findings, ctx.Err()
		}
		if f.About != "" {
			findings = append(findings, f)
		}
	}
	return append(findings, p.servicesPastTheGateway(ctx)...), nil
}

// question is the head of a request that the gateway explains.
func (p *prober) question(method, target, host string, lines ...string) (text, answer string) {
	value, answer := proof.Question(p.Token, method, target, time.Now())
	head := []string{method + " " + target + " HTTP/1.1", "Host: " + p.host(host), proof.HeaderQuestion + ": " + value}
	return strings.Join(append(head, lines...), "\r\n") + "\r\n\r\n", answer
}

// host is that of a route, or the one in the URL.
func (p *prober) host(ofRoute string) string {
	if ofRoute == "" {
		return p.URL.Host
	}
	return strings.Replace(ofRoute, "*", "prove", 1)
}

// routes are those of gateway.yaml that lead to services, with one of the authentications.
func (p *prober) routes(auth ...gateway.AuthMode) (found []gateway.RouteConfig) {
	for _, r := range p.Config.Routes {
		if r.Upstream != "" && r.WeChatPay.MchID == "" && slices.Contains(auth, r.Auth) && len(found) < maxRoutes {
			found = append(found, r)
		}
	}
	return found
}

// method is one that a route takes, preferably GET.
func method(r gateway.RouteConfig) string {
	if len(r.Methods) > 0 && !slices.Contains(r.Methods, "GET") {
		return r.Methods[0]
	}
	return "GET"
}

// restOfPath stands for what ** takes.
const restOfPath = "prove"
