package gateway

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// limiter is a token bucket per client, an address or a user, kept as one time each (GCRA, the generic cell rate algorithm): the theoretical
// arrival time of the next request that is still on schedule. One that has been quiet long enough is forgotten.
type limiter[K comparable] struct {
	interval time.Duration // between two requests at the sustained rate
	burst    time.Duration // how far ahead of the schedule a client may be
	now      func() time.Time
	seed     maphash.Seed
	shards   [64]limiterShard[K]
}

type limiterShard[K comparable] struct {
	mu      sync.Mutex
	arrival map[K]time.Time
	swept   time.Time
}

func newLimiter[K comparable](cfg LimitConfig, now func() time.Time) *limiter[K] {
	interval := cfg.Rate.Per / time.Duration(cfg.Rate.Count)
	return &limiter[K]{interval: interval, burst: interval * time.Duration(cfg.Burst), now: now, seed: maphash.MakeSeed()}
}

// allow takes one token from the bucket of a client; false means that it is empty.
func (l *limiter[K]) allow(client K) bool {
	shard := &l.shards[maphash.Comparable(l.seed, client)%uint64(len(l.shards))]
	now := l.now()
	shard.mu.Lock()
	defer shard.mu.Unlock()
	shard.sweep(now, l.burst)
	arrival := shard.arrival[client]
	if arrival.Before(now) {
		arrival = now
	}
	if arrival.Sub(now) > l.burst-l.interval {
		return false
	}
	shard.arrival[client] = arrival.Add(l.interval)
	return true
}

// sweep forgets the clients whose bucket is full again.
func (s *limiterShard[K]) sweep(now time.Time, every time.Duration) {
	if s.arrival == nil {
		s.arrival = make(map[K]time.Time)
	}
	if now.Sub(s.swept) < every {
		return
	}
	s.swept = now
	for client, arrival := range s.arrival {
		if arrival.Before(now) {
			delete(s.arrival, client)
		}
	}
}

// subscriber is what one client can be told apart by: an IPv4 address, or the /64 that an IPv6 subscriber is given.
func subscriber(client netip.Addr) netip.Addr {
	if !client.Is6() {
		return client
	}
	prefix, err := client.WithZone("").Prefix(64)
	if err != nil {
		return client
	}
	return prefix.Addr()
}
