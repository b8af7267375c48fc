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

// part counts requests that may fill a part of the places.
type part struct{ atomic.Int64 }

// enter takes one of the places, unless share percent of most are taken.
func (p *part) enter(most, share int64) bool {
	if p.Add(1)*100 <= most*share {
		return true
	}
	p.leave()
	return false
}

func (p *part) leave() { p.Add(-1) }

// Taken returns how many places are taken, and how many of those by uploads.
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

// uploadShare is the percentage of all places that uploads may fill, since the client sets their pace.
const uploadShare = 50

// Place is the place of a request, in all and at its service. The zero Place is none.
type Place struct {
	load    *Load     // nil: none is taken
	service *Adaptive // nil: an endpoint, or its body is still to come
	light   bool
	coming  *Adaptive // the service of a body that is still to come; nil: there is none
}

// IsTaken reports whether a place is taken.
func (p *Place) IsTaken() bool { return p.load != nil }

// Service returns the limit of the service that works on the request, nil for an endpoint or while the body is
// incomplete.
func (p *Place) Service() *Adaptive { return p.service }

// Leave gives back the place, if one is taken.
func (p *Place) Leave() {
	if p.load == nil {
		return
	}
	p.load.inFlight.leave()
	if p.coming != nil {
		p.load.uploads.leave()
	}
	if p.service != nil {
		p.service.leave(p.light)
	}
	*p = Place{}
}

// BodyCame counts a request at its service from now on: until its body was complete, the client set the pace.
func (p *Place) BodyCame() {
	if p.coming == nil {
		return
	}
	p.load.uploads.leave()
	p.service, p.coming = p.coming, nil
	p.service.join(p.light)
}

// Enter takes a place in all and one at the service, or neither. most is how many there are in all. Without a service,
// service is nil.
func (l *Load) Enter(service *Adaptive, as Rank, most int64) (Place, bool) {
	p := Place{load: l, light: as.Light}
	switch {
	case !l.inFlight.enter(most, as.Share):
		return Place{}, false
	case service == nil:
		return p, true
	case as.Upload && l.uploads.enter(most, uploadShare):
		p.coming = service
		return p, true
	case !as.Upload && service.enter(most, as.Share, as.Light):
		p.service = service
		return p, true
	}
	l.inFlight.leave()
	return Place{}, false
}

// Rank is the priority of a request under overload.
type Rank struct {
	Share  int64 // of the places that it may fill, in percent
	Light  bool  // its client has few others
	Upload bool  // a part of its body is still to come
}
