package listen

import (
	"net"
	"net/netip"
	"sync"

	"wxgate/gateway/limit"
)

// addresses counts the open connections of each client, so that none can take the places of all the others.
type addresses struct {
	most   int
	exempt func(netip.Addr) bool // nil: nobody

	mu   sync.Mutex
	open map[netip.Addr]int
}

func newAddresses(cfg Config) *addresses {
	return &addresses{most: cfg.MaxConnsPerAddr, exempt: cfg.Exempt, open: make(map[netip.Addr]int)}
}

// enter takes a place for a connection. within reports whether the client was entitled to it. leave gives the place
// back and must be called in either case.
func (a *addresses) enter(peer net.Addr) (leave func(), within bool) {
	client, known := subscriberOf(peer)
	if a.most <= 0 || !known || a.exempt != nil && a.exempt(client) {
		return func() {}, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open[client]++
	return func() { a.leave(client) }, a.open[client] <= a.most
}

func (a *addresses) leave(client netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open[client]--; a.open[client] == 0 {
		delete(a.open, client)
	}
}

// subscriberOf returns the limit.Subscriber at the other end of a connection of TCP or UDP.
func subscriberOf(peer net.Addr) (netip.Addr, bool) {
	inet, ok := peer.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.Addr{}, false
	}
	client := limit.Subscriber(inet.AddrPort().Addr().Unmap())
	return client, client.IsValid()
}
