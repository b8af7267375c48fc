package header

import "strings"

// Claim is what a header says about a request that its sender cannot know of itself.
type Claim int

// The claims.
const (
	NoClaim         Claim = iota
	ForwardingClaim       // the address, scheme or host by which it came: a proxy of ours may say so, a client may not
	IdentityClaim         // who is asking: nobody but us may say so
)

// claimRows are the headers, beside those that we set, from which services, frameworks and their libraries take the
// client's address, the scheme, the host, or a user whom some proxy has logged in. A * stands for any text at that end
// of the name. The first row that fits counts. docs/proxy.md has the same names.
func claimRows() []struct {
	claim Claim
	names []string
} {
	return []struct {
		claim Claim
		names []string
	}{
		// certificates of clients, by nginx, Apache, HAProxy, IIS and RFC 9440
		{IdentityClaim, []string{"SSL-Client-*", "X-SSL-Client-*", "X-TLS-Client-*", "X-Client-Cert*", "X-Client-Dn", "X-Client-S-Dn", "X-Client-Cn", "X-Client-Verif*", "Client-Cert*", "X-Arr-Clientcert"}},
		// addresses: of CDNs, balancers and libraries
		{ForwardingClaim, []string{"*Client-IP", "*ClientIP", "*Real-IP", "*Remote-IP", "*Remote-Addr", "*Remote-Host", "*Connecting-IP", "*Source-IP", "*Src-IP", "*Originating-IP", "*-User-IP", "*-ProxyUser-IP", "*-Trusted-IP", "*Peer-IP", "X-IP-Addr*", "*Client-Addr", "*Client-Address"}},
		{ForwardingClaim, []string{"*Forwarded-For", "*Forward-For", "*Forwarder-For", "Forwarded-*", "X-Originating-*", "X-IP", "X-Natapp-IP", "X-Coming-From", "X-Custom-IP-Authorization", "HTTP-X-*", "HTTP-Forwarded*"}},
		// users: of authenticating proxies
		{IdentityClaim, []string{"Remote-*", "X-Remote-*", "X-Auth-Request-*", "X-Authenticated-*", "X-Auth-User*", "X-Auth-Email", "X-Auth-Name", "X-Auth-Group*", "X-Auth-Role*", "X-Auth-Subject", "X-Auth-Uid"}},
		{IdentityClaim, []string{"X-Webauth-*", "X-Authentik-*", "X-Pomerium-*", "X-Vouch-*", "X-SSO-*", "X-Proxy-User*", "X-Impersonate-*", "Impersonate-*", "Shib-*", "OIDC-*", "Mellon-*", "Tailscale-*", "Cf-Access-*"}},
		{IdentityClaim, []string{"X-Consumer-*", "X-Credential-*", "X-Anonymous-Consumer", "X-Userinfo", "X-Username", "X-Userid", "X-Endpoint-API-Userinfo", "X-Apigateway-*", "X-JWT-Assertion", "X-JWT-Payload", "X-JWT-Claim*"}},
		{IdentityClaim, []string{"SM-*", "SMUSER", "IV-*", "OAM-*", "Auth-User", "Auth-Type", "Auth-Password", "Logon-User", "X-SSL-User*", "X-Cas-User", "Cas-User"}},
		{IdentityClaim, []string{"X-Goog-Authenticated-*", "X-Goog-IAP-*", "X-Amzn-Oidc-*", "X-Amzn-Mtls-*", "X-MS-Client-Principal*", "X-MS-Token-*"}},
		// what platforms say of the way
		{ForwardingClaim, []string{"X-Envoy-*", "X-Azure-*", "X-Appengine-*", "X-Vercel-*", "X-NF-*", "X-Sucuri-*", "X-Akamai-*", "Akamai-*", "X-Arr-*", "Ali-*", "CF-*", "Cloudfront-*", "Fastly-*", "Fly-*", "Incap-*", "WL-Proxy-*"}},
		// scheme and host, and what makes a framework send a file of its choice
		{ForwardingClaim, []string{"X-Scheme", "X-Url-Scheme", "X-Request-Scheme", "Front-End-Https", "HTTPS", "X-Https", "X-SSL", "X-SSL-*", "SSL-*", "X-TLS-*", "X-Client-Proto*", "X-STGW-*", "X-Host", "X-HTTP-Host-Override", "X-HTTP-Destinationurl", "X-Backend-Host"}},
		{ForwardingClaim, []string{"X-Accel-*", "X-Sendfile-Type"}},
	}
}

// Claims finds the claim of a header name: by its beginning through its first character, or the one behind X-, and by
// its end through its last.
type Claims struct {
	begin [2][256][]claimPattern // the second are those of X-
	end   [256][]claimPattern
}

// claimPattern is a name in folded form; its row decides between two that fit.
type claimPattern struct {
	text   string
	open   bool // more may stand at the other end
	claim  Claim
	number int
}

// NewClaims reads the list.
func NewClaims() *Claims {
	c := new(Claims)
	number := 0
	for _, row := range claimRows() {
		for _, name := range row.names {
			text, begins := strings.CutSuffix(name, "*")
			text, ends := strings.CutPrefix(text, "*")
			p := claimPattern{Fold(text), begins || ends, row.claim, number}
			list := c.beginning([]byte(p.text))
			if ends {
				list = &c.end[p.text[len(p.text)-1]]
			}
			*list = append(*list, p)
			number++
		}
	}
	return c
}

// beginning is the list of the patterns that can begin like a name.
func (c *Claims) beginning(name []byte) *[]claimPattern {
	if len(name) > 2 && name[0]|0x20 == 'x' && foldByte(name[1]) == '-' {
		return &c.begin[1][foldByte(name[2])]
	}
	return &c.begin[0][foldByte(name[0])]
}

// Of is what a header name claims, in any spelling that a service could read as one of the names.
func (c *Claims) Of(name []byte) Claim {
	best := claimPattern{number: 1 << 30}
	for _, p := range *c.beginning(name) {
		if p.number < best.number && FoldedPrefix(name, p.text) && (p.open || len(name) == len(p.text)) {
			best = p
		}
	}
	for _, p := range c.end[foldByte(name[len(name)-1])] {
		if p.number < best.number && len(name) >= len(p.text) && Folded(name[len(name)-len(p.text):], p.text) {
			best = p
		}
	}
	return best.claim
}
