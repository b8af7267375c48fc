package gateway

import (
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/upstream/http1"
)

// class is the place of a request when there is too much to do.
type class uint8

const (
	classOther  class = iota // a token decides
	classLogin               // logins wait: who is in goes on
	classHealth              // always answered, or a balancer would take away what still works
)

// tokenlessShare is the part of all places that those may fill who have not proved who they are, in percent.
const tokenlessShare = 75

// lightRequests is how many requests a client has at a time that opens a page; with more, it is the first to be refused.
const lightRequests = 8

// shareOf is the part of all places that a request may fill. A token counts only once it was verified.
func shareOf(ex *Exchange) int64 {
	if ex.subject == nil || ex.route.class == classLogin {
		return tokenlessShare
	}
	return 100
}

// takePlace takes the place of a request in limits.in_flight and at its service, once.
func (g *Gateway) takePlace(ex *Exchange) error {
	most := int64(ex.snapshot.cfg.Limits.InFlight)
	if ex.route.class == classHealth || most == 0 || ex.place.IsTaken() {
		return nil
	}
	as := limit.Rank{Share: shareOf(ex), Light: ex.hold.Requests() <= lightRequests, Upload: uploads(ex)}
	var within bool
	if ex.place, within = g.load.Enter(ex.route.adaptive, as, most); !within {
		return answer.ErrOverloaded
	}
	if as.Upload {
		ex.body.whole = ex.place.BodyCame
	}
	return nil
}

// uploads reports whether a part of the request's body is still to come.
func uploads(ex *Exchange) bool {
	return ex.conn != nil && ex.body.stream != nil && ex.conn.BodyRemaining()
}

// shed refuses at once what is too much, so that those who were let in keep their pace: over limits.in_flight in all,
// and over what the service bears. A wave of logins must not stop those who have logged in.
func (g *Gateway) shed(ex *Exchange) error {
	if err := g.takePlace(ex); err != nil {
		return err
	}
	err := ex.next()
	service := ex.place.Service()
	if service != nil && err == nil && ex.upstreamTime > 0 && ex.response.StatusCode() < fasthttp.StatusInternalServerError {
		service.Answered(&ex.route.baseline, ex.upstreamTime, g.deps.Now(), int64(ex.snapshot.cfg.Limits.InFlight))
	}
	return err
}

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
func (g *Gateway) holdBack(ex *Exchange) error {
	g.releaseStore(ex) // who the platform named is known by now; an endpoint comes back to the store
	ex.place.Leave()
	conn := ex.conn
	if conn == nil || ex.route.class == classHealth {
		return ex.next()
	}
	as := refused{client: holderOf(ex), service: ex.route.adaptive, after: retryFirst}
	before, again := conn.Note().(refused)
	if again = again && before.client == as.client; again && before.covers(as) {
		g.awaitTurn(ex, before.until)
		conn.SetNote(nil)
		if subject := ex.subject; subject != nil {
			if err := g.deps.Authn.Tokens.Alive(*subject); err != nil { // who was banned meanwhile
				return err
			}
		}
	}
	err := ex.next()
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
	return errors.Is(err, answer.ErrOverloaded) || errors.Is(err, http1.ErrOverloaded)
}

// awaitTurn waits until a request was to come, and begins its time then. When we stop, nobody waits any more.
func (g *Gateway) awaitTurn(ex *Exchange, until time.Time) {
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
