package sandbox

import (
	"maps"
	"sync"
)

// Stats counts what has arrived since New or Reset.
type Stats struct {
	APIs  map[string]APIStats `json:"apis"`  // by the last segment of the path
	Codes map[string]int      `json:"codes"` // how often each js_code and phone code arrived; those older than 5 minutes may be missing
	// Twice lists the codes that arrived more than once. Neither list contains reusable codes such as demo-alice.
	Twice []string `json:"twice"`
	// Resent lists the codes that arrived again before they were answered, or after an inconclusive answer such as a
	// timeout or half an answer. A good client never does that: the code may have been used.
	Resent []string `json:"resent"`
}

// APIStats counts the calls of one API.
type APIStats struct {
	Calls  int `json:"calls"`
	Failed int `json:"failed"` // those that Fail let fail
}

func (s *Stats) add(code string, e entry) {
	s.Codes[code] += e.seen
	if script := parseScript(code); script.reusable || script.errcode != 0 {
		return
	}
	if e.seen > 1 {
		s.Twice = append(s.Twice, code)
	}
	if e.resent {
		s.Resent = append(s.Resent, code)
	}
}

// maxAPIs bounds the number of names counted: they come from the path.
const maxAPIs = 1000

// counts holds the counts by API.
type counts struct {
	mu   sync.Mutex
	apis map[string]APIStats
}

func (c *counts) call(api string, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.apis[api]; !ok && len(c.apis) >= maxAPIs {
		api = "other"
	}
	stats := c.apis[api]
	stats.Calls++
	if failed {
		stats.Failed++
	}
	c.apis[api] = stats
}

func (c *counts) all() map[string]APIStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.apis)
}
