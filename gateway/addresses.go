package gateway

import (
	"net/netip"
	"slices"

	"github.com/gofiber/fiber/v2"

	"wxgate/gateway/answer"
)

// addressLists are limits.ip made ready.
type addressLists struct{ allow, deny networks }

func newAddressLists(cfg AddressConfig) addressLists {
	return addressLists{newNetworks(cfg.Allow), newNetworks(cfg.Deny)}
}

// admit reports whether a client may ask: deny is asked first, and an empty allow means everybody. Where there is a list,
// an unknown client may not: it could be one of those that the list is about.
func (l *addressLists) admit(client netip.Addr) bool {
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
		n.has[r.Masked()] = struct{}{}
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

// screen refuses addresses that limits.ip does not let in. Health tells nothing, and whoever asks for it, a balancer or
// wxgate health, is seldom thought of in such lists.
func (g *Gateway) screen(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	if ex.route.class != classHealth && !ex.rules.addresses.admit(ex.client) {
		return answer.ErrIPDenied
	}
	return c.Next()
}
