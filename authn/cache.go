package authn

import (
	"hash/maphash"
	"sync"
	"unsafe"
)

// tokenCache holds tokens whose form and signature were verified, so that the next request with one costs a lookup. It
// knows nothing about time and revocation, which are checked every time.
type tokenCache struct {
	seed   maphash.Seed
	shards [64]cacheShard
}

type cacheShard struct {
	mu      sync.RWMutex
	entries map[uint64]cached
	bytes   int // of all entries: see cached.size
}

// cached holds the whole token: an equal hash does not identify anybody.
type cached struct {
	token    string
	verified *verified
}

// size is roughly the size of an entry, in bytes.
func (e cached) size() int {
	s := &e.verified.subject
	return cachedOverhead + len(e.token) + len(s.AppID) + len(s.OpenID) + len(s.UnionID) + len(s.Nickname) + len(s.SessionID) + len(s.TokenID)
}

// cachedOverhead is the fixed part of the size of an entry, its place in the map included.
const cachedOverhead = int(unsafe.Sizeof(verified{}) + unsafe.Sizeof(cached{}) + 64)

// maxCachedBytes is the most that the cache of a keyring takes: room for about 25,000 tokens.
const maxCachedBytes = 32 << 20

func newTokenCache() *tokenCache {
	c := &tokenCache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].entries = make(map[uint64]cached)
	}
	return c
}

// get returns a token's entry, or nil.
func (c *tokenCache) get(token string) *verified {
	hash := maphash.String(c.seed, token)
	s := &c.shards[hash%uint64(len(c.shards))]
	s.mu.RLock()
	hit := s.entries[hash]
	s.mu.RUnlock()
	if hit.token != token {
		return nil
	}
	return hit.verified
}

// put adds a token, and evicts arbitrary ones if there is no room.
func (c *tokenCache) put(token string, v *verified) {
	hash := maphash.String(c.seed, token)
	s := &c.shards[hash%uint64(len(c.shards))]
	entry := cached{token, v}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(hash)
	for other := range s.entries {
		if s.bytes+entry.size() <= maxCachedBytes/len(c.shards) {
			break
		}
		s.remove(other)
	}
	s.entries[hash] = entry
	s.bytes += entry.size()
}

func (s *cacheShard) remove(hash uint64) {
	if entry, there := s.entries[hash]; there {
		delete(s.entries, hash)
		s.bytes -= entry.size()
	}
}

// size is roughly the size of the cache, in bytes.
func (c *tokenCache) size() int {
	total := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		total += s.bytes
		s.mu.RUnlock()
	}
	return total
}
