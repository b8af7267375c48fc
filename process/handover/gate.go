package handover

import (
	"context"
	"sync"
)

// Gate is where requests that need the store wait while it goes to another process. It is open at first.
type Gate struct {
	mu     sync.Mutex
	state  gateState
	inside int
	change chan struct{} // closed by the next change of state, and when the last one leaves
}

type gateState uint8

const (
	gateOpen  gateState = iota
	gateShut            // who comes waits
	gateMoved           // the store is elsewhere, for good
	gateEnded           // we stopped while it was shut, and nobody is known to serve
)

// NewGate returns an open gate.
func NewGate() *Gate { return &Gate{change: make(chan struct{})} }

// Acquire waits while the gate is shut, and returns how it was then. Unless it was open, the store must not be asked here: it
// has moved to another process, or nobody is known to serve. When it was open, Leave must follow.
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

// Close lets those go that wait, when nobody will open the gate any more.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state == gateShut {
		g.state = gateEnded
		g.changed()
	}
}

// HandedOver reports whether the store is elsewhere.
func (g *Gate) HandedOver() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state == gateMoved
}

// Release follows an Acquire that found the gate open.
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

// empty waits until nobody is inside.
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

// Shut lets nobody in, and waits until those who are inside have left. When ctx ends first, all is as before.
func (g *Gate) Shut(ctx context.Context) error {
	g.set(gateShut)
	err := g.empty(ctx)
	if err != nil {
		g.set(gateOpen)
	}
	return err
}

// Open lets those in that wait.
func (g *Gate) Open() { g.set(gateOpen) }

// SetHandedOver tells those that wait, and all that come, that the store is elsewhere, for good.
func (g *Gate) SetHandedOver() { g.set(gateMoved) }
