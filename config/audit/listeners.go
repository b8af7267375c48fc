package audit

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"wxgate/config"
	"wxgate/gateway/limit"
	"wxgate/input"
)

// listeners are warnings about who reaches the listeners.
func listeners(cfg config.Config) (ws input.Warnings) {
	s := cfg.Server
	_, socket, _ := input.Socket(s.Admin)
	host, _, _ := net.SplitHostPort(s.Admin)
	if !socket && !input.IsLoopback(host) {
		if !s.AdminTLS.Config().Enabled() {
			ws.Warn("admin-plaintext", "server.admin", "%q is not on loopback, and its token and what it says of users can be read on the way: set server.admin_tls, or "+
				"listen on a Unix socket (unix:/run/wxgate/admin.sock)", s.Admin)
		}
		if isPublic(host) {
			ws.Warn("admin-public", "server.admin", "%q may be reached from anywhere: bind it to loopback or to an address of the private network, unless a firewall keeps strangers away", s.Admin)
		}
	}
	if s.TLS.ACME.Enabled() && !hasPort(s.Listen, "443") && !hasPort(s.HTTP, "80") {
		ws.Warn("acme-port", "server.tls.acme.domains", "an authority connects to port 443 or 80, and neither server.listen nor server.http has it: something must pass one of them on")
	}
	return ws
}

func hasPort(address, port string) bool { return strings.HasSuffix(address, ":"+port) }

// isPublic reports whether a listener of this host is one of all interfaces, or of a public address.
func isPublic(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && (ip.IsUnspecified() || isPublicAddress(ip))
}

func isPublicAddress(ip netip.Addr) bool {
	return ip.IsGlobalUnicast() && !ip.Unmap().IsPrivate()
}

// proxies are warnings about who may say where a request comes from.
func proxies(cfg config.Config) (ws input.Warnings) {
	s := cfg.Server
	for key, networks := range map[string][]limit.Network{"server.trusted_proxies": s.TrustedProxies, "server.wechat_gateway": s.WeChatGateway} {
		for i, n := range networks {
			if holdsStrangers(n.Prefix) {
				ws.Warn("trusted-everyone", fmt.Sprintf("%s[%d]", key, i), "%v holds addresses of strangers, who can then be any client: "+
					"limits and address lists mean nothing to them. Write the addresses of your proxies", n)
			}
		}
	}
	if len(s.TrustedProxies)+len(s.WeChatGateway) > 0 || cfg.WeChat.CloudRun || cfg.Limits.Login.Rate.Count == 0 {
		return ws
	}
	host, _, _ := net.SplitHostPort(s.Listen)
	switch {
	case host != "" && !isPublic(host):
		ws.Warn("login-limit-shared", "server.listen", "%q is reached through a proxy alone, and server.trusted_proxies is empty: all users share the address of the proxy, "+
			"and with it one limits.login (%v). Write the address of the proxy there", s.Listen, cfg.Limits.Login.Rate)
	case !s.TLS.Enabled():
		ws.Warn("proxy-unknown", "server.listen", "phones want https, which is not spoken here: the proxy that does belongs into server.trusted_proxies, "+
			"or all users share one limits.login (%v)", cfg.Limits.Login.Rate)
	}
	return ws
}

// The shortest prefixes that one operator may have: of IPv4 a /8, of IPv6 a /16.
const (
	leastBits4 = 8
	leastBits6 = 16
)

// holdsStrangers reports whether a network is larger than what one operator has.
func holdsStrangers(n netip.Prefix) bool {
	if n.Addr().Is4() {
		return n.Bits() < leastBits4
	}
	private := netip.MustParsePrefix("fc00::/7")
	return n.Bits() < leastBits6 && !(n.Bits() >= private.Bits() && private.Contains(n.Addr())) && !n.Addr().IsLinkLocalUnicast()
}

// cloudRun are warnings about believing the headers of WeChat Cloud Run.
func cloudRun(cfg config.Config) (ws input.Warnings) {
	if !cfg.WeChat.CloudRun {
		return ws
	}
	s := cfg.Server
	for _, other := range []struct {
		key string
		set bool
	}{
		{"server.tls", s.TLS.Enabled()},
		{"server.http", s.HTTP != ""},
		{"server.trusted_proxies", len(s.TrustedProxies) > 0},
		{"server.wechat_gateway", len(s.WeChatGateway) > 0},
	} {
		if other.set {
			ws.Warn("cloud-run-public", "wechat.cloud_run", "the X-WX-* headers are believed, and %s says that requests come by another way than WeChat Cloud Run: "+
				"whoever comes that way can be anyone. Run a gateway of its own for that way", other.key)
			return ws
		}
	}
	ws.Warn("cloud-run", "wechat.cloud_run", "the X-WX-* headers are believed: switch off public access, or anyone can be anyone")
	return ws
}
