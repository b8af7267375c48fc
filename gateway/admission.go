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

// priority is the place of a request when there is too much to do.
type priority uint8

const (
	priorityNormal priority = iota // a token decides
	priorityLogin                  // logins wait: who is in goes on
	priorityHealth                 // always answered, or a balancer would take away what still works
)

// unauthenticatedShare is the part of all places that those may fill who have not proved who they are, in percent.
const unauthenticatedShare = 75

// lightRequests is how many requests a client has at a time that opens a page; with more, it is the first to be refused.
const lightRequests = 8

// admission decides how much is worked on at a time: in all, for a service, and for a client.
type admission struct {
	inFlight limit.Load
	ledger   *limit.Ledger
	auth     *authn.Authn
	store    storeGate
	metrics  *metrics
	now      func() time.Time
	drain    context.Context // ends when draining begins: nobody waits any more
}

// capacityShare is the part of all places that a request may fill. A token counts only once it was verified.
func capacityShare(ex *Exchange) int64 {
	if ex.subject == nil || ex.route.priority == priorityLogin {
		return unauthenticatedShare
	}
	return 100
}

// acquirePlace takes the place of a request in limits.in_flight and at its service, once.
func (a *admission) acquirePlace(ex *Exchange) error {
	most := int64(ex.snapshot.cfg.Limits.InFlight)
	if ex.route.priority == priorityHealth || most == 0 || ex.place.IsTaken() {
		return nil
	}
	as := limit.Rank{Share: capacityShare(ex), Light: ex.hold.Requests() <= lightRequests, Upload: isUploading(ex)}
	var within bool
	if ex.place, within = a.inFlight.Enter(ex.route.adaptive, as, most); !within {
		return answer.ErrOverloaded
	}
	if as.Upload {
		ex.body.onComplete = ex.place.BodyCame
	}
	return nil
}

// isUploading reports whether a part of the request's body is still to come.
func isUploading(ex *Exchange) bool {
	return ex.conn != nil && ex.body.stream != nil && ex.conn.BodyRemaining()
}

// shed refuses at once what is too much, so that those who were let in keep their pace: over limits.in_flight in all,
// and over what the service bears. A wave of logins must not stop those who have logged in.
func (a *admission) shed(ex *Exchange) error {
	if err := a.acquirePlace(ex); err != nil {
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
	minRetryAfter = time.Second     // Retry-After of a request that is more than we or a service bear; twice that for the next one
	maxRetryAfter = 4 * time.Second // however often it was refused
)

// overloadError is a request that was more than we or a service bear, and when to come back with it.
type overloadError struct {
	error
	retryAfter time.Duration
}

func (e *overloadError) Unwrap() error { return e.error }

// pacedRefusal is the last request of a connection, when that was one too many.
type pacedRefusal struct {
	client      limit.Client
	service     *limit.Adaptive // nil: an endpoint
	allServices bool            // requests for several services were refused in turn: those for any wait
	retryAfter  time.Duration
	retryAt     time.Time // when it was to come back
}

// covers reports whether a request of the same client is the refused one, or its like, once more.
func (r pacedRefusal) covers(other pacedRefusal) bool {
	return r.allServices || r.service == other.service
}

// paceRetry makes who was refused for overload, and asks again on the same connection before Retry-After is over, wait for
// the rest of it: a refusal costs nearly as much as an answer, and thousands that ask again at once would leave no
// processor for those who were let in. Others behind the same proxy, and requests for another service, do not wait. Who
// waits holds nothing but its connection.
func (a *admission) paceRetry(ex *Exchange) error {
	a.store.release(ex) // who the platform named is known by now; an endpoint comes back to the store
	ex.place.Leave()
	conn := ex.conn
	if conn == nil || ex.route.priority == priorityHealth {
		return ex.next()
	}
	as := pacedRefusal{client: clientOf(ex), service: ex.route.adaptive, retryAfter: minRetryAfter}
	before, again := conn.Note().(pacedRefusal)
	if again = again && before.client == as.client; again && before.covers(as) {
		a.awaitRetryTime(ex, before.retryAt)
		conn.SetNote(nil)
		if subject := ex.subject; subject != nil {
			if err := a.auth.Tokens.Alive(*subject); err != nil { // who was banned meanwhile
				return err
			}
		}
	}
	err := ex.next()
	if !isOverload(err) {
		return err
	}
	if again {
		as.allServices, as.retryAfter = !before.covers(as) || before.allServices, min(2*before.retryAfter, maxRetryAfter)
	}
	as.retryAt = a.now().Add(as.retryAfter)
	conn.SetNote(as)
	return &overloadError{err, as.retryAfter}
}

// isOverload reports whether a request was more than we or a service bear.
func isOverload(err error) bool {
	return errors.Is(err, answer.ErrOverloaded) || errors.Is(err, http1.ErrOverloaded)
}

// awaitRetryTime waits until a request was to come, and begins its time then. When we stop, nobody waits any more.
func (a *admission) awaitRetryTime(ex *Exchange, until time.Time) {
	left := min(until.Sub(a.now()), maxRetryAfter)
	if left <= 0 {
		return
	}
	a.metrics.earlyRetries.Inc()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.drain.Done():
	}
	ex.start = a.now()
}

