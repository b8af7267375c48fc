package gateway

import (
	"fmt"

	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
)

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
func (*Gateway) giveBack(ex *Exchange) error {
	defer func() {
		ex.place.Leave()
		ex.hold.Close()
	}()
	return ex.next()
}

// holdRequest counts the request among those of its client, and refuses one too many. Until its body is read and its
// answer begins, it is held.
func (g *Gateway) holdRequest(ex *Exchange) error {
	if ex.route.class == classHealth {
		return ex.next()
	}
	ex.hold = g.ledger.Of(holderOf(ex))
	if err := g.hold(ex, limit.Requests); err != nil {
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
func (g *Gateway) hold(ex *Exchange, kind limit.Kind) error {
	client := ex.hold.Client()
	if ex.hold.Take(kind, ex.mostHeld(client, kind)) {
		return nil
	}
	g.metrics.held.CountRefusal(kind, client)
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
