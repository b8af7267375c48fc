package gateway

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/gateway/api"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/gateway/route"
	"wxgate/upstream"
)

// Exchange is one request and its answer in the chain: what was received, what is known of it so far, and what will be
// sent. It is pooled: nothing may keep it past its last step.
type Exchange struct {
	request  *fasthttp.Request
	response *fasthttp.Response
	ctx      context.Context      // of the work done for the request
	conn     *listen.Conn         // its connection; nil: not one of ours
	server   *fasthttp.RequestCtx // that received it
	hijacks  *listen.Hijacks      // connections taken over from the server

	steps    []Step // still to run
	outcome  outcome
	pass     pass      // which of the two passes of a request that expects 100-continue
	precheck *precheck // what the precheck found; nil: there was none

	snapshot       *snapshot // the configuration in force when it began
	id             string    // request ID
	method         string    // after X-HTTP-Method-Override
	receivedMethod string    // before it
	start          time.Time
	peer           netip.Addr // the remote address of the connection
	client         netip.Addr // the peer, or the client that a trusted proxy names
	trusted        bool       // the peer is in server.trusted_proxies
	target         route.RequestTarget
	decoded        [512]byte   // room for the decoded path
	route          *routeEntry // nil until matched
	body           limitedBody
	subject        *authn.Subject       // its user; nil: none, or not yet known
	cloud          *authn.CloudIdentity // the caller according to WeChat Cloud Run; nil: none, or not believed
	call           api.Call             // for one of our own endpoints
	detail         string               // what is wrong with the request of a 400, for the log
	reason         string               // of the error table, "" on success
	streamed       *streamedBody        // the rest of the answer, if it outlives its handler; nil: there is none
	decisions      []limit.Decision     // of the rate limits that counted it
	inGate         bool                 // it holds the gate of the store
	hold           limit.Hold           // on the quota of its client
	slot           limit.Slot           // of limits.in_flight

	upstreamTime time.Duration
	attempts     int
}

// Step is one step of the chain. It works on the exchange and calls next, or ends it: with an error, which is a failure
// and maps to its row of the error table, or by returning without calling next, when the answer is complete.
type Step func(*Exchange) error

// outcome is how an exchange ended that did not fail.
type outcome uint8

const (
	answered   outcome = iota // the response is the answer
	continued                 // the precheck passed: the client may send the body
	handedOver                // another process answers
)

// pass is which pass of the chain an exchange is on. A request that expects 100-continue makes two.
type pass uint8

const (
	singlePass    pass = iota // it expects no 100-continue
	precheckPass              // decides on its expectation, before the body
	afterPrecheck             // with its body
)

// precheck is what the precheck of a request leaves for the pass after it.
type precheck struct {
	headAt     time.Time      // when its head was received
	prefetched *authn.Subject // the user of a pre-fetch code, which is spent by then
}

// precheckKey is the key of a request's precheck in its user values.
type precheckKey struct{}

func newExchanges() *sync.Pool { return &sync.Pool{New: func() any { return new(Exchange) }} }

// next runs the remaining steps.
func (ex *Exchange) next() error {
	step := ex.steps[0]
	ex.steps = ex.steps[1:]
	return step(ex)
}

// header is the first value of a header, in the memory of the request; "" when there is none.
func (ex *Exchange) header(name string) string {
	value := ex.request.Header.Peek(name)
	return unsafe.String(unsafe.SliceData(value), len(value))
}

// headReceivedAt is when the head of the request was received: a signature that was fresh then holds, however long the
// body takes.
func (ex *Exchange) headReceivedAt() time.Time {
	if ex.precheck != nil {
		return ex.precheck.headAt
	}
	return ex.start
}

// routeLabel is the pattern of the route, the label in metrics and logs.
func (ex *Exchange) routeLabel() string {
	if ex.route == nil {
		return unmatchedRoute
	}
	return ex.route.pattern
}

// upstreamName is the name of the route's upstream, "" for one of our own endpoints.
func (ex *Exchange) upstreamName() string {
	if ex.route == nil {
		return ""
	}
	return ex.route.upstreamID
}

// timeoutContext is the context of work done for the request in this process. It does not end when a shutdown begins: a
// login in progress must not fail.
func (ex *Exchange) timeoutContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(ex.ctx, ex.snapshot.cfg.Server.Timeouts.Request)
}

// recordResult records how long the service took, and how long sending waited for the client.
func (ex *Exchange) recordResult(with upstream.Result) {
	ex.upstreamTime, ex.attempts = with.Duration, with.Attempts
	ex.body.clientWait += with.Waited
}

// hijack makes run the owner of the connection once the answer is written; the connection is closed when run returns.
// lost is called instead if the connection is gone by then.
func (ex *Exchange) hijack(run func(net.Conn), lost func()) {
	ex.hijacks.Begin(ex.server, run, lost)
}

// hijackWithoutResponse is hijack without an answer of the server: run writes what there is to write.
func (ex *Exchange) hijackWithoutResponse(run func(net.Conn), lost func()) {
	ex.server.HijackSetNoResponse(true)
	ex.hijack(run, lost)
}

// openExchange sets the request ID and determines the client. It closes the connection when the body was not read to
// its end.
func (p *pipeline) openExchange(ex *Exchange) error {
	ex.snapshot, ex.start, ex.ctx = p.snapshot.Load(), p.deps.Now(), context.Background()
	ex.trusted = ex.snapshot.trustsPeer(ex.peer)
	ex.client = p.clients.resolveClient(ex)
	ex.id = ex.requestID()
	err := ex.next()
	if !ex.body.drain(ex.conn) || header.ConnectionOptions(&ex.request.Header).Contain([]byte("close")) {
		ex.response.SetConnectionClose()
	}
	p.store.release(ex)
	return err
}

// requestID is the X-Request-Id of a trusted proxy, or a new one.
func (ex *Exchange) requestID() string {
	if ex.trusted {
		if id := lastValue(&ex.request.Header, answer.HeaderRequestID); validRequestID(id) {
			return id
		}
	}
	return answer.NewRequestID()
}

func validRequestID(id string) bool { return id != "" && len(id) <= 128 && isVisibleASCII(id) }
