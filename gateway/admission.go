package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"wxgate/authn"
	"wxgate/authn/issuer"
	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/upstream/http1"
)

// priority decides which requests are refused first under overload.
type priority uint8

const (
	priorityNormal priority = iota // depends on whether a token was verified
	priorityLogin                  // shed before requests of users who are logged in
	priorityHealth                 // never shed: a balancer would take out an instance that still works
)

// unauthenticatedShare is the share of all slots open to requests without a verified token, in percent.
const unauthenticatedShare = 75

// lightRequests is how many concurrent requests a client opening a page has; a client with more is shed first.
const lightRequests = 8

// admission limits concurrency: in total, per service and per client.
type admission struct {
	inFlight limit.Load
	ledger   *limit.Ledger
	auth     *authn.Authn
	issuers  *issuer.Set
	store    storeGate
	metrics  *metrics
	now      func() time.Time
	drain    context.Context // ends when draining begins, and with it every wait
}

// capacityShare is the share of all slots open to a request, in percent. A token counts only once it was verified.
func capacityShare(ex *Exchange) int64 {
	if ex.subject == nil && ex.caller == nil || ex.route.priority == priorityLogin {
		return unauthenticatedShare
	}
	return 100
}

// acquireSlot acquires a slot of limits.in_flight and at the service, unless the request already has one.
func (a *admission) acquireSlot(ex *Exchange) error {
	most := int64(ex.snapshot.cfg.Limits.InFlight)
	if ex.route.priority == priorityHealth || most == 0 || ex.slot.IsHeld() {
		return nil
	}
	as := limit.Priority{Share: capacityShare(ex), Light: ex.hold.Requests() <= lightRequests, Upload: isUploading(ex)}
	var exceeded limit.Bound
	if ex.slot, exceeded = a.inFlight.Acquire(ex.route.adaptive, as, most); exceeded != limit.Unbounded {
		a.metrics.perClient.CountOverload(exceeded)
		return boundError(exceeded)
	}
	if as.Upload {
		ex.body.onComplete = ex.slot.BodyComplete
	}
	return nil
}

// boundError is the refusal of a request that is too much.
type boundError limit.Bound

func (e boundError) Error() string {
	return fmt.Sprintf("%v: %v", answer.ErrOverloaded, limit.Bound(e))
}

// Is makes it match the row of answer.ErrOverloaded.
func (boundError) Is(target error) bool { return target == answer.ErrOverloaded }

// isUploading reports whether part of the request body is still to come.
func isUploading(ex *Exchange) bool {
	return ex.body.stream != nil && ex.conn.BodyRemaining()
}

// shed refuses excess requests at once, those over limits.in_flight in total and those over what the service can
// handle, so that admitted ones keep their pace. A wave of logins must not stop users who are already logged in.
func (a *admission) shed(ex *Exchange) error {
	if err := a.acquireSlot(ex); err != nil {
		return err
	}
	err := ex.next()
	service := ex.slot.Service()
	if service != nil && err == nil && ex.upstreamTime > 0 && ex.response.Status < http.StatusInternalServerError {
		service.Answered(&ex.route.baseline, ex.upstreamTime-ex.queued, a.now(), int64(ex.snapshot.cfg.Limits.InFlight))
	}
	return err
}

const (
	minRetryAfter = time.Second     // Retry-After of the first overloaded answer; doubled for each further one
	maxRetryAfter = 4 * time.Second // upper bound of the doubling
)

// overloadError is a refusal for overload, ours or the service's, with its Retry-After.
type overloadError struct {
	error
	retryAfter time.Duration
}

func (e *overloadError) Unwrap() error { return e.error }

// pacedRefusal is kept on a connection when its last request was refused for overload.
type pacedRefusal struct {
	client      limit.Client
	service     *limit.Adaptive // nil: an endpoint
	allServices bool            // requests for several services were refused in turn, so requests for any service wait
	retryAfter  time.Duration
	retryAt     time.Time // when Retry-After is over
}

// covers reports whether r also delays a request of the same client for the service of other.
func (r pacedRefusal) covers(other pacedRefusal) bool {
	return r.allServices || r.service == other.service
}

