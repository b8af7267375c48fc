package issuer

import (
	"sync"
	"unsafe"
)

// callerCache holds tokens whose signature and claims were verified. It knows nothing about time, which is checked every
// time.
type callerCache struct {
	mu      sync.RWMutex
	callers map[string]*Caller // by token
	bytes   int
}

// maxCachedBytes is the most that the cache of an issuer takes: room for about 2,000 tokens.
const maxCachedBytes = 4 << 20

// The fixed parts of the size of an entry, its place in the map included.
const (
	callerOverhead = int(unsafe.Sizeof(Caller{})) + 64
	claimOverhead  = int(unsafe.Sizeof(Claim{}))
)

func newCallerCache() *callerCache { return &callerCache{callers: make(map[string]*Caller)} }

func (c *callerCache) get(token string) *Caller {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.callers[token]
}

// put adds a token, and evicts arbitrary ones if there is no room.
func (c *callerCache) put(token string, caller *Caller) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.callers[token]; there {
		return
	}
	size := len(token) + caller.size()
	for other, held := range c.callers {
		if c.bytes+size <= maxCachedBytes {
			break
		}
		delete(c.callers, other)
		c.bytes -= len(other) + held.size()
	}
	c.callers[token] = caller
	c.bytes += size
}
