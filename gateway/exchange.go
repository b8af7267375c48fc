package gateway

import (
	"net/netip"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/gateway/route"
)

// exchange is what we know about one request and its answer. It is pooled: nothing may keep it past the handler.
type exchange struct {
	rules    *rules // of the moment when it began
	id       string // request id
	method   string // as it came
	start    time.Time
	client   netip.Addr
	trusted  bool // the peer is in server.trusted_proxies
	target   route.RequestTarget
	decoded  [512]byte   // room for the decoded path
	route    *routeEntry // nil until matched
	body     limitedBody
	subject  *authn.Subject       // who it is from; nil: nobody in particular, or not yet known
	cloud    *authn.CloudIdentity // who WeChat Cloud Run says is calling; nil: it says nothing, or is not believed
	detail   string               // what was wrong with a request that was 400; for the log
	reason   string               // of the error table, "" when it went well
	ending   *ending              // of a body that flows on; nil: there is none
	verdicts []limit.Verdict      // of the limits that counted it
	asked    bool                 // it has walked the chain before: see expect
	inStore  bool                 // it went through the door
	hold     limit.Hold           // of what its client may hold
	place    limit.Place          // of limits.in_flight

	upstreamTime time.Duration
	attempts     int
}

// exchangeKey is the key of the exchange in a request's locals.
type exchangeKey struct{}

func exchangeOf(c *fiber.Ctx) *exchange {
	ex, _ := c.Locals(exchangeKey{}).(*exchange)
	return ex
}

func newExchanges() *sync.Pool { return &sync.Pool{New: func() any { return new(exchange) }} }

// begin opens the exchange: it names the request and finds out who is at the other end. It ends the connection when the
// body was not read to its end.
func (g *Gateway) begin(c *fiber.Ctx) error {
	asked := askedBefore(c)
	if asked != asking && strayed(c) {
		return answer.ErrInvalidRequest
	}
	ex, _ := g.exchanges.Get().(*exchange)
	*ex = exchange{rules: g.rules.Load(), method: c.Method(), start: g.deps.Now(), body: bodyOf(c), asked: asked == admitted}
	peer := peerOf(c)
	ex.trusted = ex.rules.trusts(peer)
	ex.client = g.clientOf(c, ex.rules, peer, ex.trusted)
	ex.id = g.requestID(c, ex.trusted)
	c.Locals(exchangeKey{}, ex)
	err := c.Next()
	if !ex.body.drain(c.Context().Conn()) || header.ConnectionOptions(&c.Request().Header).Contain([]byte("close")) {
		c.Response().SetConnectionClose()
	}
	g.leaveStore(ex)
	c.Context().RemoveUserValue(exchangeKey{})
	g.exchanges.Put(ex)
	return err
}

// strayed reports whether fasthttp took a part of an unread body for a request. It cannot happen while begin closes such
// connections; if it ever does, this is the line that a smuggled request does not pass.
func strayed(c *fiber.Ctx) bool {
	conn, strict := c.Context().Conn().(*listen.Conn)
	return strict && conn.Requests() != c.Context().ConnRequestNum()
}

// requestID is the client's X-Request-Id when a trusted proxy sent it, else a new one.
func (g *Gateway) requestID(c *fiber.Ctx, trusted bool) string {
	if trusted {
		if id := lastLine(c, answer.HeaderRequestID); validRequestID(id) {
			return id
		}
	}
	return answer.NewRequestID()
}

func validRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if id[i] <= 0x20 || id[i] >= 0x7f {
			return false
		}
	}
	return true
}
