// Package revocation holds in memory which tokens, sessions and users are refused, so that a request does not have to
// ask the store. Everything is safe for concurrent use.
package revocation

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"wxgate/storage"
)

// Set is a set of revocations.
type Set struct {
	past   func() time.Time // what ended before it is forgotten
	sweeps atomic.Uint32    // round-robin state: which shard is swept next
	shards [64]shard
}

// shard is a part of the set with a lock of its own, so that a sweep never holds up more than one request in 64, and that
// one not for long.
type shard struct {
	mu      sync.RWMutex
	entries map[key]refusal // all but those in ended
	ended   endedSessions
	swept   int64
}

// key is a scope and 16 bytes: the decoded sid or jti, or the user id.
type key [17]byte

// sweepEvery is by how much, in milliseconds, the past must have grown before a shard throws out what is in it.
const sweepEvery = int64(time.Minute / time.Millisecond)

// NewSet returns an empty Set. past returns the time before which ended revocations may be dropped. It comes from
// storage and not from the clock: a clock that is ahead must not bring anybody back.
func NewSet(past func() time.Time) *Set {
	s := &Set{past: past}
	for i := range s.shards {
		s.shards[i].entries = make(map[key]refusal)
		s.shards[i].ended = make(endedSessions)
	}
	return s
}

// idLength is the length of a sid or jti in characters: base64url of 16 bytes.
const idLength = 22

// newKey decodes an id and reports whether it has the form of its scope.
func newKey(scope storage.Scope, id string) (k key, ok bool) {
	k[0] = scope[0]
	if scope == storage.ScopeUser || scope == storage.ScopeForeign {
		n, err := strconv.ParseUint(id, 10, 64)
		binary.BigEndian.PutUint64(k[1:], n)
		return k, err == nil
	}
	if len(id) != idLength {
		return k, false
	}
	n, err := base64.RawURLEncoding.Strict().Decode(k[1:], []byte(id))
	return k, err == nil && n == 16
}

func userKey(scope storage.Scope, id int64) (k key) {
	k[0] = scope[0]
	binary.BigEndian.PutUint64(k[1:], uint64(id)) // ids are positive
	return k
}

// shard spreads by a byte that is random in ids and the lowest of user ids.
func (s *Set) shard(k key) *shard { return &s.shards[int(k[1]^k[8])%len(s.shards)] }

// Add adds revocations, and sweeps one shard.
func (s *Set) Add(added ...storage.Revocation) {
	for _, v := range added {
		k, ok := newKey(v.Scope, v.ID)
		if !ok {
			continue // no token can carry such an id
		}
		s.shard(k).add(k, newRefusal(v))
	}
	if len(added) > 0 {
		s.shards[int(s.sweeps.Add(1))%len(s.shards)].sweep(s.past().UnixMilli())
	}
}

func (s *shard) add(k key, v refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, known := s.find(k); known {
		v = old.join(v)
	}
	if v.endsSession() {
		delete(s.entries, k)
		s.ended.add(k, v)
		return
	}
	s.entries[k] = v
}

// find returns what the shard holds for a key. The caller holds mu.
func (s *shard) find(k key) (v refusal, known bool) {
	if v, known = s.ended.find(k); !known {
		v, known = s.entries[k]
	}
	return v, known
}

// sweep throws out what is over beyond doubt. It does not ask the clock: one that is ahead would bring back whoever was
// logged out.
func (s *shard) sweep(past int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if past-s.swept < sweepEvery {
		return
	}
	s.swept = past
	for k, v := range s.entries {
		if v.until < past {
			delete(s.entries, k)
		}
	}
	s.ended.forget(past)
}

// find returns what is held for a key.
func (s *Set) find(k key) (refusal, bool) {
	in := s.shard(k)
	in.mu.RLock()
	v, known := in.find(k)
	in.mu.RUnlock()
	return v, known
}

// covers reports whether the key is revoked now, for every token.
func (s *Set) covers(k key, now time.Time) bool {
	v, known := s.find(k)
	return known && v.covers(now.UnixMilli())
}

// Refuses reports whether the token, its session or its user is revoked. A token that a refresh has replaced is revoked
// once its grace period is over.
func (s *Set) Refuses(t *Token, now time.Time) bool {
	ms := now.UnixMilli()
	session, known := s.find(t.session)
	return known && (session.covers(ms) || session.replaced(t.issuedAt, ms)) || s.covers(t.token, now) || s.refusesUser(t, now)
}

// Ended reports whether the token's session or user is revoked, whether or not the token itself has been replaced.
func (s *Set) Ended(t *Token, now time.Time) bool {
	return s.covers(t.session, now) || s.refusesUser(t, now)
}

// refusesUser reports whether the token's user is revoked now.
func (s *Set) refusesUser(t *Token, now time.Time) bool {
	return s.covers(t.user, now) || t.imported && s.endedImported(t)
}

// endedImported reports whether an imported token was issued before its user, or everybody, was logged out.
func (s *Set) endedImported(t *Token) bool {
	everybody := key{storage.ScopeForeign[0]} // 0 is nobody's id: it names all users
	own := t.user
	own[0] = storage.ScopeForeign[0]
	for _, k := range []key{own, everybody} {
		if end, known := s.find(k); known && t.issuedAt*1000 <= end.from {
			return true
		}
	}
	return false
}

// Banned reports whether a user is banned, and until when.
func (s *Set) Banned(userID int64, now time.Time) (until time.Time, banned bool) {
	ban, known := s.find(userKey(storage.ScopeUser, userID))
	if !known || !ban.covers(now.UnixMilli()) {
		return time.Time{}, false
	}
	return time.UnixMilli(ban.until).UTC(), true
}

// Len returns the number of revocations.
func (s *Set) Len() (n int) {
	for i := range s.shards {
		s.shards[i].mu.RLock()
		n += len(s.shards[i].entries) + len(s.shards[i].ended)
		s.shards[i].mu.RUnlock()
	}
	return n
}

// Token identifies a token, its session and its user. The zero Token is never refused.
type Token struct {
	token, session, user key
	issuedAt             int64 // its iat, Unix seconds
	imported             bool  // an existing backend issued it, so that it has a grace and ends by its iat
}

// NewToken reports whether sid and jti have our form: base64url of 16 bytes each. If not, t identifies the user alone,
// which also serves users without a session.
func NewToken(userID int64, sid, jti string, issuedAt int64, imported bool) (t Token, ok bool) {
	t = Token{user: userKey(storage.ScopeUser, userID), issuedAt: issuedAt, imported: imported}
	session, sidOK := newKey(storage.ScopeSession, sid)
	token, jtiOK := newKey(storage.ScopeToken, jti)
	if !sidOK || !jtiOK {
		return t, false
	}
	t.session, t.token = session, token
	return t, true
}
