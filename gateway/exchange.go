package gateway

import (
	"context"
	"net/netip"
	"time"
	"unsafe"

	"wxgate/authn"
	"wxgate/authn/issuer"
	"wxgate/gateway/answer"
	"wxgate/gateway/api"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/gateway/pay"
	"wxgate/gateway/quota"
	"wxgate/gateway/route"
	"wxgate/gateway/websocket"
	"wxgate/message"
	"wxgate/tracing"
	"wxgate/upstream"
)

// Exchange is one request and its answer in the chain: what was received, what is known of it so far, and what will be
// sent. It is pooled: nothing may keep it past the end of its answer.
type Exchange struct {
	request  message.Request
	response message.Response
	ctx      context.Context // of the work done for the request
	conn     connection      // that it came on
	whole    *listen.Conn    // the same, if the exchange has it for itself; nil: it came on a stream
	outbound message.Request // to a service
	joined   []byte          // a field of it that is made of several
	named    header.Names    // fields that Connection names
	waiting  *clientContext  // of the service's work

	steps   []Step // still to run
	outcome outcome
	ids     *answer.RequestIDs

	observed   bool      // it counts as in flight
	series     *series   // that its answer is counted in
	answeredAt time.Time // when the head of the answer was decided
	snapshot   *snapshot // the configuration in force when it began
	id         string    // request ID
	trace      tracing.Request
	method     string // after X-HTTP-Method-Override
	start      time.Time
	peer       netip.Addr   // the remote address of the connection
	peerText   string       // as text, "" if it is not known
	classes    header.Class // of all fields of the request

	cookiesRefused bool       // a token in a cookie does not count, because of the page that sent it
	subprotocol    string     // that stands for the token in the offer of a WebSocket; "": none does
	client         netip.Addr // the peer, or the client that a trusted proxy names
	trusted        bool       // the peer is in server.trusted_proxies, or ingress
	ingress        bool       // the peer is in server.wechat_gateway
	target         route.RequestTarget
	decoded        []byte      // room for the decoded path
	route          *routeEntry // nil until matched
	body           limitedBody
	subject        *authn.Subject       // its user; nil: none, or not yet known
	caller         *issuer.Caller       // who it is by the token of another issuer; nil: nobody, or not yet known
	cloud          *authn.CloudIdentity // the caller according to WeChat Cloud Run; nil: none, or not believed
	cloudSource    string               // what X-WX-SOURCE says, such as wx_client or wx_client,scf; "": nothing, or it is not believed
	cloudApp       string               // the mini-program that it is for; "": it is not said
	signature      pay.Signature        // of a notification of WeChat Pay whose header was judged
	proof          string               // that the gateway has the token of whoever asks what it would do; "": nobody asks
	call           api.Call             // for one of our own endpoints
	detail         string               // what is wrong with the request of a 400, for the log
	reason         string               // of the error table, "" on success
	refused        int                  // the status of a refusal, whatever status its answer has; 0: none
	decisions      []limit.Decision     // of the rate limits that counted it
	quota          quota.Count          // of its user, with this request; the zero value: it was not counted
	inGate         bool                 // it holds the gate of the store
	hold           limit.Hold           // on the quota of its client
	streaming      limit.Hold           // on that quota, while the answer is streamed
	slot           limit.Slot           // of limits.in_flight
	tunnel         *websocket.Tunnel    // that begins after the answer; nil: none does
	partial        []byte               // the request as it was received, for the process that answers it

	upstreamTime time.Duration
	queued       time.Duration // of it: see upstream.Result
	attempts     int
}

// connection is what a request comes on: a connection of HTTP/1.1, or a stream of HTTP/2 or HTTP/3.
type connection interface {
	// ReadRequest makes req the request that has come.
	ReadRequest(req *message.Request)
	// WriteResponse answers it, and returns the bytes of the body that were written.
	WriteResponse(resp *message.Response) (bytes int64, err error)
	// BodyRemaining reports whether a part of the body has not arrived yet, or cannot.
	BodyRemaining() bool
	// Peer returns the address of the client.
	Peer() (peer netip.Addr, text string)
	// PeerGone reports whether the client has left.
	PeerGone() bool
	// Note is what requests on the same connection leave for those that follow.
	Note() *listen.Note
}

// Step is one step of the chain. It works on the exchange and calls next, or ends it: with an error, which is a failure
// and maps to its row of the error table, or by returning without calling next, when the answer is complete.
type Step func(*Exchange) error

// outcome is how an exchange ended that did not fail.
type outcome uint8

const (
	answered   outcome = iota // the response is the answer
	abandoned                 // the client has left: there is nobody to answer
	handedOver                // another process answers
)

// decodedBytes is the length of the paths that are decoded without allocating.
const decodedBytes = 512

func newExchange() any {
	ex := &Exchange{waiting: new(clientContext), ids: new(answer.RequestIDs), decoded: make([]byte, decodedBytes)}
	ex.response.Reset()
	return ex
}

// reset empties an exchange and keeps its memory.
func (ex *Exchange) reset() {
	ex.request.Reset()
	ex.response.Reset()
	ex.outbound.Reset()
	*ex = Exchange{request: ex.request, response: ex.response, outbound: ex.outbound, joined: ex.joined[:0], named: ex.named[:0], waiting: ex.waiting, ids: ex.ids, decoded: ex.decoded, decisions: ex.decisions[:0]}
}

// next runs the remaining steps.
func (ex *Exchange) next() error {
	step := ex.steps[0]
	ex.steps = ex.steps[1:]
	return step(ex)
}

// header is the first value of a header, in the memory of the request; "" when there is none.
func (ex *Exchange) header(name string) string {
	value := ex.request.Fields.Get(name)
	return unsafe.String(unsafe.SliceData(value), len(value))
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

// answers is how our answers to this request look.
func (ex *Exchange) answers() *answer.Shape {
	if ex.route == nil || ex.route.answers == nil {
		return ex.snapshot.answers
	}
	return ex.route.answers
}

// keepsStatus reports whether whoever sent the request goes by the status alone: WeChat, and whatever opens a WebSocket.
func (ex *Exchange) keepsStatus() bool {
	return ex.route != nil && ex.route.keepStatus || ex.classes&header.ClassUpgrade != 0
}

// recordResult records how long the service took, and how long sending waited for the client.
func (ex *Exchange) recordResult(with upstream.Result) {
	ex.upstreamTime, ex.queued, ex.attempts = with.Duration, with.Queued, with.Attempts
	ex.body.clientWait += with.Waited
}

// openExchange sets the request ID, determines the client and begins the span of the request.
func (p *pipeline) openExchange(ex *Exchange) error {
	ex.snapshot, ex.start, ex.ctx = p.snapshot.Load(), p.deps.Now(), context.Background()
	ex.classes = ex.request.Fields.Classify(ex.snapshot.reserved.classOf)
	ex.peer, ex.peerText = ex.conn.Peer()
	ex.trusted, ex.ingress = ex.snapshot.trustsPeer(ex.peer), ex.snapshot.isWeChatGateway(ex.peer)
	ex.client = p.clients.resolveClient(ex)
	ex.id = ex.requestID()
	p.observer.openTrace(ex)
	err := ex.next()
	p.store.release(ex)
	return err
}

// requestID is the X-Request-Id of a trusted proxy, or a new one.
func (ex *Exchange) requestID() string {
	if ex.trusted {
		if id := lastValue(&ex.request.Fields, answer.HeaderRequestID); validRequestID(id) {
			return id
		}
	}
	return ex.ids.Next()
}

func validRequestID(id string) bool { return id != "" && len(id) <= 128 && isVisibleASCII(id) }
