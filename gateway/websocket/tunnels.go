package gateway

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn"
)

// socketsEvery is how often the open WebSockets are looked at: one whose session ended is closed within two of these.
const socketsEvery = 400 * time.Millisecond

// webSockets are the tunnels that are open. One goroutine looks whether each may go on; it runs while there are any.
type webSockets struct {
	auth  *authn.Authn
	gauge *prometheus.GaugeVec

	mu       sync.Mutex
	open     map[*tunnel]struct{}
	running  bool
	draining bool
}

func newWebSockets(auth *authn.Authn, gauge *prometheus.GaugeVec) *webSockets {
	return &webSockets{auth: auth, gauge: gauge, open: make(map[*tunnel]struct{})}
}

// add takes in a tunnel that is about to run. While the gateway drains, it ends as it begins.
func (w *webSockets) add(route string, t *tunnel) {
	count := w.gauge.WithLabelValues(route)
	count.Inc()
	t.leave = func() { count.Dec(); w.remove(t) }
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[t] = struct{}{}
	if w.draining {
		go t.end(closeGoingAway)
	}
	if !w.running {
		w.running = true
		go w.look()
	}
}

func (w *webSockets) remove(t *tunnel) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, t)
}

// drain ends all, those that are still to come too.
func (w *webSockets) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	for t := range w.open {
		go t.end(closeGoingAway)
	}
}

// look ends the tunnels whose time has come, until there are none.
func (w *webSockets) look() {
	ticker := time.NewTicker(socketsEvery)
	defer ticker.Stop()
	for now := range ticker.C {
		all := w.all()
		if len(all) == 0 {
			return
		}
		for _, t := range all {
			if code := w.verdict(t, now); code != 0 {
				go t.end(code) // it may wait for a slow client; a tunnel ends once
			}
		}
	}
}

// all are the tunnels that are open. When there are none, the next one must start look anew.
func (w *webSockets) all() []*tunnel {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = len(w.open) > 0
	all := make([]*tunnel, 0, len(w.open))
	for t := range w.open {
		all = append(all, t)
	}
	return all
}

// verdict is the code to end a tunnel with, 0 to let it be.
func (w *webSockets) verdict(t *tunnel, now time.Time) uint16 {
	switch {
	case t.ending.Load():
		return 0
	case t.subject != nil && w.auth.Alive(*t.subject) != nil:
		return closePolicy
	case t.silentFor(now) > t.service.Idle:
		return closeGoingAway
	}
	return 0
}
