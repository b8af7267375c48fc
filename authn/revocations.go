package authn

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"sync"
	"time"

	"wxgate/storage"
)

// revocations is the set of what is refused, in memory in front of the store: a request asks it without a look at the
// disk. It is safe for concurrent use.
type revocations struct {
	shards [64]revocationShard
}

// revocationShard is a part of the set with a lock of its own, so that throwing out what has ended never holds up more
// than one request in 64, and that one not for long.
type revocationShard struct {
	mu      sync.RWMutex
	entries map[revocationKey]span
	swept   int64
}

// revocationKey is a scope and 16 bytes: the decoded sid or jti, or the user id.
type revocationKey [17]byte

// span is the time in which a revocation refuses, in Unix milliseconds: from is the first, until the one after the last.
type span struct {
	from, until int64
	seq         uint64
}

// sweepEvery is how often, in milliseconds, a shard throws out what has ended.
const sweepEvery = int64(time.Minute / time.Millisecond)

func newRevocations() *revocations {
	r := new(revocations)
	for i := range r.shards {
		r.shards[i].entries = make(map[revocationKey]span)
	}
	return r
}

// newRevocationKey decodes an id; false when it has not the form of its scope.
func newRevocationKey(scope storage.Scope, id string) (key revocationKey, ok bool) {
	key[0] = scope[0]
	if scope == storage.ScopeUser || scope == storage.ScopeForeign {
		n, err := strconv.ParseUint(id, 10, 64)
		binary.BigEndian.PutUint64(key[1:], n)
		return key, err == nil
	}
	if len(id) != idLength {
		return key, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(key[1:], []byte(id))
	return key, err == nil && n == 16
}

func userKey(scope storage.Scope, id int64) (key revocationKey) {
	key[0] = scope[0]
	binary.BigEndian.PutUint64(key[1:], uint64(id)) //nolint:gosec // ids are positive
	return key
}

// shard spreads by a byte that is random in ids and the lowest of user ids.
func (r *revocations) shard(key revocationKey) *revocationShard {
	return &r.shards[int(key[1]^key[8])%len(r.shards)]
}

// add remembers revocations. Of two for one user the later counts, which is how a ban is lifted; of two for one session
// or token the one that begins earlier and the one that ends later do.
func (r *revocations) add(now time.Time, added ...storage.Revocation) {
	for _, v := range added {
		key, ok := newRevocationKey(v.Scope, v.ID)
		if !ok {
			continue // no token can carry such an id
		}
		r.shard(key).add(now.UnixMilli(), key, spanOf(v))
	}
}

// spanOf is when a revocation refuses. An ended session and a banned user are refused from the beginning of time on: a
// clock that is set back must not bring them back. Only a replaced token has a future before its end, its grace.
func spanOf(v storage.Revocation) span {
	s := span{v.From.UnixMilli(), v.Until.UnixMilli(), v.Seq}
	if v.Scope == storage.ScopeSession || v.Scope == storage.ScopeUser && s.from < s.until {
		s.from = 0
	}
	return s
}

func (s *revocationShard) add(now int64, key revocationKey, v span) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.entries[key]
	switch {
	case known && latestCounts(key) && old.seq > v.seq:
		v = old
	case known && !latestCounts(key):
		v = span{min(v.from, old.from), max(v.until, old.until), max(v.seq, old.seq)}
	}
	s.entries[key] = v
	s.sweep(now)
}

func latestCounts(key revocationKey) bool {
	return key[0] == storage.ScopeUser[0] || key[0] == storage.ScopeForeign[0]
}

func (s *revocationShard) sweep(now int64) {
	if now-s.swept < sweepEvery {
		return
	}
	s.swept = now
	for key, v := range s.entries {
		if v.until <= now {
			delete(s.entries, key)
		}
	}
}

// find returns what is held for a key.
func (r *revocations) find(key revocationKey) (span, bool) {
	s := r.shard(key)
	s.mu.RLock()
	v, known := s.entries[key]
	s.mu.RUnlock()
	return v, known
}

// covers says whether the key is revoked now.
func (r *revocations) covers(key revocationKey, now time.Time) bool {
	v, known := r.find(key)
	return known && v.covers(now)
}

func (v span) covers(now time.Time) bool {
	ms := now.UnixMilli()
	return v.from <= ms && ms < v.until
}

// refuses says whether the token, its session or its user is revoked now.
func (r *revocations) refuses(v *verified, now time.Time) bool {
	return r.covers(v.token, now) || r.ended(v, now)
}

// ended says whether the token's session or user is revoked now, whatever the token itself is.
func (r *revocations) ended(v *verified, now time.Time) bool {
	return r.covers(v.session, now) || r.covers(v.user, now) ||
		v.claims.adopted && r.endedForeign(v.claims.UserID, v.claims.IssuedAt, now)
}

// endedForeign says whether a foreign token was issued, in Unix seconds, before its user ended all sessions.
func (r *revocations) endedForeign(user, issued int64, now time.Time) bool {
	end, known := r.find(userKey(storage.ScopeForeign, user))
	return known && issued*1000 <= end.from && now.UnixMilli() < end.until
}

// count is how many revocations are held.
func (r *revocations) count() (n int) {
	for i := range r.shards {
		r.shards[i].mu.RLock()
		n += len(r.shards[i].entries)
		r.shards[i].mu.RUnlock()
	}
	return n
}
