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

// headerCloudForwardedFor is where WeChat Cloud Run puts the addresses that its gateway saw; X-Forwarded-For holds those
// of the platform itself (page wxcloud/guide/container/wxinfo).
const headerCloudForwardedFor = "X-Original-Forwarded-For"

// clientOf is the address that limits and logs go by: the peer, or behind trusted proxies the last address of
// X-Forwarded-For that is not one of theirs. On WeChat Cloud Run it is the last that the platform's gateway saw.
func (g *Gateway) clientOf(c *fiber.Ctx, r *rules, peer netip.Addr, trusted bool) netip.Addr {
	header := &c.Request().Header
	if r.cfg.CloudRun {
		if seen := listedAddresses(header, headerCloudForwardedFor); seen != "" {
			return r.lastForeign(seen, peer)
		}
	}
	if !trusted {
		g.warnHidden(c, peer)
		return peer
	}
	return r.lastForeign(listedAddresses(header, fiber.HeaderXForwardedFor), peer)
}

// lastForeign is the last address of a list that is not a trusted proxy. What stands left of it a client may have
// invented.
func (r *rules) lastForeign(list string, peer netip.Addr) netip.Addr {
	client := peer
	hops := strings.Split(list, ",")
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

// listedAddresses joins the lines of a field such as X-Forwarded-For (RFC 9110 §5.3).
func listedAddresses(header *fasthttp.RequestHeader, name string) string {
	var lines []string
	for _, line := range header.PeekAll(name) {
		lines = append(lines, string(line))
	}
	return strings.Join(lines, ", ")
}

// setForwarded tells the service how the request reached us. Only a trusted proxy's word is passed on.
func (r *rules) setForwarded(c *fiber.Ctx, req *fasthttp.Request) {
	peer := peerOf(c)
	chain, proto, host := peer.String(), schemeOf(c), string(c.Request().Header.Host())
	if r.trusts(peer) {
		if before := listedAddresses(&c.Request().Header, fiber.HeaderXForwardedFor); before != "" {
			chain = before + ", " + chain
		}
		proto = orElse(c.Get(fiber.HeaderXForwardedProto), proto)
		host = orElse(c.Get(fiber.HeaderXForwardedHost), host)
	}
	if r.cfg.CloudRun {
		if seen := listedAddresses(&c.Request().Header, headerCloudForwardedFor); seen != "" {
			chain = seen + ", " + chain
		}
	}
	req.Header.Set(fiber.HeaderXForwardedFor, chain)
	req.Header.Set(fiber.HeaderXForwardedProto, proto)
	req.Header.Set(fiber.HeaderXForwardedHost, host)
}

// schemeOf is what the client speaks. Fiber's c.Protocol would believe X-Forwarded-Proto and its like of anybody.
func schemeOf(c *fiber.Ctx) string {
	if c.Context().IsTLS() {
		return "https"
	}
	return "http"
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
