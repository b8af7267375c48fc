package command

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn"
	"wxgate/authn/issuer"
	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/config"
	"wxgate/gateway/certificate/acme"
	"wxgate/upstream"
	"wxgate/upstream/http1"
)

type doctorCommand struct {
	Domain string `placeholder:"DOMAIN" help:"The public domain that the mini-program calls, to check its TLS (api.example.com)."`
}

// finding is one line of the doctor: what was checked, whether it is all right, and what to do.
type finding struct {
	about  string
	err    error  // nil: all right
	advice string // a remark when it is all right, what to do when it is not
}

// Run checks everything that a login and a request depend on, and prints a line about each. The error says how many
// need attention.
func (d doctorCommand) Run(ctx context.Context, w *env) error {
	cfg, err := config.Load(w.config, w.lookup)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	failed := 0
	for _, f := range d.examine(ctx, cfg) {
		verdict := "ok  "
		if f.err != nil {
			verdict = "FAIL"
			failed++
			f.advice = f.err.Error() + "; " + f.advice
		}
		if _, err := fmt.Fprintf(w.stdout, "%s  %-22s %s\n", verdict, f.about, f.advice); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%s attention", counted(failed, "of the above needs", "of the above need"))
	}
	return nil
}

func (d doctorCommand) examine(ctx context.Context, cfg config.Config) []finding {
	findings := []finding{keysFinding(cfg.Authn), storageFinding(ctx, cfg)}
	if cfg.Server.TLS.Enabled() || cfg.Server.AdminTLS.Config().Enabled() {
		findings = append(findings, certificatesFinding(cfg))
	}
	if cfg.Server.TLS.ACME.Enabled() {
		findings = append(findings, authorityFinding(ctx, cfg))
	}
	if f := cfg.Storage.Warnings().At("storage"); len(f) > 0 {
		findings = append(findings, finding{"storage settings", f.Err(), "see docs/backup.md"})
	}
	if cfg.Storage.Backup.Every > 0 {
		findings = append(findings, backupFinding(cfg.Storage.Backup, time.Now()))
	}
	for _, app := range cfg.WeChat.Each() {
		findings = append(findings, secretFinding(ctx, app))
	}
	findings = append(findings, clockFinding(ctx, cfg.WeChat.BaseURL))
	for _, name := range slices.Sorted(maps.Keys(cfg.Upstreams)) {
		findings = append(findings, upstreamFinding(ctx, name, cfg.Upstreams[name]), contentFinding(ctx, name, cfg.Upstreams[name]))
	}
	for _, each := range cfg.Authn.Issuers {
		if each.JWKS != "" {
			findings = append(findings, issuerFinding(ctx, each))
		}
	}
	findings = append(findings, clientsFinding(cfg))
	if d.Domain != "" {
		findings = append(findings, tlsFinding(ctx, d.Domain, nil))
	}
	return findings
}

// keysFinding opens the keys as serve would.
func keysFinding(cfg authn.Config) finding {
	return finding{"keys", token.CheckKeys(cfg.Algorithm, cfg.Keys).At("authn").Err(), "the first key signs with " + cfg.Algorithm + "; `wxgate keys new` makes another"}
}

// certificatesFinding reads the certificates as serve would.
func certificatesFinding(cfg config.Config) finding {
	f := finding{about: "certificates"}
	set, faults := cfg.Server.TLS.Load()
	own, ofAdmin := cfg.Server.AdminTLS.Config().Load()
	faults = append(faults.At("server.tls"), ofAdmin.At("server.admin_tls")...)
	if f.err = faults.Err(); f.err == nil {
		f.err = append(set.Warnings(time.Now(), cfg.Gateway().Hosts()).At("server.tls"), own.Warnings(time.Now(), nil).At("server.admin_tls")...).Err()
	}
	if f.err != nil {
		f.advice = "see docs/tls.md"
		return f
	}
	if set.Empty() && cfg.Server.TLS.ACME.Enabled() {
		f.advice = "an authority issues them"
	}
	for _, each := range append(set.Expiries(), own.Expiries()...) {
		if f.advice != "" {
			f.advice += ", "
		}
		f.advice += each.Name + " until " + each.At.UTC().Format(time.DateOnly)
	}
	return f
}

