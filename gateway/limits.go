package gateway

import (
	"fmt"
	"net/netip"
	"slices"

	"wxgate/gateway/limit"
	"wxgate/input"
)

// LimitsConfig is the section limits.
type LimitsConfig struct {
	Login    LimitConfig   `yaml:"login"`     // of one address and of one openid
	Sessions LimitConfig   `yaml:"sessions"`  // that one openid begins: each is remembered when it has ended
	Writes   LimitConfig   `yaml:"writes"`    // of one user: our endpoints that write to the store, all together
	IP       AddressConfig `yaml:"ip"`        // who may ask at all
	InFlight int           `yaml:"in_flight"` // requests worked on at a time; 0: no bound
	Dials    int           `yaml:"dials"`     // connections being made at a time to each address of a target

	Prefetch        limit.Rate  `yaml:"prefetch"`         // pre-fetches by code, of all mini-programs and users
	DecryptFailures LimitConfig `yaml:"decrypt_failures"` // encrypted data of one user that do not open

	PerClient PerClientConfig `yaml:"per_client"`
}

// PerClientConfig is limits.per_client: what one user may hold at a time, or one address without a verified token. 0 is
// no bound.
type PerClientConfig struct {
	InFlight            int `yaml:"in_flight"`            // requests worked on
	UpstreamConnections int `yaml:"upstream_connections"` // connections to services, those of answers that flow among them
	WebSockets          int `yaml:"websockets"`           // open ones
}

func (p PerClientConfig) of(kind limit.Kind) int {
	switch kind {
	case limit.Requests:
		return p.InFlight
	case limit.Connections:
		return p.UpstreamConnections
	}
	return p.WebSockets
}

// AddressConfig is limits.ip. What is denied stays so; when allow has entries, nobody else is let in.
type AddressConfig struct {
	Allow []Network `yaml:"allow"`
	Deny  []Network `yaml:"deny"`
}

// Network is a range of addresses, written as a CIDR or as one address.
type Network struct{ netip.Prefix }

func prefixes(networks []Network) (all []netip.Prefix) {
	for _, n := range networks {
		all = append(all, n.Prefix)
	}
	return all
}

// UnmarshalText reads a Network.
func (n *Network) UnmarshalText(text []byte) error {
	prefix, err := netip.ParsePrefix(string(text))
	if err != nil {
		var addr netip.Addr
		if addr, err = netip.ParseAddr(string(text)); err == nil {
			prefix, err = addr.WithZone("").Prefix(addr.BitLen())
		}
	}
	if err != nil {
		return fmt.Errorf("%q is not a CIDR such as 10.0.0.0/8, nor an address", text)
	}
	if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
	}
	if n.Prefix = prefix.Masked(); n.Prefix != prefix {
		return fmt.Errorf("%q is an address within a range: write %v for the range, or %v for the address alone", text, n.Prefix, prefix.Addr())
	}
	return nil
}

// LimitConfig is a token bucket per client.
type LimitConfig struct {
	Per   string     `yaml:"per"` // one of PerUser, PerIP, PerRoute
	Rate  limit.Rate `yaml:"rate"`
	Burst int        `yaml:"burst"`
}

// Who shares one bucket of a limit: LimitConfig.Per.
const (
	PerUser  = "user"  // one user
	PerIP    = "ip"    // one client address
	PerRoute = "route" // all who use the route
)

// perOpenID is the label of the login limit where it counts openids.
const perOpenID = "openid"

// perSession is the label of the limit of the sessions that one openid begins.
const perSession = "session"

func (l LimitsConfig) validate() input.Faults {
	f := slices.Concat(l.Login.validate(PerIP).At("login"), l.Sessions.validate(PerUser).At("sessions"), l.Writes.validate(PerUser).At("writes"),
		l.DecryptFailures.validate(PerUser).At("decrypt_failures"))
	if l.Prefetch.Count < 1 {
		f.Add("prefetch", "is not a positive rate such as 600/m")
	}
	input.Between(&f, "in_flight", l.InFlight, 0, maxInFlight)
	for _, kind := range limit.Kinds() {
		input.Between(&f, "per_client."+kind.String(), l.PerClient.of(kind), 0, maxInFlight)
	}
	input.Between(&f, "dials", l.Dials, 1, maxDials)
	return f
}

const (
	maxBurst    = 1_000_000 // keeps burst times the interval of the slowest rate far below what a duration can hold
	maxInFlight = 1_000_000
	maxDials    = 10_000
)

// prefetches are the limits of pre-fetches by code: of all together, and of each openid.
func (l LimitsConfig) prefetches() (together, each LimitConfig) {
	together = LimitConfig{Per: PerRoute, Rate: l.Prefetch, Burst: min(l.Prefetch.Count, maxBurst)}
	each = l.Login
	each.Per = perOpenID
	return together, each
}

// text is the limit as an operator reads it.
func (l LimitConfig) text() string { return fmt.Sprintf("%v burst %d per %s", l.Rate, l.Burst, l.Per) }

// validate reports every fault of a limit; per are the values of its key per.
func (l LimitConfig) validate(per ...string) (f input.Faults) {
	f.OneOf("per", l.Per, per...)
	if l.Rate.Count < 1 || l.Rate.Per <= 0 {
		f.Add("rate", "is not a positive rate such as 60/m")
	}
	input.Between(&f, "burst", l.Burst, 1, maxBurst)
	return f
}
