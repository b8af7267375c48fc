package limit

import (
	"hash/maphash"
	"strconv"
	"time"
)

// Bucket is one limit: a token bucket for each client that it tells apart. Buckets.New makes one; nil is no limit.
type Bucket struct {
	buckets  *Buckets
	id       uint64 // identifies what is limited and how: a reload that changes neither keeps it
	cfg      BucketConfig
	interval time.Duration
	burst    time.Duration // what a full bucket holds, as a duration
}

// New returns a limit of what: a burst at once, and then a rate. The zero configuration is nil, no limit.
func (b *Buckets) New(what string, cfg BucketConfig) *Bucket {
	if cfg == (BucketConfig{}) {
		return nil
	}
	l := &Bucket{buckets: b, cfg: cfg, id: maphash.String(b.seed, what+" "+cfg.String())}
	l.interval = cfg.Rate.Per / time.Duration(cfg.Rate.Count)
	l.burst = l.interval * time.Duration(cfg.Burst)
	return l
}

// String is the limit as an operator reads it.
func (l *Bucket) String() string { return l.cfg.String() }

// Per returns who shares one of its buckets.
func (l *Bucket) Per() string { return l.cfg.Per }

// Take takes a token from the bucket of a client, which is identified by a number.
func (l *Bucket) Take(client uint64) Decision {
	ahead, passed := l.buckets.take(l.key(client), l.interval, l.burst)
	return Decision{l, passed, ahead}
}

// GiveBack returns a token that was taken for something that turned out not to count.
func (l *Bucket) GiveBack(client uint64) { l.buckets.giveBack(l.key(client), l.interval) }

func (l *Bucket) key(client uint64) uint64 {
	return maphash.Comparable(l.buckets.seed, [2]uint64{l.id, client})
}

// Decision is what a limit says about one request.
type Decision struct {
	limit  *Bucket
	passed bool
	ahead  time.Duration // until the bucket is full again
}

// Passed reports whether there was a token.
func (d Decision) Passed() bool { return d.passed }

// Per returns who shares a bucket of the limit.
func (d Decision) Per() string { return d.limit.cfg.Per }

// After returns when there will be a token for a request that found none.
func (d Decision) After() time.Duration { return d.ahead - d.limit.burst + d.limit.interval }

// Policy is an item of RateLimit-Policy; like State it tells a client how much of the limit is left
// (draft-ietf-httpapi-ratelimit-headers-10, §2 and §3). A token bucket is described as what it is: q requests when
// full, w seconds from empty to full, r requests now, t seconds until full.
func (d Decision) Policy() string {
	l := d.limit
	return rateLimitItem(l.cfg.Per, 'q', int64(l.burst/l.interval), 'w', max(1, WholeSeconds(l.burst)))
}

// State is an item of RateLimit.
func (d Decision) State() string {
	left := int64(0)
	if d.passed {
		left = int64((d.limit.burst - d.ahead) / d.limit.interval)
	}
	return rateLimitItem(d.limit.cfg.Per, 'r', left, 't', WholeSeconds(d.ahead))
}

// rateLimitItem is an item of a list (RFC 9651 §3.1): a string with two parameters.
func rateLimitItem(name string, first byte, a int64, second byte, b int64) string {
	out := append(make([]byte, 0, 48), '"')
	out = append(append(out, name...), '"', ';', first, '=')
	out = append(strconv.AppendInt(out, a, 10), ';', second, '=')
	return string(strconv.AppendInt(out, b, 10))
}

// WholeSeconds rounds up, so that whoever comes back then is not too early.
func WholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
