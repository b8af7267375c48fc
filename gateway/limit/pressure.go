package limit

import (
	"sync"
	"sync/atomic"
	"time"
)

// Pressure tells when a process should leave out what it can do without. It is safe for concurrent use.
type Pressure struct {
	load *Load
	late atomic.Bool

	mu     sync.Mutex           // of whoever looks
	ours   func() time.Duration // how late this process was since the last look
	looked time.Time
}

const (
	pressureShare = 75                     // of limits.in_flight, in percent
	pressureLag   = 10 * time.Millisecond  // that goroutines wait for a processor; as long as one may keep it
	pressureLook  = 100 * time.Millisecond // between two looks
)

// NewPressure returns the pressure that comes with a load.
func NewPressure(of *Load) *Pressure { return &Pressure{load: of, ours: new(lag).ours} }

// High reports whether many of most slots are taken, or the process is short of CPU: also one that is throttled, whose
// share of the machine's CPU says nothing. most is limits.in_flight; 0: there is no such limit.
func (p *Pressure) High(now time.Time, most int) bool {
	if all, _ := p.load.Taken(); most > 0 && all*100 >= int64(most)*pressureShare {
		return true
	}
	if p.mu.TryLock() { // one is enough
		if now.Sub(p.looked) >= pressureLook {
			p.late.Store(p.ours() >= pressureLag)
			p.looked = now
		}
		p.mu.Unlock()
	}
	return p.late.Load()
}
