package websocket

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// RecheckEvery is how often open WebSockets are checked: one whose session ended is closed within two of these
// intervals.
const RecheckEvery = 400 * time.Millisecond

// Tunnels are the open tunnels. One goroutine checks whether each may continue; it runs while there are any.
type Tunnels struct {
	gauge *prometheus.GaugeVec

	mu       sync.Mutex
	open     map[*Tunnel]struct{}
	running  bool
	draining bool
}

// NewTunnels returns an empty set. gauge counts the open tunnels by route.
func NewTunnels(gauge *prometheus.GaugeVec) *Tunnels {
	return &Tunnels{gauge: gauge, open: make(map[*Tunnel]struct{})}
}

// Add registers a tunnel that is about to run. While the gateway drains, it is closed at once.
func (w *Tunnels) Add(route string, t *Tunnel) {
	count := w.gauge.WithLabelValues(route)
	count.Inc()
	t.onClose = func() { count.Dec(); w.remove(t) }
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[t] = struct{}{}
	if w.draining {
		go t.closeWithCode(CloseGoingAway)
	}
	if !w.running {
		w.running = true
		go w.recheck()
	}
}

func (w *Tunnels) remove(t *Tunnel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, t)
}

// Drain closes all tunnels, including those that are added later.
func (w *Tunnels) Drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	for t := range w.open {
		go t.closeWithCode(CloseGoingAway)
	}
}

// recheck ends the tunnels that may not go on, until there are none left.
func (w *Tunnels) recheck() {
	ticker := time.NewTicker(RecheckEvery)
	defer ticker.Stop()
	for now := range ticker.C {
		all := w.all()
		if len(all) == 0 {
			return
		}
		for _, t := range all {
			if code := w.closeCode(t, now); code != 0 {
				go t.closeWithCode(code) // a slow client may block it; a tunnel ends only once
			}
		}
	}
}

// all returns the open tunnels. If there are none, the next one to be added must start recheck again.
func (w *Tunnels) all() []*Tunnel {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = len(w.open) > 0
	all := make([]*Tunnel, 0, len(w.open))
	for t := range w.open {
		all = append(all, t)
	}
	return all
}

// closeCode is the status code to close a tunnel with, 0 to keep it open.
func (w *Tunnels) closeCode(t *Tunnel, now time.Time) uint16 {
	switch {
	case t.closing.Load():
		return 0
	case t.alive != nil && t.alive() != nil:
		return ClosePolicy
	case t.idleFor(now) > t.service.Idle:
		return CloseGoingAway
	}
	return 0
}