// paceRetry delays a client that was refused for overload and retries on the same connection before Retry-After is
// over, until it is: a refusal costs nearly as much as an answer, and thousands of immediate retries would starve the
// requests that were admitted. Other clients behind the same proxy, and requests for another service, do not wait. A
// waiting request holds nothing but its connection.
func (a *admission) paceRetry(ex *Exchange) error {
	a.store.release(ex) // a user named by the platform is known by now; an endpoint acquires the gate again
	ex.slot.Release()
	if ex.route.priority == priorityHealth {
		return ex.next()
	}
	as := pacedRefusal{client: clientOf(ex), service: ex.route.adaptive, retryAfter: minRetryAfter}
	note := ex.conn.Note()
	before, again := note.Load().(pacedRefusal)
	if again = again && before.client == as.client; again && before.covers(as) {
		a.awaitRetryTime(ex, before.retryAt)
		note.Store(nil)
		if alive := a.aliveLater(ex); alive != nil {
			if err := alive(); err != nil { // banned while waiting
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
	note.Store(as)
	return &overloadError{err, as.retryAfter}
}

// aliveLater returns what says why that which a request began must end, nil if it may go on; it outlives the request. It
// is nil itself for somebody unknown, whom nothing ends.
func (a *admission) aliveLater(ex *Exchange) func() error {
	switch subject, caller := ex.subject, ex.caller; {
	case subject != nil:
		return func() error { return a.auth.Tokens.Alive(*subject) }
	case caller != nil:
		return func() error { return a.issuers.Alive(caller) }
	}
	return nil
}

// isOverload reports whether a request was refused because we or the service are overloaded.
func isOverload(err error) bool {
	return errors.Is(err, answer.ErrOverloaded) || errors.Is(err, http1.ErrOverloaded)
}

// awaitRetryTime waits until retryAt and then restarts the clock of the request. When draining begins, nobody waits any
// longer.
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

// clientLimitError is the refusal of a client that has too much in progress.
type clientLimitError struct{ kind limit.Kind }

func (e *clientLimitError) Error() string {
	return fmt.Sprintf("%v: limits.per_client.%v", answer.ErrTooManyHeld, e.kind)
}

// Is makes it match the row of answer.ErrTooManyHeld.
func (*clientLimitError) Is(target error) bool { return target == answer.ErrTooManyHeld }

// sharedCapacityDivisor is the divisor of the total that yields how much clients that cannot be told apart may hold
// together.
const sharedCapacityDivisor = 4

// releaseCapacity releases, whatever the outcome, what later steps acquired: the slot of the request and its client
// quota. What outlives the request, a stream or a WebSocket, was moved out before.
func (a *admission) releaseCapacity(ex *Exchange) error {
	defer func() {
		ex.slot.Release()
		ex.hold.Close()
	}()
	return ex.next()
}

// limitClient counts the request against its client, and refuses it when the client has too many in progress. It counts
// until its body has been read and its answer begins.
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

// clientOf is the client that a request counts against: its user, or else its address. Calls of the cloud function that
// name no user all come from the same addresses, so they share one client.
func clientOf(ex *Exchange) limit.Client {
	if subject := ex.subject; subject != nil {
		return limit.User(subject.UserID)
	}
	if ex.caller != nil {
		return limit.Caller(ex.caller.ID)
	}
	if ex.cloud != nil {
		return limit.Crowd()
	}
	return limit.Address(ex.client)
}

// acquireForClient counts one more of kind against the client of a request.
func (a *admission) acquireForClient(ex *Exchange, kind limit.Kind) error {
	client := ex.hold.Client()
	if ex.hold.Take(kind, ex.clientLimit(client, kind)) {
		return nil
	}
	a.metrics.perClient.CountRefusal(kind, client)
	return &clientLimitError{kind}
}

// clientLimit is how many of kind a client may hold, 0 for any number. Clients that cannot be told apart may together
// hold a quarter of the total, and never less than a single client may.
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

// totalCapacity is how many of kind there are for all clients, 0 for any number: connections are those to the service
// of the route.
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
