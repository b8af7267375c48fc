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
	cohortPause = 256 // looks without a yield after one that took too long

	cohortPatience = 5 * time.Millisecond // of a yield
)

// Cohort lets goroutines that are ready reach their system calls before any of them makes one, while the process is short
// of CPU (cohort scheduling: Larus and Parkes, 2002). One kind of work then follows another of the same kind, whose code
// the processor still has in its caches. In a process that has CPU left a Cohort does nothing: a yield would only wake
// another thread. Nor does it where so many are ready that a yield takes long: the scheduler puts who yields behind all of
// them. The zero value is ready for use, by many goroutines.
type Cohort struct {
	joined atomic.Uint32
	short  atomic.Bool

	mu     sync.Mutex // guards what follows
	last   usage
	paused int // looks that are left without a yield
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
	if !c.short.Load() {
		return
	}
	began := time.Now()
	if runtime.Gosched(); time.Since(began) > cohortPatience {
		c.pause()
	}
}

// pause ends the yields for a while.
func (c *Cohort) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.short.Store(false)
	c.paused = cohortPause
}

// look decides whether a process with so many CPUs is short of them.
func (c *Cohort) look(now usage, cpus int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	most, used := now.at.Sub(c.last.at).Seconds()*float64(cpus), (now.cpu - c.last.cpu).Seconds()
	c.last = now
	if c.paused > 0 {
		c.paused--
		return
	}
	c.short.Store(most > 0 && used >= cohortShare*most)
}
