package authn

import (
	"strconv"
	"sync"
	"time"

	"wxgate/storage"
)

// revocations is the set of what is refused, in memory in front of the store. It is safe for concurrent use.
type revocations struct {
	mu      sync.RWMutex
	entries map[revocationKey]span
	swept   time.Time
}

type revocationKey struct {
	scope storage.Scope
	id    string
}

// span is the time in which a revocation refuses, in Unix milliseconds: from is the first, until the one after the last.
type span struct{ from, until int64 }

// sweepEvery is how often entries that have ended are thrown out.
const sweepEvery = time.Minute

func newRevocations() *revocations {
	return &revocations{entries: make(map[revocationKey]span)}
}

// add remembers revocations. Of two for one thing the one that begins earlier and the one that ends later count.
func (r *revocations) add(now time.Time, added ...storage.Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range added {
		key := revocationKey{v.Scope, v.ID}
		s := span{v.From.UnixMilli(), v.Until.UnixMilli()}
		if old, known := r.entries[key]; known {
			s = span{min(s.from, old.from), max(s.until, old.until)}
		}
		r.entries[key] = s
	}
	r.sweep(now)
}

func (r *revocations) sweep(now time.Time) {
	if now.Sub(r.swept) < sweepEvery {
		return
	}
	r.swept = now
	for key, s := range r.entries {
		if s.until <= now.UnixMilli() {
			delete(r.entries, key)
		}
	}
}

// refuses says whether the claims' token, session or user is revoked now.
func (r *revocations) refuses(now time.Time, c *Claims) bool {
	ms := now.UnixMilli()
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.covers(storage.ScopeSession, c.SessionID, ms) ||
		r.covers(storage.ScopeToken, c.TokenID, ms) ||
		r.covers(storage.ScopeUser, strconv.FormatInt(c.UserID, 10), ms)
}

// ended says whether the session or the user of the claims is revoked now, whatever its token.
func (r *revocations) ended(now time.Time, c *Claims) bool {
	ms := now.UnixMilli()
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.covers(storage.ScopeSession, c.SessionID, ms) || r.covers(storage.ScopeUser, strconv.FormatInt(c.UserID, 10), ms)
}

func (r *revocations) covers(scope storage.Scope, id string, ms int64) bool {
	s, known := r.entries[revocationKey{scope, id}]
	return known && s.from <= ms && ms < s.until
}
