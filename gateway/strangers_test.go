package gateway

import (
	"strings"
	"testing"

	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

// TestAStrangersWordAboutAddressUserAndSchemeNeverPasses sends what services and their libraries would believe.
func TestAStrangersWordAboutAddressUserAndSchemeNeverPasses(t *testing.T) {
	t.Parallel()
	address := []string{
		"X-Originating-Ip", "X-Remote-Ip", "X-Remote-Addr", "Remote-Addr", "REMOTE_ADDR", "X-Envoy-External-Address", "X-Envoy-Internal", "X-Client-IP",
		"Client-IP", "client_ip", "HTTP_CLIENT_IP", "HTTP_X_FORWARDED_FOR", "WL-Proxy-Client-IP", "True-Client-IP", "X-True-Client-IP", "CF-Connecting-IP",
		"CF-Visitor", "X-Cluster-Client-IP", "Fastly-Client-IP", "Fly-Client-IP", "EO-Client-IP", "EO-Connecting-IP", "Ali-Cdn-Real-Ip", "Cdn-Src-Ip", "Real-IP",
		"X-Azure-ClientIP", "X-Azure-SocketIP", "X-Appengine-User-IP", "X-ProxyUser-Ip", "X-Source-IP", "Forwarded-For", "Forwarded-For-Ip", "X-My-Forwarded-For",
		"X-Vercel-Forwarded-For", "Forwarded-Host", "X-Scheme", "X-Url-Scheme", "Front-End-Https", "HTTPS", "X-Arr-Ssl", "Cloudfront-Forwarded-Proto",
		"X-Host", "X-HTTP-Host-Override", "X-Accel-Mapping", "X-Sendfile-Type", "X_Remote_Addr", "X.Client.IP", "X-SSL", "SSL-Protocol",
		"X-Peer-IP", "X-IP-Address", "X-Client-Addr", "X-Client-Address", "Client-Address",
	}
	user := []string{
		"Remote-User", "REMOTE_USER", "Remote.Groups", "Remote-Email", "X-Remote-User", "X_Remote_User", "X-Remote-Extra-Scopes", "X-Auth-Request-User",
		"X-Auth-Request-Email", "X-Authenticated-Userid", "X-Auth-User", "X-Auth-Username", "X-Webauth-User", "X-Authentik-Username", "X-Goog-Authenticated-User-Email",
		"X-Goog-Iap-Jwt-Assertion", "X-Amzn-Oidc-Identity", "X-MS-Client-Principal-Name", "Cf-Access-Authenticated-User-Email", "Tailscale-User-Login",
		"X-Consumer-Username", "X-Credential-Identifier", "X-Userinfo", "X-JWT-Assertion", "SSL_CLIENT_S_DN", "SSL-Client-Cert", "X-SSL-Client-Verify",
		"X-Client-Cert", "Client-Cert", "X-Client-Verify", "X-Arr-ClientCert", "Impersonate-User", "OIDC_CLAIM_sub", "Shib-Session-ID", "X-Pomerium-Jwt-Assertion",
		"SM_USER", "SM-UserDN", "SMUSER", "iv-user", "iv_groups", "OAM_REMOTE_USER", "Auth-User", "AUTH_TYPE", "LOGON_USER", "Cas-User",
	}
	theirs := []string{
		"X-Auth-Token", "X-Access-Token", "X-Client-Version", "X-Client-Id", "X-Requested-With", "X-Request-Source", "X-Device-Id", "X-Token", "Authorization-Info",
		"Fingerprint", "Remoteness", "Cache-Tip", "X-Ship", "X-Amzn-Trace-Id", "X-Trace-Id", "CDN-Loop", "Origin-Trial", "X-Credentials", "Alive", "X-Shop-Id",
	}
	for who, trusted := range map[string]bool{"a stranger": false, "a trusted proxy": true} {
		service := upstreamtest.Echo(t)
		e := newEdge(t, service.URL, func(cfg *Config) {
			if trusted {
				cfg.Server.TrustedProxies = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
			}
		})
		passes := func(name string) bool {
			before := len(service.Requests())
			e.send(t, head("GET /public/x", "", name+": forged"))
			return strings.Contains(service.Requests()[before].Head(), "\r\n"+name+": forged\r\n")
		}
		for _, name := range address {
			if got := passes(name); got != trusted {
				t.Errorf("%s of %s passes: %v, want %v", name, who, got, trusted)
			}
		}
		for _, name := range user {
			if passes(name) {
				t.Errorf("%s of %s passes", name, who)
			}
		}
		for _, name := range theirs {
			if !passes(name) {
				t.Errorf("%s of %s does not pass", name, who)
			}
		}
	}
}
