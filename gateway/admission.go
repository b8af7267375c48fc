package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/authn"
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

// admission decides how much is worked on at a time: in all, for a service, and for a client.
type admission struct {
	load    limit.Load
	ledger  *limit.Ledger
	auth    *authn.Authn
	store   storeGate
	metrics *metrics
	now     func() time.Time
	drain   context.Context // ends when draining begins: nobody waits any more
}

// shareOf is the part of all places that a request may fill. A token counts only once it was verified.
func shareOf(ex *Exchange) int64 {
	if ex.subject == nil || ex.route.class == classLogin {
		return tokenlessShare
	}
	return 100
}

// takePlace takes the place of a request in limits.in_flight and at its service, once.
func (a *admission) takePlace(ex *Exchange) error {
	most := int64(ex.snapshot.cfg.Limits.InFlight)
	if ex.route.class == classHealth || most == 0 || ex.place.IsTaken() {
		return nil
	}
	as := limit.Rank{Share: shareOf(ex), Light: ex.hold.Requests() <= lightRequests, Upload: uploads(ex)}
	var within bool
	if ex.place, within = a.load.Enter(ex.route.adaptive, as, most); !within {
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
func (a *admission) shed(ex *Exchange) error {
	if err := a.takePlace(ex); err != nil {
		return err
	}
	err := ex.next()
	service := ex.place.Service()
	if service != nil && err == nil && ex.upstreamTime > 0 && ex.response.StatusCode() < fasthttp.StatusInternalServerError {
		service.Answered(&ex.route.baseline, ex.upstreamTime, a.now(), int64(ex.snapshot.cfg.Limits.InFlight))
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
func (a *admission) holdBack(ex *Exchange) error {
	a.store.release(ex) // who the platform named is known by now; an endpoint comes back to the store
	ex.place.Leave()
	conn := ex.conn
	if conn == nil || ex.route.class == classHealth {
		return ex.next()
	}
	as := refused{client: holderOf(ex), service: ex.route.adaptive, after: retryFirst}
	before, again := conn.Note().(refused)
	if again = again && before.client == as.client; again && before.covers(as) {
		a.awaitTurn(ex, before.until)
		conn.SetNote(nil)
		if subject := ex.subject; subject != nil {
			if err := a.auth.Tokens.Alive(*subject); err != nil { // who was banned meanwhile
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
	as.until = a.now().Add(as.after)
	conn.SetNote(as)
	return &overloadError{err, as.after}
}

// overloaded reports whether a request was more than we or a service bear.
func overloaded(err error) bool {
	return errors.Is(err, answer.ErrOverloaded) || errors.Is(err, http1.ErrOverloaded)
}

// awaitTurn waits until a request was to come, and begins its time then. When we stop, nobody waits any more.
func (a *admission) awaitTurn(ex *Exchange, until time.Time) {
	left := min(until.Sub(a.now()), retryMost)
	if left <= 0 {
		return
	}
	a.metrics.heldBack.Inc()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.drain.Done():
	}
	ex.start = a.now()
}

// heldError is a client that holds too much at a time.
type heldError struct{ kind limit.Kind }

func (e *heldError) Error() string {
	return fmt.Sprintf("%v: limits.per_client.%v", answer.ErrTooManyHeld, e.kind)
}

// Is makes it the error of its row.
func (*heldError) Is(target error) bool { return target == answer.ErrTooManyHeld }

// crowdShare is the part of the whole that all those may hold together who cannot be told apart.
const crowdShare = 4

// giveBack gives back, whatever becomes of the request, what the steps after it took: its place, and what it holds of its
// client's share. What outlives the request, a stream or a WebSocket, was moved out before.
func (a *admission) giveBack(ex *Exchange) error {
	defer func() {
		ex.place.Leave()
		ex.hold.Close()
	}()
	return ex.next()
}

// holdRequest counts the request among those of its client, and refuses one too many. Until its body is read and its
// answer begins, it is held.
func (a *admission) holdRequest(ex *Exchange) error {
	if ex.route.class == classHealth {
		return ex.next()
	}
	ex.hold = a.ledger.Of(holderOf(ex))
	if err := a.hold(ex, limit.Requests); err != nil {
		return err
	}
	return ex.next()
}

// holderOf is whose share a request counts against: a user's, else an address's. A request of the cloud function that
// says nothing of a user comes from where everybody's do.
func holderOf(ex *Exchange) limit.Client {
	if subject := ex.subject; subject != nil {
		return limit.User(subject.UserID)
	}
	if ex.cloud != nil {
		return limit.Crowd()
	}
	return limit.Address(ex.client)
}

// hold takes one of a kind for the client of a request.
func (a *admission) hold(ex *Exchange, kind limit.Kind) error {
	client := ex.hold.Client()
	if ex.hold.Take(kind, ex.mostHeld(client, kind)) {
		return nil
	}
	a.metrics.held.CountRefusal(kind, client)
	return &heldError{kind}
}

// mostHeld is how many of a kind a client may hold, 0 for any number. The crowd may hold a quarter of what there is, and
// never less than one client.
func (ex *Exchange) mostHeld(client limit.Client, kind limit.Kind) int {
	most := ex.snapshot.cfg.Limits.PerClient.Of(kind)
	if most == 0 || !client.IsCrowd() {
		return most
	}
	whole := ex.whole(kind)
	if whole == 0 {
		return 0
	}
	return max(most, whole/crowdShare)
}

// whole is how many of a kind there are for everybody, 0 for any number: connections are those to the route's service.
func (ex *Exchange) whole(kind limit.Kind) int {
	if kind == limit.Requests {
		return ex.snapshot.cfg.Limits.InFlight
	}
	requests, webSockets := ex.route.upstream.Capacity()
	if kind == limit.WebSockets {
		return webSockets
	}
	return requests
}
