package gateway

import (
	"sync"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"

	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
)

// class is the place of a request when there is too much to do.
type class uint8

const (
	classOther  class = iota // a token decides
	classLogin               // logins wait: who is in goes on
	classHealth              // always answered, or a balancer would take away what still works
)

// load is what is being worked on: in all, and for each service.
type load struct {
	inFlight part
	uploads  part // of these

	mu       sync.Mutex
	services map[string]*limit.Adaptive
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

// of is the adaptive limit of a service. It outlives a reload.
func (l *load) of(upstream string) *limit.Adaptive {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.services == nil {
		l.services = make(map[string]*limit.Adaptive)
	}
	if l.services[upstream] == nil {
		l.services[upstream] = limit.NewAdaptive()
	}
	return l.services[upstream]
}

// The parts of all places that some requests may fill, in percent.
const (
	tokenlessShare = 75 // those of nobody who has proved who it is
	uploadShare    = 50 // those whose body is still to come: their pace is the client's
)

// place is what a request has taken of limits.in_flight and of what its service bears. The zero place is none.
type place struct {
	load    *load           // nil: none is taken
	service *limit.Adaptive // nil: an endpoint, or its body is still to come
	light   bool
	coming  *limit.Adaptive // the service of a body that is still to come; nil: there is none
}

// leave gives the place back, if there is one.
func (p *place) leave() {
	if p.load == nil {
		return
	}
	p.load.inFlight.leave()
	if p.coming != nil {
		p.load.uploads.leave()
	}
	if p.service != nil {
		p.service.Leave(p.light)
	}
	*p = place{}
}

// bodyCame makes a request one that its service works on: until now its pace was the client's.
func (p *place) bodyCame() {
	if p.coming == nil {
		return
	}
	p.load.uploads.leave()
	p.service, p.coming = p.coming, nil
	p.service.Join(p.light)
}

// enter takes a place, in all and at the service, or neither. most is limits.in_flight.
func (l *load) enter(service *limit.Adaptive, as standing, most int64) (place, bool) {
	p := place{load: l, light: as.light}
	switch {
	case !l.inFlight.enter(most, as.share):
		return place{}, false
	case service == nil:
		return p, true
	case as.upload && l.uploads.enter(most, uploadShare):
		p.coming = service
		return p, true
	case !as.upload && service.Enter(most, as.share, as.light):
		p.service = service
		return p, true
	}
	l.inFlight.leave()
	return place{}, false
}

// standing is what decides on a request when there is too much to do.
type standing struct {
	share  int64 // of the places that it may fill, in percent
	light  bool  // its client has few others
	upload bool  // a part of its body is still to come
}

// lightRequests is how many requests a client has at a time that opens a page; with more, it is the first to be refused.
const lightRequests = 8

// shareOf is the part of all places that a request may fill. A token counts only once it was verified.
func shareOf(c *fiber.Ctx, ex *exchange) int64 {
	if ex.subject == nil || ex.route.class == classLogin {
		return tokenlessShare
	}
	return 100
}

// takePlace takes the place of a request in limits.in_flight and at its service, once.
func (g *Gateway) takePlace(c *fiber.Ctx, ex *exchange) error {
	most := int64(ex.rules.cfg.Limits.InFlight)
	if ex.route.class == classHealth || most == 0 || ex.place.load != nil {
		return nil
	}
	as := standing{share: shareOf(c, ex), light: ex.hold.Requests() <= lightRequests, upload: uploads(c, ex)}
	var within bool
	if ex.place, within = g.load.enter(ex.route.adaptive, as, most); !within {
		return answer.ErrOverloaded
	}
	if as.upload {
		ex.body.whole = ex.place.bodyCame
	}
	return nil
}

// uploads reports whether a part of the request's body is still to come.
func uploads(c *fiber.Ctx, ex *exchange) bool {
	client, strict := c.Context().Conn().(*listen.Conn)
	return strict && ex.body.stream != nil && client.BodyRemaining()
}

// shed refuses at once what is too much, so that those who were let in keep their pace: over limits.in_flight in all,
// and over what the service bears. A wave of logins must not stop those who have logged in.
func (g *Gateway) shed(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	if err := g.takePlace(c, ex); err != nil {
		return err
	}
	err := c.Next()
	service := ex.place.service
	if service != nil && err == nil && ex.upstreamTime > 0 && c.Response().StatusCode() < fiber.StatusInternalServerError {
		service.Answered(&ex.route.baseline, ex.upstreamTime, g.deps.Now(), int64(ex.rules.cfg.Limits.InFlight))
	}
	return err
}
