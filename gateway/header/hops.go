package header

import (
	"net/netip"
	"strings"
)

// PlainAddress is an address as lists and limits know it: an IPv4 address in IPv6 clothes is that IPv4 address, and the
// zone is ours, not the client's.
func PlainAddress(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// CutLast splits s at its last sep; without one, all of s is behind it.
func CutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// ParseHop reads an element of X-Forwarded-For: an address, with a port as Azure and some balancers write it, an IPv6
// address in brackets or without.
func ParseHop(hop string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(hop); err == nil {
		return PlainAddress(addr), true
	}
	if both, err := netip.ParseAddrPort(hop); err == nil {
		return PlainAddress(both.Addr()), true
	}
	inner, bracketed := strings.CutPrefix(hop, "[")
	addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
	if err != nil || !bracketed || !strings.HasSuffix(inner, "]") || !addr.Is6() {
		return netip.Addr{}, false
	}
	return PlainAddress(addr), true
}
