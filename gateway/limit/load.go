package limit

import (
	"sync"
	"sync/atomic"
)

// Load counts the requests being worked on, in all and for each service.
type Load struct {
	inFlight part
	uploads  part // of these

	mu       sync.Mutex
	services map[string]*Adaptive
}

// part counts requests that may fill a part of the slots.
type part struct{ atomic.Int64 }

// acquire takes one of the slots, unless share percent of most are taken.
func (p *part) acquire(most, share int64) bool {
	if p.Add(1)*100 <= most*share {
		return true
	}
	p.release()
	return false
}

func (p *part) release() { p.Add(-1) }

// Taken returns how many slots are taken, and how many of those by uploads.
func (l *Load) Taken() (all, uploads int64) { return l.inFlight.Load(), l.uploads.Load() }

// Service returns the adaptive limit of a service, which survives reloads.
func (l *Load) Service(upstream string) *Adaptive {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.services == nil {
		l.services = make(map[string]*Adaptive)
	}
	if l.services[upstream] == nil {
		l.services[upstream] = newAdaptive()
	}
	return l.services[upstream]
}

// uploadShare is the percentage of all slots that uploads may fill, since the client sets their pace.
const uploadShare = 50

// Slot is what a request takes of limits.in_flight, and of what its service can handle. The zero Slot is none.
type Slot struct {
	load      *Load     // nil: none is taken
	service   *Adaptive // nil: an endpoint, or its body is still to come
	light     bool
	uploading *Adaptive // the service of a body that is still to come; nil: there is none
}

// IsHeld reports whether the slot is taken.
func (p *Slot) IsHeld() bool { return p.load != nil }

// Service returns the limit of the service that works on the request, nil for an endpoint or while the body is
// incomplete.
func (p *Slot) Service() *Adaptive { return p.service }

// Release gives back the slot, if it is taken.
func (p *Slot) Release() {
	if p.load == nil {
		return
	}
	p.load.inFlight.release()
	if p.uploading != nil {
		p.load.uploads.release()
	}
	if p.service != nil {
		p.service.release(p.light)
	}
	*p = Slot{}
}

// BodyComplete counts a request at its service from now on: until its body was complete, the client set the pace.
func (p *Slot) BodyComplete() {
	if p.uploading == nil {
		return
	}
	p.load.uploads.release()
	p.service, p.uploading = p.uploading, nil
	p.service.join(p.light)
}

// Bound is what a request exceeds.
type Bound uint8

// The bounds of a Load.
const (
	Unbounded Bound = iota // none
	InFlight               // the slots in all
	Uploads                // those of requests whose body is still to come
	Pace                   // what the service answers in time

	bounds
)

// String is the bound as an operator knows it: by its key, if it has one.
func (b Bound) String() string {
	return [bounds]string{"", "limits.in_flight", "half of limits.in_flight, for uploads", "the pace of the service"}[b]
}

// label is the bound in metrics.
func (b Bound) label() string { return [bounds]string{"", "in_flight", "uploads", "pace"}[b] }

// Acquire takes a slot in all and one at the service, or neither because of a Bound. most is how many there are in all.
// Without a service, service is nil.
func (l *Load) Acquire(service *Adaptive, as Priority, most int64) (Slot, Bound) {
	p := Slot{load: l, light: as.Light}
	exceeded := Unbounded
	switch {
	case !l.inFlight.acquire(most, as.Share):
		return Slot{}, InFlight
	case service == nil:
	case as.Upload:
		if p.uploading = service; !l.uploads.acquire(most, uploadShare) {
			exceeded = Uploads
		}
	default:
		if p.service = service; !service.acquire(most, as.Share, as.Light) {
			exceeded = Pace
		}
	}
	if exceeded != Unbounded {
		l.inFlight.release()
		return Slot{}, exceeded
	}
	return p, Unbounded
}

// Priority decides about a request under overload.
type Priority struct {
	Share  int64 // of the slots that it may fill, in percent
	Light  bool  // its client has few others
	Upload bool  // a part of its body is still to come
}
