package upstream

import (
	"fmt"
	"time"
)

// maxEjections is how many times outlier.eject an ejection takes at most.
const maxEjections = 30

// ejection is the time that an endpoint is put aside because its requests failed.
type ejection struct {
	active  bool
	at      time.Time // when the last one began
	until   time.Time // when it may be tried again
	ended   time.Time // when the last one ended
	count   int       // how many there were in short succession
	probing bool      // a probe is in flight
}

// eject puts an endpoint aside, unless it would be the last healthy one. last is the outcome of its last attempt.
func (e *endpoint) eject(last string, now time.Time) {
	failures, out := e.startEjection(now)
	if out == 0 {
		return
	}
	e.target.metrics.ejections.Inc()
	e.target.up.events.ejected(e, fmt.Sprintf("%d failures in a row, the last: %s", failures, last), out)
}

// startEjection returns after how many failures e is out now, and for how long: 0 when it is not, or was before.
func (e *endpoint) startEjection(now time.Time) (failures int, out time.Duration) {
	u := e.target.up
	u.ejecting.Lock()
	defer u.ejecting.Unlock()
	f := u.cluster.Load()
	if !f.othersHealthy(e, now) {
		return 0, 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ejection.active && now.Before(e.ejection.until) {
		return 0, 0
	}
	e.ejection.start(now, f.cfg.Outlier.Eject)
	return e.failures, e.ejection.until.Sub(now)
}

// start ejects for longer each time, unless the endpoint has been healthy since for as long as it was out.
func (o *ejection) start(now time.Time, unit time.Duration) {
	if last := o.until.Sub(o.at); !o.active && now.Sub(o.ended) > last {
		o.count = 0
	}
	o.count = min(o.count+1, maxEjections)
	o.active, o.at, o.until, o.probing = true, now, now.Add(time.Duration(o.count)*unit), false
}

// othersHealthy reports whether an endpoint beside e is healthy.
func (f *cluster) othersHealthy(e *endpoint, now time.Time) bool {
	for _, other := range f.endpoints {
		if other != e && other.scoreAt(now, &f.cfg).rank != rankUnhealthy {
			return true
		}
	}
	return false
}

// beginProbe makes the caller's request the one that shows whether the endpoint is healthy again; false when another
// request does that.
func (e *endpoint) beginProbe() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ejection.probing {
		return false
	}
	e.ejection.probing = true
	return true
}
