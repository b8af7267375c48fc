package upstream

import (
	"fmt"
	"time"
)

// maxEjections is how many times outlier.eject an ejection takes at most.
const maxEjections = 30

// ejection is the time that an endpoint is put aside because its requests failed.
type ejection struct {
	is      bool
	at      time.Time // when the last one began
	until   time.Time // when it may be tried again
	ended   time.Time // when the last one ended
	count   int       // how many there were in short succession
	probing bool      // a request is under way that tries it again
}

// eject puts an endpoint aside, unless it would be the last one that is well. last is what became of its last try.
func (u *Upstream) eject(e *endpoint, last string, now time.Time) {
	failures, out := u.ejected(e, now)
	if out == 0 {
		return
	}
	e.target.metrics.ejections.Inc()
	u.journal.ejected(e, fmt.Sprintf("%d failures in a row, the last: %s", failures, last), out)
}

// ejected says after how many failures e is out now, and for how long: 0 when it is not, or was before.
func (u *Upstream) ejected(e *endpoint, now time.Time) (failures int, out time.Duration) {
	u.ejecting.Lock()
	defer u.ejecting.Unlock()
	f := u.fleet.Load()
	if !f.othersWell(e, now) {
		return 0, 0
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.out.is && now.Before(e.out.until) {
		return 0, 0
	}
	e.out.begin(now, f.cfg.Outlier.Eject)
	return e.failures, e.out.until.Sub(now)
}

// begin ejects for longer each time, unless the endpoint has done well since for as long as it was out.
func (o *ejection) begin(now time.Time, unit time.Duration) {
	if last := o.until.Sub(o.at); !o.is && now.Sub(o.ended) > last {
		o.count = 0
	}
	o.count = min(o.count+1, maxEjections)
	o.is, o.at, o.until, o.probing = true, now, now.Add(time.Duration(o.count)*unit), false
}

// othersWell says whether an endpoint beside e is well.
func (f *fleet) othersWell(e *endpoint, now time.Time) bool {
	for _, other := range f.endpoints {
		if other != e && other.standing(now, &f.cfg).rank != rankBad {
			return true
		}
	}
	return false
}

// beginProbe makes the caller's request the one that shows whether the endpoint is well again; false when another
// request does that.
func (e *endpoint) beginProbe() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.out.probing {
		return false
	}
	e.out.probing = true
	return true
}
