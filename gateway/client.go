package gateway

import (
	"net"
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// peerOf is the address at the other end of the connection.
func peerOf(c *fiber.Ctx) netip.Addr {
	if tcp, ok := c.Context().RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// trusts says whether a peer's X-Forwarded-* are believed.
func (r *rules) trusts(peer netip.Addr) bool {
	for _, p := range r.cfg.Server.TrustedProxies {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

// clientOf is the address that limits and logs go by: the peer, or behind trusted proxies the last address of
// X-Forwarded-For that is not one of theirs. What stands left of it a client may have invented.
func (g *Gateway) clientOf(c *fiber.Ctx, r *rules, peer netip.Addr, trusted bool) netip.Addr {
	if !trusted {
		g.warnHidden(c, peer)
		return peer
	}
	client := peer
	hops := strings.Split(forwardedFor(&c.Request().Header), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			return client
		}
		client = hop.Unmap()
		if !r.trusts(client) {
			return client
		}
	}
	return client
}

// warnHidden says once that clients seem to hide behind a proxy that is not in server.trusted_proxies: all of them then
// share one login limit.
func (g *Gateway) warnHidden(c *fiber.Ctx, peer netip.Addr) {
	if (peer.IsPrivate() || peer.IsLoopback()) && len(c.Request().Header.Peek(fiber.HeaderXForwardedFor)) > 0 {
		g.hidden.Do(func() {
			g.deps.Log.Warn("X-Forwarded-For from a peer that is not in server.trusted_proxies: its clients share one login limit", "peer", peer.String())
		})
	}
}

// forwardedFor joins the X-Forwarded-For lines of a request (RFC 9110 §5.3).
func forwardedFor(header *fasthttp.RequestHeader) string {
	var lines []string
	for _, line := range header.PeekAll(fiber.HeaderXForwardedFor) {
		lines = append(lines, string(line))
	}
	return strings.Join(lines, ", ")
}

// setForwarded tells the service how the request reached us. Only a trusted proxy's word is passed on.
func (r *rules) setForwarded(c *fiber.Ctx, req *fasthttp.Request) {
	peer := peerOf(c)
	chain, proto, host := peer.String(), c.Protocol(), string(c.Request().Header.Host())
	if r.trusts(peer) {
		if before := forwardedFor(&c.Request().Header); before != "" {
			chain = before + ", " + chain
		}
		proto = orElse(c.Get(fiber.HeaderXForwardedProto), proto)
		host = orElse(c.Get(fiber.HeaderXForwardedHost), host)
	}
	req.Header.Set(fiber.HeaderXForwardedFor, chain)
	req.Header.Set(fiber.HeaderXForwardedProto, proto)
	req.Header.Set(fiber.HeaderXForwardedHost, host)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
