package gateway

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/lograte"
	"wxgate/message"
)

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
	return contain(r.cfg.Server.TrustedProxies, peer) || r.isWeChatGateway(peer)
}

// isWeChatGateway reports whether a peer is an exit node of 微信网关. Nothing but its address tells (page security/gateway/info/qa):
// there is no signature, and whoever sends the headers could be anyone.
func (r *snapshot) isWeChatGateway(peer netip.Addr) bool {
	return contain(r.cfg.Server.WeChatGateway, peer)
}

func contain(networks []limit.Network, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n limit.Network) bool { return n.Contains(addr) })
}

// headerCloudForwardedFor is where WeChat Cloud Run puts the addresses that its gateway saw; X-Forwarded-For holds
// those of the platform itself (page wxcloud/guide/container/wxinfo).
const headerCloudForwardedFor = "X-Original-Forwarded-For"

// clientResolver determines the client behind a connection, and warns once of what prevents it.
type clientResolver struct {
	log        *slog.Logger
	limitedLog *lograte.Log // for lines that clients can provoke
	metrics    *metrics
	removals   lograte.Gate // of identity headers

	untrustedProxy, unknownIngress, unreadableHop, unsignedBody sync.Once // warnings, each logged once
}

// resolveClient returns the client address for limits and logs: the peer, or behind trusted proxies the last address of
// X-Forwarded-For that is not one of theirs. On WeChat Cloud Run it is the last one that the gateway of the platform
// saw, and behind 微信网关 the one that it names. An invalid address stands for an unknown client, which passes no address list and shares its buckets with all
// other unknown clients.
func (c *clientResolver) resolveClient(ex *Exchange) netip.Addr {
	h, r := &ex.request.Fields, ex.snapshot
	if r.cfg.CloudRun && !ex.ingress {
		if seen := joinedValues(h, headerCloudForwardedFor); seen != "" {
			return c.lastUntrusted(r, headerCloudForwardedFor, seen, ex.peer)
		}
	}
	if !ex.trusted {
		c.warnUntrustedProxy(ex)
		return ex.peer
	}
	if ex.ingress {
		if named := joinedValues(h, header.IngressClientIP); named != "" {
			return c.lastUntrusted(r, header.IngressClientIP, named, ex.peer)
		}
	}
	return c.lastUntrusted(r, "X-Forwarded-For", joinedValues(h, "X-Forwarded-For"), ex.peer)
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
	if peer := ex.peer; (peer.IsPrivate() || peer.IsLoopback()) && ex.request.Fields.Has("X-Forwarded-For") {
		c.untrustedProxy.Do(func() {
			c.log.Warn("X-Forwarded-For from a peer that is not in server.trusted_proxies: its clients share one login limit", "peer", peer.String())
		})
	}
}

// warnUnknownIngress warns once that requests seem to come from 微信网关, whose exit nodes nobody has named.
func (c *clientResolver) warnUnknownIngress(ex *Exchange) {
	if ex.classes&header.ClassIngress != 0 && len(ex.snapshot.cfg.Server.WeChatGateway) == 0 {
		c.unknownIngress.Do(func() {
			c.log.Warn("headers of 微信网关 are removed: server.wechat_gateway does not name its exit nodes, so any client could have sent them", "peer", formatClient(ex.peer))
		})
	}
}

// joinedValues joins the lines of a list field such as X-Forwarded-For (RFC 9110 §5.3).
func joinedValues(h *message.Fields, name string) string {
	var all []byte
	for value := range h.Values(name) {
		if all != nil {
			all = append(all, ", "...)
		}
		all = append(all, value...)
	}
	return string(all)
}

// setForwarded sets the forwarding headers. Only those of a trusted proxy are extended; others are replaced.
func setForwarded(ex *Exchange, out *message.Fields) {
	in := &ex.request.Fields
	chain := cmp.Or(ex.peerText, unknownClient)
	if ex.trusted {
		if before := joinedValues(in, "X-Forwarded-For"); before != "" {
			chain = before + ", " + chain
		}
	}
	if ex.snapshot.cfg.CloudRun {
		if seen := joinedValues(in, headerCloudForwardedFor); seen != "" {
			chain = seen + ", " + chain
		}
	}
	if ex.ingress && in.Has(header.IngressClientIP) { // what its nodes have written in X-Forwarded-For is of use to nobody
		chain = formatClient(ex.client) + ", " + ex.peerText
	}
	out.Add("X-Forwarded-For", chain)
	out.Add("X-Forwarded-Proto", ex.forwardedProto())
	if host := ex.forwardedHost(); len(host) > 0 {
		out.AddBytes([]byte("X-Forwarded-Host"), host)
	}
}

// forwardedProto is the scheme by which the client asked: the one that a trusted proxy names, or that of the connection.
func (ex *Exchange) forwardedProto() string {
	if ex.trusted {
		if named := lastValue(&ex.request.Fields, "X-Forwarded-Proto"); named != "" {
			return named
		}
	}
	return ex.scheme()
}

// forwardedHost is the host that the client asked for: the one that a trusted proxy names, or Host.
func (ex *Exchange) forwardedHost() []byte {
	host := ex.request.Host
	if ex.trusted {
		if named := lastValue(&ex.request.Fields, "X-Forwarded-Host"); named != "" {
			host = []byte(named)
		}
	}
	return host
}

// lastValue is the value of the last line of a field: a proxy that adds a line leaves those of the client before it.
func lastValue(h *message.Fields, name string) string {
	var last []byte
	for value := range h.Values(name) {
		last = value
	}
	return string(last)
}

// scheme is the URI scheme of the request as we received it.
func (ex *Exchange) scheme() string {
	if ex.request.Secure {
		return "https"
	}
	return "http"
}
