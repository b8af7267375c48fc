package authn

import (
	"hash/maphash"
	"sync"
	"unsafe"
)

// tokenCache remembers tokens whose signature and form were found good, so that the next request with one costs a
// look-up. It knows nothing of time and revocation: whoever hits it asks for these again, every time.
type tokenCache struct {
	seed   maphash.Seed
	shards [64]cacheShard
}

type cacheShard struct {
	mu      sync.RWMutex
	entries map[uint64]cached
	bytes   int // of all entries: see cached.size
}

// cached holds the whole token: equal hashes are not enough to be somebody.
type cached struct {
	token    string
	verified *verified
}

// size is about what an entry takes, in bytes.
func (e cached) size() int {
	s := &e.verified.subject
	return cachedOverhead + len(e.token) + len(s.AppID) + len(s.OpenID) + len(s.Nickname) + len(s.SessionID) + len(s.TokenID)
}

// cachedOverhead is the part of an entry that does not depend on its texts, the place in the map included.
const cachedOverhead = int(unsafe.Sizeof(verified{}) + unsafe.Sizeof(cached{}) + 64)

// maxCachedBytes bounds the cache of one keyring: room for about 25,000 tokens of ours.
const maxCachedBytes = 32 << 20

func newTokenCache() *tokenCache {
	c := &tokenCache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		c.shards[i].entries = make(map[uint64]cached)
	}
	return c
}

// get returns what is known of a token, nil when nothing is.
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

// put remembers a token; when there is no room, any others make it.
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

// size is about what the cache takes, in bytes.
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
