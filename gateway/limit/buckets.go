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
// next request that is still on schedule would arrive. A full bucket holds no information, so it is dropped; a limit
// that a reload does not change keeps its buckets.
//
// The key of a bucket is a 64-bit hash with a secret seed: the chance that two of a million clients share one is 1 in
// 30 million.
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
	peak    int              // the largest size of the map, which never shrinks
}

const (
	mostBuckets = 1 << 21 // of all limits together: 72 MB
	sweepEvery  = 10 * time.Second
	evictAmong  = 8 // how many buckets are compared to evict one, when there are too many
)

// NewBuckets returns an empty set of buckets. now is the clock.
func NewBuckets(now func() time.Time) *Buckets {
	b := &Buckets{now: now, began: now(), seed: maphash.MakeSeed()}
	b.most = mostBuckets / len(b.shards)
	return b
}

// take takes a token from a bucket that gains one in interval and holds as many as fit into burst. ahead is how long
// the bucket then needs to be full again. A bucket without a token is left as it is.
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

// giveBack returns a token that was taken.
func (b *Buckets) giveBack(key uint64, interval time.Duration) {
	shard := &b.shards[key%uint64(len(b.shards))]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if arrival, known := shard.arrival[key]; known {
		shard.arrival[key] = arrival - int64(interval)
	}
}

// makeRoom makes room for one more bucket. If there are too many, the fullest one of a few is evicted: its client gains
// least from that, and a client that keeps sending is not the fullest for long.
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
	for key, arrival := range shard.arrival { // in random order
		if arrival < earliest {
			victim, earliest = key, arrival
		}
		if seen++; seen == evictAmong || arrival <= now {
			break
		}
	}
	delete(shard.arrival, victim)
}

// sweep drops the full buckets, and runs again while there are others.
func (b *Buckets) sweep() {
	held := 0
	for i := range b.shards {
		held += b.shards[i].sweep(int64(b.now().Sub(b.began)))
	}
	if held > 0 {
		time.AfterFunc(sweepEvery, b.sweep)
		return
	}
	b.sweeping.Store(false) // a bucket made meanwhile waits for the next sweep
}

// sweep drops the full buckets of a shard and returns how many are left.
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

// OfAddress returns the number of the client at an address, its Subscriber, for Bucket.Take.
func (b *Buckets) OfAddress(client netip.Addr) uint64 {
	return maphash.Comparable(b.seed, Subscriber(client))
}

// OfOpenID returns the number of an openid of a mini-program, for Bucket.Take.
func (b *Buckets) OfOpenID(appID, openID string) uint64 {
	return maphash.Comparable(b.seed, [2]string{appID, openID})
}
