package process

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestAQuietProcessGivesMemoryBack(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	now := time.Unix(1_000_000, 0)
	for what, row := range map[string]struct {
		before, after memoryState
		stacks        uint64
		ago           time.Duration
		want          bool
	}{
		"garbage of a burst":             {memoryState{cycles: 3}, memoryState{cycles: 3, live: 10 * mib, garbage: 9 * mib}, 0, time.Hour, true},
		"pages of a burst":               {memoryState{cycles: 3}, memoryState{cycles: 3, live: 10 * mib, free: 9 * mib}, 0, time.Hour, true},
		"stacks of idle connections":     {memoryState{cycles: 3}, memoryState{cycles: 3, live: 10 * mib, stacks: 40 * mib}, 20 * mib, time.Hour, true},
		"stacks as they were":            {memoryState{cycles: 3}, memoryState{cycles: 3, live: 10 * mib, stacks: 40 * mib}, 40 * mib, time.Hour, false},
		"the collector runs":             {memoryState{cycles: 3}, memoryState{cycles: 4, live: 10 * mib, garbage: 9 * mib}, 0, time.Hour, false},
		"little":                         {memoryState{cycles: 3}, memoryState{cycles: 3, live: 10 * mib, garbage: 7 * mib}, 0, time.Hour, false},
		"little beside what lives":       {memoryState{cycles: 3}, memoryState{cycles: 3, live: 400 * mib, garbage: 90 * mib}, 0, time.Hour, false},
		"a collection a short while ago": {memoryState{cycles: 3}, memoryState{cycles: 3, live: 10 * mib, garbage: 90 * mib}, 0, time.Second, false},
	} {
		r := memoryReturner{last: row.before, stacks: row.stacks, returned: now.Add(-row.ago)}
		if got := r.look(row.after, now); got != row.want {
			t.Errorf("%s: %v, want %v", what, got, row.want)
		}
	}
}

// TestTheRuntimeSaysWhatItHas guards the names of its metrics.
func TestTheRuntimeSaysWhatItHas(t *testing.T) { // not parallel: others would collect its garbage
	debug.FreeOSMemory()
	before := readMemory()
	block := make([]byte, 32<<20)
	m := readMemory()
	if before.cycles == 0 || m.live == 0 || m.stacks == 0 || m.cycles == before.cycles && m.garbage < 31<<20 {
		t.Errorf("%+v, and with 32 MiB more %+v", before, m)
	}
	runtime.KeepAlive(block)
}
