package limit

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"wxgate/input"
)

// Config is the section limits of gateway.yaml.
type Config struct {
	Login    BucketConfig  `yaml:"login"`     // of one address and of one openid
	Sessions BucketConfig  `yaml:"sessions"`  // that one openid starts: each is remembered after its end
	Writes   BucketConfig  `yaml:"writes"`    // of one user: our endpoints that write to the store, all together
	IP       AddressConfig `yaml:"ip"`        // who is admitted at all
	InFlight int           `yaml:"in_flight"` // requests worked on at a time; 0: no bound
	Dials    int           `yaml:"dials"`     // connections being made at a time to each address of a target

	Prefetch        Rate         `yaml:"prefetch"`         // pre-fetches by code, of all mini-programs and users
	DecryptFailures BucketConfig `yaml:"decrypt_failures"` // encrypted data of one user that cannot be decrypted

	PerClient PerClientConfig `yaml:"per_client"`
}

// BucketConfig is a token bucket for each client that it tells apart. The zero value is no limit.
type BucketConfig struct {
	Per   string `yaml:"per"` // one of PerUser, PerIP, PerRoute
	Rate  Rate   `yaml:"rate"`
	Burst int    `yaml:"burst"` // how many may come at once
}

// Who shares one bucket of a limit: BucketConfig.Per.
const (
	PerUser   = "user"   // one user
	PerIP     = "ip"     // one client address
	PerRoute  = "route"  // everybody who uses the route
	PerOpenID = "openid" // one openid; never written
)

// PerClientConfig is limits.per_client: what one user may hold at a time, or one address without a verified token. 0 is
// no bound.
type PerClientConfig struct {
	InFlight            int `yaml:"in_flight"`            // requests worked on
	UpstreamConnections int `yaml:"upstream_connections"` // connections to services, those of answers that flow among them
	WebSockets          int `yaml:"websockets"`           // open ones
}

// Of returns how many of a kind one client may hold.
func (p PerClientConfig) Of(kind Kind) int {
	return [kinds]int{p.InFlight, p.UpstreamConnections, p.WebSockets}[kind]
}

// AddressConfig is limits.ip. deny comes first; if allow has entries, nobody else is admitted.
type AddressConfig struct {
	Allow []Network `yaml:"allow"`
	Deny  []Network `yaml:"deny"`
}

// Network is a range of addresses, written as a CIDR or as one address.
type Network struct{ netip.Prefix }

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

// DefaultConfig is the section limits when gateway.yaml does not mention it, without dials, whose default is
// upstream's.
func DefaultConfig() Config {
	return Config{
		Login: BucketConfig{Per: PerIP, Rate: Rate{Count: 60, Per: time.Minute}, Burst: 30}, InFlight: 10000,
		PerClient:       PerClientConfig{InFlight: 64, UpstreamConnections: 64, WebSockets: 16},
		Prefetch:        Rate{Count: 600, Per: time.Minute},
		DecryptFailures: BucketConfig{Per: PerUser, Rate: Rate{Count: 6, Per: time.Hour}, Burst: 10},
		Sessions:        BucketConfig{Per: PerUser, Rate: Rate{Count: 60, Per: time.Hour}, Burst: 120},
		Writes:          BucketConfig{Per: PerUser, Rate: Rate{Count: 120, Per: time.Minute}, Burst: 60},
	}
}

const (
	maxBurst    = 1_000_000 // so that burst times the interval of the slowest rate fits into a duration easily
	maxInFlight = 1_000_000
	maxDials    = 10_000
)

// Validate reports every fault of the section.
func (c Config) Validate() input.Faults {
	f := slices.Concat(c.Login.Validate(PerIP).At("login"), c.Sessions.Validate(PerUser).At("sessions"), c.Writes.Validate(PerUser).At("writes"),
		c.DecryptFailures.Validate(PerUser).At("decrypt_failures"))
	if c.Prefetch.Count < 1 {
		f.Add("prefetch", "is not a positive rate such as 600/m")
	}
	input.Between(&f, "in_flight", c.InFlight, 0, maxInFlight)
	for _, kind := range allKinds() {
		input.Between(&f, "per_client."+kind.String(), c.PerClient.Of(kind), 0, maxInFlight)
	}
	input.Between(&f, "dials", c.Dials, 1, maxDials)
	return f
}

// Validate reports every fault of a limit. per are the allowed values of its key per.
func (c BucketConfig) Validate(per ...string) (f input.Faults) {
	f.OneOf("per", c.Per, per...)
	if c.Rate.Count < 1 || c.Rate.Per <= 0 {
		f.Add("rate", "is not a positive rate such as 60/m")
	}
	if c.Burst == 0 {
		f.Add("burst", "want how many may come at once, such as 60")
	} else {
		input.Between(&f, "burst", c.Burst, 1, maxBurst)
	}
	return f
}

// String is the limit as an operator reads it.
func (c BucketConfig) String() string {
	return fmt.Sprintf("%v burst %d per %s", c.Rate, c.Burst, c.Per)
}

// Prefetches returns the limits of pre-fetches by code: of all together, with a burst of a minute's worth, and of each
// openid, which are those of logins.
func (c Config) Prefetches() (together, each BucketConfig) {
	together = BucketConfig{Per: PerRoute, Rate: c.Prefetch, Burst: min(c.Prefetch.Count, maxBurst)}
	each = c.Login
	each.Per = PerOpenID
	return together, each
}

// Rate is how often something may happen, written as 10/s, 60/m or 1000/h.
type Rate struct {
	Count int
	Per   time.Duration
}

// UnmarshalText reads a Rate.
func (r *Rate) UnmarshalText(text []byte) error {
	count, unit, _ := strings.Cut(string(text), "/")
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > 1_000_000_000 || per == 0 {
		return fmt.Errorf("%q is not a rate such as 10/s, 60/m or 1000/h%s", text, input.DidYouMean(meantRate(string(text))))
	}
	*r = Rate{Count: n, Per: per}
	return nil
}

// meantRate is a rate that somebody wrote in other words; empty if that cannot be told.
func meantRate(text string) string {
	count, unit := input.MeantRate(text)
	if !slices.Contains([]string{"s", "m", "h"}, unit) {
		return ""
	}
	return count + "/" + unit
}

// String writes a Rate as UnmarshalText reads it.
func (r Rate) String() string {
	unit := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[r.Per]
	return strconv.Itoa(r.Count) + "/" + unit
}
