package limit

import (
	"net/netip"
	"slices"
)

// Addresses are the lists of who may ask.
type Addresses struct{ allow, deny networks }

// NewAddresses makes the lists of limits.ip, whose ranges may overlap.
func NewAddresses(cfg AddressConfig) Addresses {
	return Addresses{newNetworks(cfg.Allow), newNetworks(cfg.Deny)}
}

// Admit reports whether a client may ask: deny is asked first, and an empty allow means everybody. Where there is a list,
// an unknown client may not: it could be one of those that the list is about.
func (l *Addresses) Admit(client netip.Addr) bool {
	if !client.IsValid() {
		return len(l.deny.has) == 0 && len(l.allow.has) == 0
	}
	return !l.deny.hold(client) && (len(l.allow.has) == 0 || l.allow.hold(client))
}

// networks is a set of ranges. Asking it takes as long as it has lengths of prefixes, however many ranges there are.
type networks struct {
	bits []int
	has  map[netip.Prefix]struct{}
}

func newNetworks(ranges []Network) networks {
	n := networks{has: make(map[netip.Prefix]struct{}, len(ranges))}
	for _, r := range ranges {
		n.has[r.Prefix.Masked()] = struct{}{}
		if !slices.Contains(n.bits, r.Bits()) {
			n.bits = append(n.bits, r.Bits())
		}
	}
	return n
}

func (n *networks) hold(client netip.Addr) bool {
	for _, bits := range n.bits {
		if prefix, err := client.WithZone("").Prefix(bits); err == nil {
			if _, found := n.has[prefix]; found {
				return true
			}
		}
	}
	return false
}

// Subscriber is what one client can be told apart by: an IPv4 address, or the /64 that an IPv6 subscriber is given.
func Subscriber(client netip.Addr) netip.Addr {
	if !client.Is6() {
		return client
	}
	prefix, err := client.WithZone("").Prefix(64)
	if err != nil {
		return client
	}
	return prefix.Addr()
}
