package listen

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"wxgate/gateway/limit"
)

// Places bound what clients hold at a time: all of them together, and each address, so that none can take the places of
// all the others.
type Places struct {
	most, each int
	exempt     func(netip.Addr) bool // from each; nil: nobody
	taken      atomic.Int64

	mu     sync.Mutex
	byAddr map[netip.Addr]int
}

// Places are as many as the connections of cfg: MaxConns in all, and MaxConnsPerAddr of one address that is not Exempt.
func (cfg Config) Places() *Places {
	most := bearable(cfg.MaxConns)
	return &Places{most: most, each: min(cfg.MaxConnsPerAddr, max(1, most/2)), exempt: cfg.Exempt, byAddr: make(map[netip.Addr]int)}
}

// Take takes a place for a client, whose address is not valid if it is not known. within reports whether there was one.
// release gives it back and must be called in either case.
func (p *Places) Take(client netip.Addr) (release func(), within bool) {
	leave, within := p.takeOf(limit.Subscriber(client))
	within = p.taken.Add(1) <= int64(p.most) && within
	return func() { p.taken.Add(-1); leave() }, within
}

// Exceeded reports whether more places are taken than there are, in all or by a client.
func (p *Places) Exceeded(client netip.Addr) bool {
	client = limit.Subscriber(client)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken.Load() > int64(p.most) || p.byAddr[client] > p.each
}

// takeOf is Take of the places that a client has.
func (p *Places) takeOf(client netip.Addr) (leave func(), within bool) {
	if p.each <= 0 || !client.IsValid() || p.exempt != nil && p.exempt(client) {
		return func() {}, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byAddr[client]++
	return func() { p.leave(client) }, p.byAddr[client] <= p.each
}

func (p *Places) leave(client netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byAddr[client]--; p.byAddr[client] == 0 {
		delete(p.byAddr, client)
	}
}

// addressOf returns the address at the other end of a connection of TCP or UDP, as PeerOf has it.
func addressOf(peer net.Addr) netip.Addr {
	if inet, ok := peer.(interface{ AddrPort() netip.AddrPort }); ok {
		return PeerOf(inet.AddrPort().Addr())
	}
	return netip.Addr{}
}
