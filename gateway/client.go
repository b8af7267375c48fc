package gateway

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/header"
)

// peerOf is the address at the other end of the connection.
func peerOf(ctx *fasthttp.RequestCtx) netip.Addr {
	if tcp, ok := ctx.RemoteAddr().(*net.TCPAddr); ok {
		return header.PlainAddress(tcp.AddrPort().Addr())
	}
	return netip.Addr{}
}

// unknownClient is how an address that nobody told us is written, as Squid and RFC 7239 §6.2 do.
const unknownClient = "unknown"

func clientText(client netip.Addr) string {
	if !client.IsValid() {
		return unknownClient
	}
	return client.String()
}

// trusts reports whether a peer's X-Forwarded-* are believed.
func (r *snapshot) trusts(peer netip.Addr) bool {
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

// clientFinder finds out who speaks through a connection, and says once what keeps it from that.
type clientFinder struct {
	log     *slog.Logger
	metrics *metrics

	hidden, unreadable, unsigned sync.Once // the warnings that were given
}

// clientOf is the address that limits and logs go by: the peer, or behind trusted proxies the last address of
// X-Forwarded-For that is not one of theirs. On WeChat Cloud Run it is the last that the platform's gateway saw. An invalid
// address stands for an unknown client: it passes no list of addresses, and shares the buckets of all unknown ones.
func (c *clientFinder) clientOf(ex *Exchange) netip.Addr {
	h, r := &ex.request.Header, ex.snapshot
	if r.cfg.CloudRun {
		if seen := listedAddresses(h, headerCloudForwardedFor); seen != "" {
			return c.lastForeign(r, headerCloudForwardedFor, seen, ex.peer)
		}
	}
	if !ex.trusted {
		c.warnHidden(ex)
		return ex.peer
	}
	return c.lastForeign(r, fasthttp.HeaderXForwardedFor, listedAddresses(h, fasthttp.HeaderXForwardedFor), ex.peer)
}

// lastForeign is the last address of a list that is not a trusted proxy, the peer when the list is empty. What stands left
// of it a client may have invented; what cannot be read is no proxy of ours, so the client is unknown.
func (c *clientFinder) lastForeign(r *snapshot, field, list string, peer netip.Addr) netip.Addr {
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
		if !r.trusts(client) {
			return client
		}
	}
	return client
}

// warnUnreadable says once that a proxy of ours names its client in a way that we cannot read.
func (c *clientFinder) warnUnreadable(field, hop string, peer netip.Addr) {
	c.unreadable.Do(func() {
		c.log.Warn("a proxy names no address of its client: such clients are unknown, pass no limits.ip and share one login limit",
			"header", field, "value", fmt.Sprintf("%.64s", hop), "peer", clientText(peer))
	})
}

// warnHidden says once that clients seem to hide behind a proxy that is not in server.trusted_proxies: all of them then
// share one login limit.
func (c *clientFinder) warnHidden(ex *Exchange) {
	if peer := ex.peer; (peer.IsPrivate() || peer.IsLoopback()) && len(ex.request.Header.Peek(fasthttp.HeaderXForwardedFor)) > 0 {
		c.hidden.Do(func() {
			c.log.Warn("X-Forwarded-For from a peer that is not in server.trusted_proxies: its clients share one login limit", "peer", peer.String())
		})
	}
}

// listedAddresses joins the lines of a field such as X-Forwarded-For (RFC 9110 §5.3).
func listedAddresses(h *fasthttp.RequestHeader, name string) string {
	var lines []string
	for _, line := range h.PeekAll(name) {
		lines = append(lines, string(line))
	}
	return strings.Join(lines, ", ")
}

// setForwarded tells the service how the request reached us. Only a trusted proxy's word is passed on.
func setForwarded(ex *Exchange, out *fasthttp.RequestHeader) {
	in := &ex.request.Header
	chain, proto, host := clientText(ex.peer), scheme(ex.server), string(in.Host())
	if ex.trusted {
		if before := listedAddresses(in, fasthttp.HeaderXForwardedFor); before != "" {
			chain = before + ", " + chain
		}
		proto = orElse(lastLine(in, fasthttp.HeaderXForwardedProto), proto)
		host = orElse(lastLine(in, fasthttp.HeaderXForwardedHost), host)
	}
	if ex.snapshot.cfg.CloudRun {
		if seen := listedAddresses(in, headerCloudForwardedFor); seen != "" {
			chain = seen + ", " + chain
		}
	}
	out.Set(fasthttp.HeaderXForwardedFor, chain)
	out.Set(fasthttp.HeaderXForwardedProto, proto)
	if host != "" {
		out.Set(fasthttp.HeaderXForwardedHost, host)
	}
}

// lastLine is the last value of a field: proxies that add a line leave the client's own before it.
func lastLine(h *fasthttp.RequestHeader, name string) string {
	lines := h.PeekAll(name)
	if len(lines) == 0 {
		return ""
	}
	return string(lines[len(lines)-1])
}

// scheme is how the request came to us.
func scheme(ctx *fasthttp.RequestCtx) string {
	if ctx.IsTLS() {
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
