package gateway

import (
	"sync"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
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
	inFlight atomic.Int64

	mu       sync.Mutex
	services map[string]*pressure
}

// of is the pressure on a service. It outlives a reload.
func (l *load) of(upstream string) *pressure {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.services == nil {
		l.services = make(map[string]*pressure)
	}
	if l.services[upstream] == nil {
		l.services[upstream] = new(pressure)
	}
	return l.services[upstream]
}

// tokenlessShare is the part of all places that requests without a token may fill, in percent.
const tokenlessShare = 75

// shareOf is the part of all places that a request may fill. A token is not verified yet; a false one gives its place
// back within microseconds.
func shareOf(c *fiber.Ctx, ex *exchange) int64 {
	if ex.route.class == classLogin || ex.cloud == nil && !authn.HasCredentials(c) {
		return tokenlessShare
	}
	return 100
}

// shed refuses at once what is too much, so that those who were let in keep their pace: over limits.in_flight in all,
// and over what the service bears. A wave of logins must not stop those who have logged in.
func (g *Gateway) shed(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	most := int64(ex.rules.cfg.Limits.InFlight)
	if ex.route.class == classHealth || most == 0 {
		return c.Next()
	}
	share := shareOf(c, ex)
	defer g.load.inFlight.Add(-1)
	if n := g.load.inFlight.Add(1); n*100 > most*share {
		return errOverloaded
	}
	service := ex.route.pressure
	if service == nil {
		return c.Next()
	}
	if !service.enter(most, share) {
		return errOverloaded
	}
	defer service.leave()
	err := c.Next()
	if err == nil && ex.upstreamTime > 0 && c.Response().StatusCode() < fiber.StatusInternalServerError {
		service.answered(&ex.route.usual, ex.upstreamTime, g.deps.Now(), most)
	}
	return err
}