// authorityFinding asks the authority for its directory, and looks at the folder of what it issues.
func authorityFinding(ctx context.Context, cfg config.Config) finding {
	section := cfg.Server.TLS.ACME
	f := finding{about: "ACME", advice: "the authority answers; it must reach " + strings.Join(section.Domains, ", ") + " here: see docs/tls.md"}
	f.err = acme.CheckAuthority(ctx, section)
	switch {
	case errors.Is(f.err, acme.ErrUnknown):
		f.advice = "set server.tls.acme.eab to the kid and the key that its console shows"
	case f.err != nil:
		f.advice = "check server.tls.acme.directory, and let this machine reach it, with CA certificates (SSL_CERT_FILE) and DNS"
	default:
		if f.err = cacheError(cfg); f.err != nil {
			f.advice = cacheAdvice
		}
	}
	return f
}

// issuerFinding fetches the keys of another issuer as serve would.
func issuerFinding(ctx context.Context, cfg issuer.Config) finding {
	usable, ignored, err := issuer.Fetch(ctx, cfg)
	f := finding{"issuer " + cfg.Name, err, fmt.Sprintf("has %s for %v", counted(usable, "key", "keys"), cfg)}
	switch {
	case err != nil:
		f.advice = "let this machine reach " + cfg.JWKS + ", with CA certificates and DNS; it is jwks_uri in ISS/.well-known/openid-configuration"
	case len(ignored) > 0:
		f.advice += "; ignored: " + strings.Join(ignored, ", ")
	}
	return f
}

// secretFinding sends an impossible code: WeChat must answer 40029 (it knows us), not 40013 or 40125 (it does not).
func secretFinding(ctx context.Context, cfg wechat.Config) finding {
	f := finding{about: "WeChat " + cfg.AppID, advice: "appid and secret are known to WeChat"}
	client, err := wechat.New(cfg, wechat.Deps{Metrics: prometheus.NewRegistry()})
	if err != nil {
		f.err, f.advice = err, "fix the wechat section of the configuration"
		return f
	}
	defer client.Close()
	_, err = client.Code2Session(ctx, "wxgate-doctor")
	var answer *wechat.Error
	switch {
	case errors.As(err, &answer) && answer.Code == wechat.ErrCodeInvalidCode:
		return f
	case errors.As(err, &answer):
		f.err, f.advice = answer, "copy appid and secret again from mp.weixin.qq.com (开发管理 → 开发设置)"
	default:
		f.err, f.advice = err, "let this machine reach "+cfg.BaseURL+", with CA certificates and DNS"
	}
	return f
}

// clockFinding compares our clock with WeChat's Date.
func clockFinding(ctx context.Context, baseURL string) finding {
	f := finding{about: "clock", advice: "within 5 s of WeChat's"}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, baseURL, nil)
	if err != nil {
		f.err, f.advice = errors.New("no request could be made"), "fix wechat.base_url"
		return f
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.err, f.advice = errors.New("WeChat was not reached"), "see the line on WeChat"
		return f
	}
	defer resp.Body.Close()
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if skew := time.Since(theirs).Round(time.Second); err == nil && (skew > 5*time.Second || skew < -5*time.Second) {
		f.err, f.advice = fmt.Errorf("our clock is off by %v", skew), "run NTP (chrony, systemd-timesyncd): the lifetime of tokens depends on the clock"
	}
	return f
}

// upstreamFinding connects to every target, over TLS where it is https://.
func upstreamFinding(ctx context.Context, name string, cfg upstream.Config) finding {
	var urls, failures []string
	for _, t := range cfg.Targets {
		limited, cancel := context.WithTimeout(ctx, 3*time.Second)
		if err := upstream.Reach(limited, cfg, t); err != nil {
			failures = append(failures, fmt.Sprintf("%s: %v", t.URL, err))
		}
		cancel()
		urls = append(urls, t.URL)
	}
	if len(failures) > 0 {
		return finding{"upstream " + name, errors.New(strings.Join(failures, "; ")), "start the service, or fix upstreams." + name}
	}
	return finding{"upstream " + name, nil, "connections are accepted by " + strings.Join(urls, ", ")}
}

