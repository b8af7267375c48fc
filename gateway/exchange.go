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

// Exchange is one request and its answer on their way through the chain: what came, what is known of it so far, and what
// goes out. It is pooled: nothing may keep it past its last step.
type Exchange struct {
	request  *fasthttp.Request
	response *fasthttp.Response
	ctx      context.Context      // of the work that is done for it
	conn     *listen.Conn         // that it came by; nil: none of ours
	server   *fasthttp.RequestCtx // that read it
	hijacks  *listen.Hijacks      // of the connections that were taken from the server

	steps    []Step // that are still to come
	outcome  outcome
	pass     pass      // of the two that a request which expects 100-continue makes
	precheck *precheck // what the first pass leaves for the second; nil: there was none

	snapshot       *snapshot // the configuration of the moment when it began
	id             string    // request id
	method         string    // that it is decided by
	receivedMethod string    // the method as it came, which an override replaces
	start          time.Time
	peer           netip.Addr // the other end of the connection
	client         netip.Addr // who that is, or speaks for
	trusted        bool       // the peer is in server.trusted_proxies
	target         route.RequestTarget
	decoded        [512]byte   // room for the decoded path
	route          *routeEntry // nil until matched
	body           limitedBody
	subject        *authn.Subject       // who it is from; nil: nobody in particular, or not yet known
	cloud          *authn.CloudIdentity // who WeChat Cloud Run says is calling; nil: it says nothing, or is not believed
	call           api.Call             // for an endpoint of ours
	detail         string               // what was wrong with a request that was 400; for the log
	reason         string               // of the error table, "" when it went well
	streamed       *streamedBody        // of a body that flows on; nil: there is none
	decisions      []limit.Decision     // of the limits that counted it
	inGate         bool                 // it was let through the gate
	hold           limit.Hold           // of what its client may hold
	place          limit.Place          // of limits.in_flight

	upstreamTime time.Duration
	attempts     int
}

// Step is one step of the chain. It decides on the exchange and calls next, or ends it: by an error, which is a failure
// and becomes its row of the error table, or by returning without calling next, when it has been answered.
type Step func(*Exchange) error

// outcome is how an exchange ends that did not fail.
type outcome uint8

const (
	answered   outcome = iota // the response is the answer
	continued                 // the first pass ends: the client may send the body
	handedOver                // another process answers
)

// pass is which of the passes through the chain a request is on. One that expects 100-continue makes two.
type pass uint8

const (
	singlePass    pass = iota // it expects nothing
	precheckPass              // the chain answers its expectation
	afterPrecheck             // it was told to go on, and comes with its body
)

// precheck is what the first pass of a request leaves for the second.
type precheck struct {
	headAt     time.Time      // when its head came
	prefetched *authn.Subject // whom the code of a pre-fetch named, which is spent by then
}

// precheckKey is the key of a request's precheck in its user values.
type precheckKey struct{}

func newExchanges() *sync.Pool { return &sync.Pool{New: func() any { return new(Exchange) }} }

// next takes the exchange through the steps that are left.
func (ex *Exchange) next() error {
	step := ex.steps[0]
	ex.steps = ex.steps[1:]
	return step(ex)
}

// header is the first value of a header, in the request's own memory; "" when there is none.
func (ex *Exchange) header(name string) string {
	value := ex.request.Header.Peek(name)
	return unsafe.String(unsafe.SliceData(value), len(value))
}

// headReceivedAt is when the head of the request came: what was signed then holds, however long the body takes.
func (ex *Exchange) headReceivedAt() time.Time {
	if ex.precheck != nil {
		return ex.precheck.headAt
	}
	return ex.start
}

// routeLabel is the route's pattern, the label of metrics and logs.
func (ex *Exchange) routeLabel() string {
	if ex.route == nil {
		return unmatchedRoute
	}
	return ex.route.pattern
}

// upstreamName is the name of the route's upstream, "" for an endpoint of ours.
func (ex *Exchange) upstreamName() string {
	if ex.route == nil {
		return ""
	}
	return ex.route.upstreamID
}

// timeoutContext is the context of work that is done for the request here. It does not end when a shutdown begins: a login that is
// under way must not.
func (ex *Exchange) timeoutContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(ex.ctx, ex.snapshot.cfg.Server.Timeouts.Request)
}

// recordResult records how long the service took, and how long its client.
func (ex *Exchange) recordResult(with upstream.Result) {
	ex.upstreamTime, ex.attempts = with.Duration, with.Attempts
	ex.body.clientWait += with.Waited
}

// hijack makes run the owner of the connection once the answer is written; the connection is closed when run returns. lost
// is called instead when the connection is gone before.
func (ex *Exchange) hijack(run func(net.Conn), lost func()) {
	ex.hijacks.Begin(ex.server, run, lost)
}

// hijackWithoutResponse ends an exchange without an answer of the server: run, called as by hijack, writes what there is to write.
func (ex *Exchange) hijackWithoutResponse(run func(net.Conn), lost func()) {
	ex.server.HijackSetNoResponse(true)
	ex.hijack(run, lost)
}

// openExchange opens the exchange: it names the request and finds out who is at the other end. It ends the connection when the
// body was not read to its end.
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

// requestID is the client's X-Request-Id when a trusted proxy sent it, else a new one.
func (ex *Exchange) requestID() string {
	if ex.trusted {
		if id := lastValue(&ex.request.Header, answer.HeaderRequestID); validRequestID(id) {
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
