package gateway

import (
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

// load counts the requests that are being worked on.
type load struct{ inFlight atomic.Int64 }

// loginShare is the part of limits.in_flight that requests without a token may fill, in percent.
const loginShare = 75

// enter takes a place among most; leave must follow when it is true.
func (l *load) enter(most int64) bool {
	if n := l.inFlight.Add(1); most > 0 && n > most {
		l.inFlight.Add(-1)
		return false
	}
	return true
}

func (l *load) leave() { l.inFlight.Add(-1) }

// shed refuses at once what is over limits.in_flight, so that those who were let in keep their pace. Requests without a
// token may fill a part of the places only: a wave of logins must not stop those who have logged in. A token is not
// verified yet; a false one gives its place back within microseconds.
func (g *Gateway) shed(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	if ex.route.class == classHealth {
		return c.Next()
	}
	most := int64(ex.rules.cfg.Limits.InFlight)
	if ex.route.class == classLogin || ex.cloud == nil && !authn.HasCredentials(c) {
		most = (most*loginShare + 99) / 100
	}
	if !g.load.enter(most) {
		return errOverloaded
	}
	defer g.load.leave()
	return c.Next()
}
