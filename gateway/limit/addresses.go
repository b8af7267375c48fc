package limit

import (
	"net/netip"
	"slices"
)

// Addresses are the lists of clients that are allowed or denied.
type Addresses struct{ allow, deny networks }

// NewAddresses makes the lists of limits.ip, whose ranges may overlap.
func NewAddresses(cfg AddressConfig) Addresses {
	return Addresses{newNetworks(cfg.Allow), newNetworks(cfg.Deny)}
}

// Admit reports whether a client is admitted: deny comes first, and an empty allow means everybody. If there is a list,
// an unknown client is not admitted, since it could be one of those on the list.
func (l *Addresses) Admit(client netip.Addr) bool {
	if !client.IsValid() {
		return len(l.deny.has) == 0 && len(l.allow.has) == 0
	}
	return !l.deny.hold(client) && (len(l.allow.has) == 0 || l.allow.hold(client))
}

// networks is a set of ranges. A lookup takes one step per prefix length, however many ranges there are.
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

// Subscriber returns what identifies one client: an IPv4 address, or the /64 that an IPv6 subscriber is assigned.
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
