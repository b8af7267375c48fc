package process

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	memoryLook       = 5 * time.Second // between two looks at the memory of an idle process
	memoryPause      = time.Minute     // at least, between two collections
	worthReturning   = 8 << 20         // bytes that are not worth a collection, nor is a quarter of what lives
	worthReturningOf = 4
)

// memoryState is what the Go runtime has, in bytes.
type memoryState struct {
	cycles  uint64 // collections so far
	live    uint64 // after the last one
	garbage uint64 // allocated since, at most
	free    uint64 // not given back to the system
	stacks  uint64
}

// readMemory asks the runtime.
func readMemory() memoryState {
	samples := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(samples)
	m := memoryState{
		cycles: samples[0].Value.Uint64(), live: samples[1].Value.Uint64(), free: samples[3].Value.Uint64(), stacks: samples[4].Value.Uint64(),
	}
	if objects := samples[2].Value.Uint64(); objects > m.live {
		m.garbage = objects - m.live
	}
	return m
}

// memoryReturner gives memory back to the system when a burst of clients is over. The collector of an idle process does
// not run for minutes, and only a collection shrinks the stacks of idle connections.
type memoryReturner struct {
	last     memoryState // at the last look
	stacks   uint64      // after the last collection of ours
	returned time.Time   // when that was
}

// look reports whether a collection is worth its cost now: the collector did not run by itself since the last look, and
// there is much that it would free.
func (r *memoryReturner) look(m memoryState, now time.Time) bool {
	quiet := m.cycles == r.last.cycles
	r.last = m
	waste := m.garbage + m.free
	if m.stacks > r.stacks {
		waste += m.stacks - r.stacks
	}
	return quiet && waste > max(worthReturning, m.live/worthReturningOf) && now.Sub(r.returned) >= memoryPause
}

// run looks until ctx ends.
func (r *memoryReturner) run(ctx context.Context) {
	ticker := time.NewTicker(memoryLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if r.look(readMemory(), now) {
				debug.FreeOSMemory()
				r.last = readMemory()
				r.stacks, r.returned = r.last.stacks, now
			}
		}
	}
}
