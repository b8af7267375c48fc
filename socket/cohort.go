package socket

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	cohortLook  = 256 // calls of Join between two looks at the use of the CPU
	cohortShare = 0.8 // of all the CPU that the process may use, from which on it is short of it
)

// Cohort lets goroutines that are ready reach their system calls before any of them makes one, while the process is short
// of CPU (cohort scheduling: Larus and Parkes, 2002). One kind of work then follows another of the same kind, whose code
// the processor still has in its caches. In a process that has CPU left a Cohort does nothing: a yield would only wake
// another thread. The zero value is ready for use, by many goroutines.
type Cohort struct {
	joined atomic.Uint32
	short  atomic.Bool

	mu   sync.Mutex // guards what follows
	last usage
}

// usage is what a process has used.
type usage struct {
	cpu time.Duration // of all threads
	at  time.Time
}

// Join waits for the others. It is called before a write that wakes a peer.
func (c *Cohort) Join() {
	if c.joined.Add(1)%cohortLook == 0 {
		c.look(usage{processCPU(), time.Now()}, runtime.GOMAXPROCS(0))
	}
	if c.short.Load() {
		runtime.Gosched()
	}
}

// look decides whether a process with so many CPUs is short of them.
func (c *Cohort) look(now usage, cpus int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := now.at.Sub(c.last.at).Seconds() * float64(cpus)
	c.short.Store(most > 0 && (now.cpu-c.last.cpu).Seconds() >= cohortShare*most)
	c.last = now
}
