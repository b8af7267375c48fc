package handover

import (
	"context"
	"sync"
)

// Gate makes requests that need the store wait while it is handed over to another process. It is open at first.
type Gate struct {
	mu     sync.Mutex
	state  gateState
	inside int
	change chan struct{} // closed by the next change of state, and when the last request leaves
}

type gateState uint8

const (
	gateOpen  gateState = iota
	gateShut            // requests wait
	gateMoved           // another process has the store, for good
	gateEnded           // we stopped while it was shut, and no process is known to serve
)

// NewGate returns an open gate.
func NewGate() *Gate { return &Gate{change: make(chan struct{})} }

// Acquire waits while the gate is shut, and returns its state after that. Unless it is open, the store must not be used
// here: another process has it, or no process is known to serve. If it is open, Release must follow.
func (g *Gate) Acquire() (open, moved bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.state == gateShut {
		change := g.change
		g.mu.Unlock()
		<-change
		g.mu.Lock()
	}
	if g.state == gateOpen {
		g.inside++
	}
	return g.state == gateOpen, g.state == gateMoved
}

// Close releases the requests that wait, when the gate will not be opened any more.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == gateShut {
		g.state = gateEnded
		g.changed()
	}
}

// HandedOver reports whether another process has the store.
func (g *Gate) HandedOver() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state == gateMoved
}

// Release must follow an Acquire that found the gate open.
func (g *Gate) Release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 {
		g.changed()
	}
}

func (g *Gate) set(state gateState) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = state
	g.changed()
}

func (g *Gate) changed() {
	close(g.change)
	g.change = make(chan struct{})
}

// empty waits until no request is inside.
func (g *Gate) empty(ctx context.Context) error {
	for {
		g.mu.Lock()
		inside, change := g.inside, g.change
		g.mu.Unlock()
		if inside == 0 {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Shut keeps requests out, and waits until those inside have left. If ctx ends first, the gate is open again.
func (g *Gate) Shut(ctx context.Context) error {
	g.set(gateShut)
	err := g.empty(ctx)
	if err != nil {
		g.set(gateOpen)
	}
	return err
}

// Open lets the waiting requests in.
func (g *Gate) Open() { g.set(gateOpen) }

// SetHandedOver tells waiting and later requests that another process has the store for good.
func (g *Gate) SetHandedOver() { g.set(gateMoved) }