// clientLimitError is a client that holds too much at a time.
type clientLimitError struct{ kind limit.Kind }

func (e *clientLimitError) Error() string {
	return fmt.Sprintf("%v: limits.per_client.%v", answer.ErrTooManyHeld, e.kind)
}

// Is makes it the error of its row.
func (*clientLimitError) Is(target error) bool { return target == answer.ErrTooManyHeld }

// sharedCapacityDivisor is the part of the whole that all those may hold together who cannot be told apart.
const sharedCapacityDivisor = 4

// releaseCapacity gives back, whatever becomes of the request, what the steps after it took: its place, and what it holds of its
// client's share. What outlives the request, a stream or a WebSocket, was moved out before.
func (a *admission) releaseCapacity(ex *Exchange) error {
	defer func() {
		ex.place.Leave()
		ex.hold.Close()
	}()
	return ex.next()
}

// limitClient counts the request among those of its client, and refuses one too many. Until its body is read and its
// answer begins, it is held.
func (a *admission) limitClient(ex *Exchange) error {
	if ex.route.priority == priorityHealth {
		return ex.next()
	}
	ex.hold = a.ledger.Of(clientOf(ex))
	if err := a.acquireForClient(ex, limit.Requests); err != nil {
		return err
	}
	return ex.next()
}

// clientOf is whose share a request counts against: a user's, else an address's. A request of the cloud function that
// says nothing of a user comes from where everybody's do.
func clientOf(ex *Exchange) limit.Client {
	if subject := ex.subject; subject != nil {
		return limit.User(subject.UserID)
	}
	if ex.cloud != nil {
		return limit.Crowd()
	}
	return limit.Address(ex.client)
}

// acquireForClient takes one of a kind for the client of a request.
func (a *admission) acquireForClient(ex *Exchange, kind limit.Kind) error {
	client := ex.hold.Client()
	if ex.hold.Take(kind, ex.clientLimit(client, kind)) {
		return nil
	}
	a.metrics.perClient.CountRefusal(kind, client)
	return &clientLimitError{kind}
}

// clientLimit is how many of a kind a client may hold, 0 for any number. The crowd may hold a quarter of what there is, and
// never less than one client.
func (ex *Exchange) clientLimit(client limit.Client, kind limit.Kind) int {
	most := ex.snapshot.cfg.Limits.PerClient.Of(kind)
	if most == 0 || !client.IsCrowd() {
		return most
	}
	whole := ex.totalCapacity(kind)
	if whole == 0 {
		return 0
	}
	return max(most, whole/sharedCapacityDivisor)
}

// totalCapacity is how many of a kind there are for everybody, 0 for any number: connections are those to the route's service.
func (ex *Exchange) totalCapacity(kind limit.Kind) int {
	if kind == limit.Requests {
		return ex.snapshot.cfg.Limits.InFlight
	}
	requests, webSockets := ex.route.upstream.Capacity()
	if kind == limit.WebSockets {
		return webSockets
	}
	return requests
}
