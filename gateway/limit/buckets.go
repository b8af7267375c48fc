package limit

import (
	"hash/maphash"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Buckets are the token buckets of all limits, each kept as one time (GCRA, the generic cell rate algorithm): when the
// next request that is still on schedule would arrive. A bucket that is full again says nothing, so it is forgotten; a
// limit that a reload has not changed finds its buckets where they were.
//
// A bucket's key is a hash of 64 bits with a secret seed: among a million clients two share one with a chance of
// 1 in 30 million.
type Buckets struct {
	now      func() time.Time
	began    time.Time // times are counted from here, on the monotonic clock
	seed     maphash.Seed
	most     int // in one shard
	sweeping atomic.Bool
	shards   [256]bucketShard
}

type bucketShard struct {
	mu      sync.Mutex
	arrival map[uint64]int64 // nanoseconds since began
	peak    int              // the most that the map has held: a map never shrinks
}

const (
	mostBuckets = 1 << 21 // of all limits together: 72 MB
	sweepEvery  = 10 * time.Second
	evictAmong  = 8 // buckets that are looked at for the one to forget, when there are too many
)

// NewBuckets returns none yet; now is the time of their owner.
func NewBuckets(now func() time.Time) *Buckets {
	b := &Buckets{now: now, began: now(), seed: maphash.MakeSeed()}
	b.most = mostBuckets / len(b.shards)
	return b
}

// take takes a token from a bucket that gains one in interval and holds as many as fit into burst. ahead is how long
// the bucket then needs to be full again; when it has no token, it is left as it is.
func (b *Buckets) take(key uint64, interval, burst time.Duration) (ahead time.Duration, ok bool) {
	shard := &b.shards[key%uint64(len(b.shards))]
	now := int64(b.now().Sub(b.began))
	shard.mu.Lock()
	defer shard.mu.Unlock()
	known := shard.arrival[key]
	arrival := max(known, now)
	if ahead = time.Duration(arrival - now); ahead > burst-interval {
		return ahead, false
	}
	if known == 0 {
		b.makeRoom(shard, now)
	}
	shard.arrival[key] = arrival + int64(interval)
	return ahead + interval, true
}

// releaseCapacity returns a token that take took.
func (b *Buckets) giveBack(key uint64, interval time.Duration) {
	shard := &b.shards[key%uint64(len(b.shards))]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if arrival, known := shard.arrival[key]; known {
		shard.arrival[key] = arrival - int64(interval)
	}
}

// makeRoom lets one more bucket in. When there are too many, the one that is next to full among a few is forgotten: its
// client gains least by that, and one that keeps asking is never it for long.
func (b *Buckets) makeRoom(shard *bucketShard, now int64) {
	if shard.arrival == nil {
		shard.arrival = make(map[uint64]int64)
	}
	if !b.sweeping.Load() && !b.sweeping.Swap(true) {
		time.AfterFunc(sweepEvery, b.sweep)
	}
	if len(shard.arrival) < b.most {
		return
	}
	victim, earliest, seen := uint64(0), int64(math.MaxInt64), 0
	for key, arrival := range shard.arrival { // begins anywhere
		if arrival < earliest {
			victim, earliest = key, arrival
		}
		if seen++; seen == evictAmong || arrival <= now {
			break
		}
	}
	delete(shard.arrival, victim)
}

// sweep forgets the full buckets, and comes again while there are others.
func (b *Buckets) sweep() {
	held := 0
	for i := range b.shards {
		held += b.shards[i].sweep(int64(b.now().Sub(b.began)))
	}
	if held > 0 {
		time.AfterFunc(sweepEvery, b.sweep)
		return
	}
	b.sweeping.Store(false) // a bucket made meanwhile waits for the next one
}

// sweep forgets the full buckets of a shard and returns how many are left.
func (s *bucketShard) sweep(now int64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peak = max(s.peak, len(s.arrival))
	for key, arrival := range s.arrival {
		if arrival <= now {
			delete(s.arrival, key)
		}
	}
	if left := len(s.arrival); left < s.peak/4 {
		smaller := make(map[uint64]int64, left)
		for key, arrival := range s.arrival {
			smaller[key] = arrival
		}
		s.arrival, s.peak = smaller, left
	}
	return len(s.arrival)
}

// Held returns how many buckets there are.
func (b *Buckets) Held() int {
	held := 0
	for i := range b.shards {
		shard := &b.shards[i]
		shard.mu.Lock()
		held += len(shard.arrival)
		shard.mu.Unlock()
	}
	return held
}

// OfAddress is the number of a client that is told apart by its Subscriber, for Bucket.Take.
func (b *Buckets) OfAddress(client netip.Addr) uint64 {
	return maphash.Comparable(b.seed, Subscriber(client))
}

// OfOpenID is the number of an openid of a mini-program, for Bucket.Take.
func (b *Buckets) OfOpenID(appID, openID string) uint64 {
	return maphash.Comparable(b.seed, [2]string{appID, openID})
}
