package admin

import (
	"runtime"
	"sync"
)

// moreProcessors is how many an import adds: a write, a flush of what was written and two compactions may be in calls to the
// disk at once.
const moreProcessors = 4

// processors lets requests be answered while imports keep the disk busy. The Go runtime runs goroutines on as many threads as
// there are CPUs, and a thread in a call to the disk counts until the runtime notices, for up to 10 ms: on two CPUs an import
// holds both again and again. Meanwhile there are more.
type processors struct {
	mu      sync.Mutex
	imports int // that run
}

// enter begins an import; leave ends it.
func (p *processors) enter() (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.imports++; p.imports == 1 {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + moreProcessors)
	}
	return p.leave
}

func (p *processors) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.imports--; p.imports == 0 {
		runtime.SetDefaultGOMAXPROCS()
	}
}
