package gateway

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/header"
	"wxgate/gateway/limit"
)

// peerAddress is the remote address of the connection.
func peerAddress(ctx *fasthttp.RequestCtx) netip.Addr {
	if tcp, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		return header.PlainAddress(tcp.AddrPort().Addr())
	}
	return netip.Addr{}
}

// unknownClient is written for a client whose address is not known, as Squid and RFC 7239 §6.2 do.
const unknownClient = "unknown"

func formatClient(client netip.Addr) string {
	if !client.IsValid() {
		return unknownClient
	}
	return client.String()
}

// trustsPeer reports whether the X-Forwarded-* headers of a peer are believed.
func (r *snapshot) trustsPeer(peer netip.Addr) bool {
	return slices.ContainsFunc(r.cfg.Server.TrustedProxies, func(p limit.Network) bool { return p.Contains(peer) })
}

// headerCloudForwardedFor is where WeChat Cloud Run puts the addresses that its gateway saw; X-Forwarded-For holds
// those of the platform itself (page wxcloud/guide/container/wxinfo).
const headerCloudForwardedFor = "X-Original-Forwarded-For"

// clientResolver determines the client behind a connection, and warns once of what prevents it.
type clientResolver struct {
	log     *slog.Logger
	metrics *metrics

	untrustedProxy, unreadableHop, unsignedBody sync.Once // warnings, each logged once
}

// resolveClient returns the client address for limits and logs: the peer, or behind trusted proxies the last address of
// X-Forwarded-For that is not one of theirs. On WeChat Cloud Run it is the last one that the gateway of the platform
// saw. An invalid address stands for an unknown client, which passes no address list and shares its buckets with all
// other unknown clients.
func (c *clientResolver) resolveClient(ex *Exchange) netip.Addr {
	h, r := &ex.request.Header, ex.snapshot
	if r.cfg.CloudRun {
		if seen := joinedValues(h, headerCloudForwardedFor); seen != "" {
			return c.lastUntrusted(r, headerCloudForwardedFor, seen, ex.peer)
		}
	}
	if !ex.trusted {
		c.warnUntrustedProxy(ex)
		return ex.peer
	}
	return c.lastUntrusted(r, fasthttp.HeaderXForwardedFor, joinedValues(h, fasthttp.HeaderXForwardedFor), ex.peer)
}

// lastUntrusted is the last address of a list that is not a trusted proxy, or the peer when the list is empty. A client
// may have invented everything to the left of it. An entry that cannot be parsed is not one of our proxies, so the
// client is unknown.
func (c *clientResolver) lastUntrusted(r *snapshot, field, list string, peer netip.Addr) netip.Addr {
	client := peer
	for left := true; left; {
		var hop string
		list, hop, left = header.CutLast(list, ",")
		if hop = strings.Trim(hop, " \t"); hop == "" {
			continue // RFC 9110 §5.6.1
		}
		var readable bool
		if client, readable = header.ParseHop(hop); !readable {
			c.warnUnreadable(field, hop, peer)
			return netip.Addr{}
		}
		if !r.trustsPeer(client) {
			return client
		}
	}
	return client
}

// warnUnreadable warns once that a trusted proxy names its client in a form that we cannot parse.
func (c *clientResolver) warnUnreadable(field, hop string, peer netip.Addr) {
	c.unreadableHop.Do(func() {
		c.log.Warn("a proxy names no address of its client: such clients are unknown, pass no limits.ip and share one login limit",
			"header", field, "value", fmt.Sprintf("%.64s", hop), "peer", formatClient(peer))
	})
}

// warnUntrustedProxy warns once that clients seem to be behind a proxy that is not in server.trusted_proxies: all of
// them then share one login limit.
func (c *clientResolver) warnUntrustedProxy(ex *Exchange) {
	if peer := ex.peer; (peer.IsPrivate() || peer.IsLoopback()) && len(ex.request.Header.Peek(fasthttp.HeaderXForwardedFor)) > 0 {
		c.untrustedProxy.Do(func() {
			c.log.Warn("X-Forwarded-For from a peer that is not in server.trusted_proxies: its clients share one login limit", "peer", peer.String())
		})
	}
}

// joinedValues joins the lines of a list field such as X-Forwarded-For (RFC 9110 §5.3).
func joinedValues(h *fasthttp.RequestHeader, name string) string {
	var lines []string
	for _, line := range h.PeekAll(name) {
		lines = append(lines, string(line))
	}
	return strings.Join(lines, ", ")
}

// setForwarded sets the forwarding headers. Only those of a trusted proxy are extended; others are replaced.
func setForwarded(ex *Exchange, out *fasthttp.RequestHeader) {
	in := &ex.request.Header
	chain, proto, host := formatClient(ex.peer), scheme(ex.server), string(in.Host())
	if ex.trusted {
		if before := joinedValues(in, fasthttp.HeaderXForwardedFor); before != "" {
			chain = before + ", " + chain
		}
		proto = cmp.Or(lastValue(in, fasthttp.HeaderXForwardedProto), proto)
		host = cmp.Or(lastValue(in, fasthttp.HeaderXForwardedHost), host)
	}
	if ex.snapshot.cfg.CloudRun {
		if seen := joinedValues(in, headerCloudForwardedFor); seen != "" {
			chain = seen + ", " + chain
		}
	}
	out.Set(fasthttp.HeaderXForwardedFor, chain)
	out.Set(fasthttp.HeaderXForwardedProto, proto)
	if host != "" {
		out.Set(fasthttp.HeaderXForwardedHost, host)
	}
}

// lastValue is the value of the last line of a field: a proxy that adds a line leaves those of the client before it.
func lastValue(h *fasthttp.RequestHeader, name string) string {
	lines := h.PeekAll(name)
	if len(lines) == 0 {
		return ""
	}
	return string(lines[len(lines)-1])
}

// scheme is the URI scheme of the request as we received it.
func scheme(ctx *fasthttp.RequestCtx) string {
	if ctx.IsTLS() {
		return "https"
	}
	return "http"
}
