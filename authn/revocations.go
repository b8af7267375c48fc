package authn

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"wxgate/storage"
)

// revocationStore keeps what is refused.
type revocationStore interface {
	Past() time.Time
	Revoke(ctx context.Context, r ...storage.Revocation) ([]storage.Revocation, error)
	Revocations(ctx context.Context, after uint64) ([]storage.Revocation, error)
}

// revocations is the set of what is refused, in memory in front of the store: a request asks it without a look at the
// disk. It is safe for concurrent use.
type revocations struct {
	past   func() time.Time // what ended before it is forgotten
	turn   atomic.Uint32    // whose turn it is to be swept
	shards [64]revocationShard
}

// next is the number of the shard that is swept next.
func (r *revocations) next() int { return int(r.turn.Add(1)) % len(r.shards) }

// revocationShard is a part of the set with a lock of its own, so that throwing out what has ended never holds up more
// than one request in 64, and that one not for long.
type revocationShard struct {
	mu      sync.RWMutex
	entries map[revocationKey]refusal // but those of ended
	ended   endedSessions
	swept   int64
}

// revocationKey is a scope and 16 bytes: the decoded sid or jti, or the user id.
type revocationKey [17]byte

// sweepEvery is by how much, in milliseconds, the past must have grown before a shard throws out what is in it.
const sweepEvery = int64(time.Minute / time.Millisecond)

func newRevocations(past func() time.Time) *revocations {
	r := &revocations{past: past}
	for i := range r.shards {
		r.shards[i].entries = make(map[revocationKey]refusal)
		r.shards[i].ended = make(endedSessions)
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
	binary.BigEndian.PutUint64(key[1:], uint64(id)) // ids are positive
	return key
}

// shard spreads by a byte that is random in ids and the lowest of user ids.
func (r *revocations) shard(key revocationKey) *revocationShard {
	return &r.shards[int(key[1]^key[8])%len(r.shards)]
}

// add remembers revocations.
func (r *revocations) add(added ...storage.Revocation) {
	for _, v := range added {
		key, ok := newRevocationKey(v.Scope, v.ID)
		if !ok {
			continue // no token can carry such an id
		}
		r.shard(key).add(key, newRefusal(v))
	}
	if len(added) > 0 {
		r.shards[r.next()].sweep(r.past().UnixMilli())
	}
}

func (s *revocationShard) add(key revocationKey, v refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, known := s.find(key); known {
		v = old.join(v)
	}
	if v.endsSession() {
		delete(s.entries, key)
		s.ended.add(key, v)
		return
	}
	s.entries[key] = v
}

// find returns what the shard, which is locked, holds for a key.
func (s *revocationShard) find(key revocationKey) (v refusal, known bool) {
	if v, known = s.ended.find(key); !known {
		v, known = s.entries[key]
	}
	return v, known
}

// sweep throws out what is over beyond doubt. The clock is not asked: one that is ahead would bring back whoever was
// logged out.
func (s *revocationShard) sweep(past int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if past-s.swept < sweepEvery {
		return
	}
	s.swept = past
	for key, v := range s.entries {
		if v.until < past {
			delete(s.entries, key)
		}
	}
	s.ended.forget(past)
}

// find returns what is held for a key.
func (r *revocations) find(key revocationKey) (refusal, bool) {
	s := r.shard(key)
	s.mu.RLock()
	v, known := s.find(key)
	s.mu.RUnlock()
	return v, known
}

// covers reports whether the key is revoked now, for every token.
func (r *revocations) covers(key revocationKey, now time.Time) bool {
	v, known := r.find(key)
	return known && v.covers(now.UnixMilli())
}

// refuses reports whether the token, its session or its user is revoked now. A token that a refresh has replaced is one,
// after its grace.
func (r *revocations) refuses(v *verified, now time.Time) bool {
	ms := now.UnixMilli()
	session, known := r.find(v.session)
	return known && (session.covers(ms) || session.replaced(v.claims.IssuedAt, ms)) || r.covers(v.token, now) || r.gone(v, now)
}

// ended reports whether the token's session or user is revoked now, whatever the token itself is.
func (r *revocations) ended(v *verified, now time.Time) bool {
	return r.covers(v.session, now) || r.gone(v, now)
}

// gone reports whether the token's user is revoked now.
func (r *revocations) gone(v *verified, now time.Time) bool {
	return r.covers(v.user, now) || v.claims.adopted && r.endedForeign(v.claims.UserID, v.claims.IssuedAt)
}

// endedForeign reports whether a foreign token was issued, in Unix seconds, before its user, or everybody, was logged out.
func (r *revocations) endedForeign(user, issued int64) bool {
	for _, id := range []int64{user, everybody} {
		if end, known := r.find(userKey(storage.ScopeForeign, id)); known && issued*1000 <= end.from {
			return true
		}
	}
	return false
}

// everybody is the id of nobody: in the scope foreign it names all users.
const everybody = 0

// count is how many revocations are held.
func (r *revocations) count() (n int) {
	for i := range r.shards {
		r.shards[i].mu.RLock()
		n += len(r.shards[i].entries) + len(r.shards[i].ended)
		r.shards[i].mu.RUnlock()
	}
	return n
}
