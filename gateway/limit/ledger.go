package limit

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync"
)

// Ledger counts what each client holds. NewLedger makes one.
type Ledger struct {
	seed   [2]uint64 // secret, so that nobody can pick clients that collide
	shards [64]shard
}

// shard is a hash table with linear probing: an empty entry ends a search, so a removal closes its gap.
type shard struct {
	mu      sync.Mutex
	entries []entry // as many as a power of two, half of them free
	used    int
	_       [24]byte // keeps the locks of neighbours on different cache lines
}

// entry is what one client holds. It is free when that is nothing.
type entry struct {
	client Client
	held   [kinds]int32
}

// minEntries is the size below which a shard's table is not halved.
const minEntries = 16

// NewLedger returns an empty Ledger.
func NewLedger() *Ledger {
	l := &Ledger{seed: [2]uint64{rand.Uint64(), rand.Uint64()}}
	for i := range l.shards {
		l.shards[i].entries = make([]entry, minEntries)
	}
	return l
}

// Clients returns how many clients hold something.
func (l *Ledger) Clients() int {
	n := 0
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += s.used
		s.mu.Unlock()
	}
	return n
}

// Of returns an empty Hold for a request of a client.
func (l *Ledger) Of(c Client) Hold {
	return Hold{ledger: l, client: c, hash: l.hash(c)}
}

// hash multiplies the halves of an id and folds the product.
func (l *Ledger) hash(c Client) uint64 {
	a, b := binary.NativeEndian.Uint64(c.id[:8]), binary.NativeEndian.Uint64(c.id[8:])
	high, low := bits.Mul64(a^l.seed[0], b^l.seed[1]^uint64(c.who)<<32)
	return high ^ low
}

func (l *Ledger) shardOf(hash uint64) *shard { return &l.shards[hash%uint64(len(l.shards))] }

// home returns the entry at which the search for a hash begins.
func (s *shard) home(hash uint64) int { return int(hash>>6) & (len(s.entries) - 1) } // masked

// find returns the entry of a client, or the free one where it belongs.
func (s *shard) find(c Client, hash uint64) int {
	i := s.home(hash)
	for s.entries[i].held != [kinds]int32{} && s.entries[i].client != c {
		i = (i + 1) & (len(s.entries) - 1)
	}
	return i
}

// take adds one of a kind unless the client already has most of them, and returns how many it has.
func (l *Ledger) take(c Client, hash uint64, k Kind, most int) (n int32, within bool) {
	s := l.shardOf(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(c, hash)
	at := &s.entries[i]
	if most > 0 && int(at.held[k]) >= most {
		return at.held[k], false
	}
	if at.held == [kinds]int32{} {
		if 2*(s.used+1) > len(s.entries) {
			l.resize(s, 2*len(s.entries))
			at = &s.entries[s.find(c, hash)]
		}
		at.client = c
		s.used++
	}
	at.held[k]++
	return at.held[k], true
}

// give removes one of each kind whose bit is set in held.
func (l *Ledger) give(c Client, hash uint64, held uint8) {
	s := l.shardOf(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(c, hash)
	at := &s.entries[i]
	for k := range kinds {
		at.held[k] -= int32(held >> k & 1)
	}
	if at.held != [kinds]int32{} {
		return
	}
	s.used--
	l.closeGap(s, i)
	if len(s.entries) > minEntries && 8*s.used < len(s.entries) {
		l.resize(s, len(s.entries)/2)
	}
}

// closeGap moves back the entries whose search would end at the free entry.
func (l *Ledger) closeGap(s *shard, gap int) {
	mask := len(s.entries) - 1
	for i := (gap + 1) & mask; s.entries[i].held != [kinds]int32{}; i = (i + 1) & mask {
		if way := (i - s.home(l.hash(s.entries[i].client))) & mask; way >= (i-gap)&mask {
			s.entries[gap], s.entries[i] = s.entries[i], entry{}
			gap = i
		}
	}
}

func (l *Ledger) resize(s *shard, size int) {
	old := s.entries
	s.entries = make([]entry, size)
	for i := range old {
		if old[i].held != [kinds]int32{} {
			s.entries[s.find(old[i].client, l.hash(old[i].client))] = old[i]
		}
	}
}

// Hold is what one request holds of its client's share, at most one of each Kind. It is used by one goroutine at a
// time, which must give everything back with Close, or Move it to somebody who does. The zero Hold belongs to nobody
// and takes nothing.
type Hold struct {
	ledger *Ledger
	hash   uint64
	client Client
	held   uint8 // a bit for each Kind
	nth    int32 // how many requests its client had
}

// Client returns the client whose Hold it is.
func (h *Hold) Client() Client { return h.client }

// Take takes one of a Kind, and reports whether the client had fewer than most of them; 0 is no bound. It does nothing
// if one is held already.
func (h *Hold) Take(k Kind, most int) bool {
	if h.ledger == nil || h.held&(1<<k) != 0 {
		return true
	}
	n, within := h.ledger.take(h.client, h.hash, k, most)
	if !within {
		return false
	}
	if h.held |= 1 << k; k == Requests {
		h.nth = n
	}
	return true
}

// Requests returns how many requests the client had when this one was taken, itself included; 0 when it was not.
func (h *Hold) Requests() int { return int(h.nth) }

// Close gives everything back.
func (h *Hold) Close() {
	if h.held != 0 {
		h.ledger.give(h.client, h.hash, h.held)
		h.held = 0
	}
}

// Move takes one of a Kind out of h, and makes it the whole of another Hold.
func (h *Hold) Move(k Kind) Hold {
	moved := *h
	moved.held &= 1 << k
	h.held &^= moved.held
	return moved
}
