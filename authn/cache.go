package authn

import (
	"hash/maphash"
	"sync"
)

// verified is a token whose signature holds. It never changes, and shares no memory with a request.
type verified struct {
	claims  Claims
	subject Subject
	user    revocationKey
	session revocationKey
	token   revocationKey
}

// tokenCache remembers tokens whose signature and form were found good, so that the next request with one costs a
// look-up. It knows nothing of time and revocation: whoever hits it asks for these again, every time. It is bound to a
// keyring, so that a key that goes takes its verdicts along.
type tokenCache struct {
	seed   maphash.Seed
	shards [64]cacheShard
}

type cacheShard struct {
	mu      sync.RWMutex
	entries map[uint64]cached
}

// cached holds the whole token: equal hashes are not enough to be somebody.
type cached struct {
	token    string
	verified *verified
}

// maxCachedTokens bounds the cache: at about 1 KiB a token it stays below 32 MiB.
const maxCachedTokens = 32 << 10

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

// put remembers a token; when there is no room, any other one makes it.
func (c *tokenCache) put(token string, v *verified) {
	hash := maphash.String(c.seed, token)
	s := &c.shards[hash%uint64(len(c.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.entries) >= maxCachedTokens/len(c.shards) {
		for other := range s.entries {
			delete(s.entries, other)
			break
		}
	}
	s.entries[hash] = cached{token, v}
}