// expiringSoon is when a certificate should have been renewed.
const expiringSoon = 14 * 24 * time.Hour

// tlsFinding connects to the public domain as a phone does: TLS 1.2 or later, the full chain, the right name, and not
// about to expire (page framework/ability/network). domain may be written as the console of the mini-program has it, with
// https:// in front, and may have a port. roots are what its chain must end in; nil: those of this machine.
func tlsFinding(ctx context.Context, domain string, roots *x509.CertPool) finding {
	domain = strings.TrimSuffix(strings.TrimPrefix(domain, "https://"), "/")
	f := finding{about: "TLS of " + domain}
	address := domain
	if _, _, err := net.SplitHostPort(domain); err != nil {
		address = net.JoinHostPort(domain, "443")
	}
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: 5 * time.Second},
		Config:    &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, RootCAs: roots},
	}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		f.err, f.advice = err, tlsAdvice(err)
		return f
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState() // a tls.Dialer returns nothing else
	chain := state.VerifiedChains[0]
	left := time.Until(chain[0].NotAfter)
	f.advice = fmt.Sprintf("%s, %s, the chain ends in %s, the certificate is good for %d days",
		tls.VersionName(state.Version), cmp.Or(state.NegotiatedProtocol, "http/1.1"), chain[len(chain)-1].Subject.CommonName, int(left.Hours()/24))
	if left < expiringSoon {
		f.err, f.advice = fmt.Errorf("the certificate ends in %d days", int(left.Hours()/24)), "renew it"
	}
	return f
}

// tlsAdvice is what to do about a domain to which there is no TLS.
func tlsAdvice(err error) string {
	var (
		name    *net.DNSError
		dial    *net.OpError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &name):
		return "let a record of the DNS (A, AAAA) lead from the domain to this gateway"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "open the port to the world (security group, firewall); in the Chinese mainland a cloud does so for a domain with an ICP filing (备案)"
	case errors.As(err, &host):
		return "serve a certificate that is for this domain"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the certificate"
	case errors.As(err, &unknown):
		return "serve the whole chain of a public authority (fullchain.pem): phones do not fetch an intermediate that is missing"
	}
	return "serve TLS 1.2 or later with the whole chain of a public authority"
}

// clientsFinding says how clients are told apart, because those that cannot be share a quarter of every limit.
func clientsFinding(cfg config.Config) finding {
	says := []string{"told apart by user, and without a token by address"}
	switch {
	case cfg.WeChat.CloudRun:
		says = append(says, "the platform says which")
	case len(cfg.Server.WeChatGateway) > 0:
		says = append(says, "微信网关 says which")
	case len(cfg.Server.TrustedProxies) > 0:
		says = append(says, "server.trusted_proxies say which")
	default:
		says = append(says, "all clients behind a proxy on this machine or in a private network count as one, which may hold a quarter of the whole: "+
			"set server.trusted_proxies if there is one")
	}
	if cfg.WeChat.CloudFunctionSecret.Reveal() != "" {
		says = append(says, "calls of the cloud function count as one client until their user is known")
	}
	return finding{about: "clients", advice: strings.Join(says, "; ")}
}

// contentFinding tests whether the targets of a service take a request's content for the next request.
func contentFinding(ctx context.Context, name string, cfg upstream.Config) finding {
	f := finding{about: "content " + name, advice: "a request's content is not taken for another request"}
	var failures []string
	for _, t := range cfg.Targets {
		limited, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := upstream.Drains(limited, cfg, t)
		cancel()
		if errors.Is(err, http1.ErrUndrained) {
			failures = append(failures, fmt.Sprintf("%s: %v", t.URL, err))
		} else if err != nil {
			f.advice = fmt.Sprintf("%s could not be reached: see the line on upstream %s", t.URL, name)
		}
	}
	if len(failures) == 0 {
		return f
	}
	f.err = errors.New(strings.Join(failures, "; "))
	f.advice = fmt.Sprintf("set upstreams.%s.keepalive.reuse_after_body: false, and let the service read or refuse all content", name)
	if !cfg.Keepalive.ReuseAfterBody {
		f.advice = "even after Connection: close; the service must read or refuse all content, no key of ours helps"
	}
	return f
}
