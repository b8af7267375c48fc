package limit

import (
	"sync"
	"sync/atomic"
)

// Load is what is being worked on: in all, and for each service.
type Load struct {
	inFlight part
	uploads  part // of these

	mu       sync.Mutex
	services map[string]*Adaptive
}

// part counts those that may fill a part of the places.
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

// Taken is how many places are taken, and how many of these by uploads.
func (l *Load) Taken() (all, uploads int64) { return l.inFlight.Load(), l.uploads.Load() }

// Service returns the adaptive limit of a service. It outlives a reload.
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

// uploadShare is the part of all places that uploads may fill, in percent: their pace is the client's.
const uploadShare = 50

// Place is what a request has taken of all places and of what its service bears. The zero Place is none.
type Place struct {
	load    *Load     // nil: none is taken
	service *Adaptive // nil: an endpoint, or its body is still to come
	light   bool
	coming  *Adaptive // the service of a body that is still to come; nil: there is none
}

// IsTaken reports whether there is one.
func (p *Place) IsTaken() bool { return p.load != nil }

// Service returns the limit of the service that works on the request; nil: an endpoint, or its body is still to come.
func (p *Place) Service() *Adaptive { return p.service }

// Leave gives the place back, if there is one.
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

// BodyCame makes a request one that its service works on: until now its pace was the client's.
func (p *Place) BodyCame() {
	if p.coming == nil {
		return
	}
	p.load.uploads.leave()
	p.service, p.coming = p.coming, nil
	p.service.join(p.light)
}

// Enter takes a place, in all and at the service, or neither. most is how many there are in all; a service of nil is
// none.
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

// Rank is what decides on a request when there is too much to do.
type Rank struct {
	Share  int64 // of the places that it may fill, in percent
	Light  bool  // its client has few others
	Upload bool  // a part of its body is still to come
}
