package gateway

import (
	"errors"
	"time"

	"github.com/gofiber/fiber/v2"

	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/upstream"
)

const (
	retryFirst = time.Second     // Retry-After of a request that is more than we or a service bear; twice that for the next one
	retryMost  = 4 * time.Second // however often it was refused
)

// overloadError is a request that was more than we or a service bear, and when to come back with it.
type overloadError struct {
	error
	after time.Duration
}

func (e *overloadError) Unwrap() error { return e.error }

// refused is the last request of a connection, when that was one too many.
type refused struct {
	client  limit.Client
	service *limit.Adaptive // nil: an endpoint
	every   bool            // requests for several services were refused in turn: those for any wait
	after   time.Duration
	until   time.Time // when it was to come back
}

// covers reports whether a request of the same client is the refused one, or its like, once more.
func (r refused) covers(other refused) bool { return r.every || r.service == other.service }

// holdBack makes who was refused for overload, and asks again on the same connection before Retry-After is over, wait for
// the rest of it: a refusal costs nearly as much as an answer, and thousands that ask again at once would leave no
// processor for those who were let in. Others behind the same proxy, and requests for another service, do not wait. Who
// waits holds nothing but its connection.
func (g *Gateway) holdBack(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	g.leaveStore(ex) // who the platform named is known by now; an endpoint comes back to the store
	ex.place.leave()
	conn, strict := c.Context().Conn().(*listen.Conn)
	if !strict || ex.route.class == classHealth {
		return c.Next()
	}
	as := refused{client: holderOf(c, ex), service: ex.route.adaptive, after: retryFirst}
	before, again := conn.Note().(refused)
	if again = again && before.client == as.client; again && before.covers(as) {
		g.awaitTurn(ex, before.until)
		conn.SetNote(nil)
		if subject := ex.subject; subject != nil {
			if err := g.deps.Authn.Alive(*subject); err != nil { // who was banned meanwhile
				return err
			}
		}
	}
	err := c.Next()
	if !overloaded(err) {
		return err
	}
	if again {
		as.every, as.after = !before.covers(as) || before.every, min(2*before.after, retryMost)
	}
	as.until = g.deps.Now().Add(as.after)
	conn.SetNote(as)
	return &overloadError{err, as.after}
}

// overloaded reports whether a request was more than we or a service bear.
func overloaded(err error) bool {
	return errors.Is(err, answer.ErrOverloaded) || errors.Is(err, upstream.ErrOverloaded)
}

// awaitTurn waits until a request was to come, and begins its time then. When we stop, nobody waits any more.
func (g *Gateway) awaitTurn(ex *exchange, until time.Time) {
	left := min(until.Sub(g.deps.Now()), retryMost)
	if left <= 0 {
		return
	}
	g.metrics.heldBack.Inc()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.ending:
	}
	ex.start = g.deps.Now()
}
