// Package limit decides who may ask, how often, and how much at a time: lists of addresses (Addresses), token buckets
// (Buckets), what each client holds, so that one cannot hold what is meant for all (Ledger), the slots of all requests
// (Load), and how many of them a service bears (Adaptive). It knows nothing of a request but what it is told. Every
// method is safe for concurrent use and takes constant time. A Ledger has an entry for every client that holds
// something and none for any other, so its size is bounded by what is held, and it allocates nothing while the number
// of clients stays as it is.
package limit

import (
	"encoding/binary"
	"net/netip"
)

// Kind is what can be held.
type Kind uint8

// The kinds that a Ledger counts.
const (
	Requests    Kind = iota // requests that are being worked on
	Connections             // connections to services, those of answers that still flow among them
	WebSockets              // open WebSockets

	kinds
)

// String is the kind as the last part of its key in limits.per_client.
func (k Kind) String() string {
	return [kinds]string{"in_flight", "upstream_connections", "websockets"}[k]
}

// allKinds returns all kinds.
func allKinds() []Kind { return []Kind{Requests, Connections, WebSockets} }

// Client is who holds something.
type Client struct {
	who who
	id  [16]byte
}

type who uint8

const (
	crowd who = iota
	user
	address
	caller
)

// User is the client of all devices of one user.
func User(id int64) Client {
	c := Client{who: user}
	binary.BigEndian.PutUint64(c.id[:], uint64(id)) // any bits will do
	return c
}

// Caller is the client of all devices of somebody who is no user of ours, by a digest of who it is.
func Caller(id [16]byte) Client { return Client{who: caller, id: id} }

// Crowd is the one client of all who cannot be told apart.
func Crowd() Client { return Client{} }

// Address is the client at an address: its Subscriber. Addresses that many clients share, or that say nothing, are the
// Crowd: those of this machine, of private networks (RFC 1918, RFC 4193, RFC 6598) and of links, and the zero Addr.
func Address(addr netip.Addr) Client {
	addr = addr.Unmap()
	if !addr.IsValid() || addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() ||
		carriers().Contains(addr) {
		return Crowd()
	}
	return Client{who: address, id: Subscriber(addr).As16()}
}

// carriers is where carriers and balancers hide many clients (RFC 6598).
func carriers() netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10) }

// IsCrowd reports whether the client is the Crowd.
func (c Client) IsCrowd() bool { return c.who == crowd }

// label is the client's kind as a label of metrics: user, address, caller or crowd.
func (c Client) label() string { return [...]string{"crowd", "user", "address", "caller"}[c.who] }

// labels returns every value of label.
func labels() []string { return []string{"crowd", "user", "address", "caller"} }
