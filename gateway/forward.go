package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/gateway/answer"
	"wxgate/gateway/api"
	"wxgate/gateway/compress"
	"wxgate/gateway/header"
	"wxgate/gateway/limit"
	"wxgate/gateway/push"
	"wxgate/gateway/websocket"
	"wxgate/lograte"
	"wxgate/message"
	"wxgate/tracing/span"
)

// forwarder sends requests to services and returns their answers.
type forwarder struct {
	admission *admission
	store     storeGate
	watcher   *watcher
	sockets   *websocket.Tunnels
}

// forward sends the request to the upstream of its route and returns its answer. The inbound request is never sent: a
// new one is built from what may pass, and identity is set last.
func (f *forwarder) forward(ex *Exchange) error {
	f.store.release(ex)
	if isWebSocketUpgrade(ex) {
		return f.openWebSocket(ex)
	}
	if err := f.admission.acquireForClient(ex, limit.Connections); err != nil {
		return err
	}
	if err := buildRequest(ex, &ex.outbound); err != nil {
		return err
	}
	f.watcher.watch(ex)
	exchanged, err := ex.route.upstream.Do(ex.waiting, &ex.outbound, &ex.response, userKey(ex))
	ex.recordResult(exchanged)
	if err == nil {
		relocate(ex)
		holdWhileStreaming(ex)
	}
	return err
}

// relocate puts the prefix that the route has stripped back into Location and the paths of cookies, if it is to.
func relocate(ex *Exchange) {
	r := ex.route.relocation
	if r == nil {
		return
	}
	fields := &ex.response.Fields
	for i := range fields.Len() {
		name, value := fields.Line(i)
		moved := false
		switch {
		case message.EqualFold(name, "Location"):
			value, moved = r.Location(value, ex.forwardedHost())
		case message.EqualFold(name, "Set-Cookie"):
			value, moved = r.Cookie(value)
		}
		if moved {
			fields.SetValue(i, value)
		}
	}
}

// holdWhileStreaming lets a streamed answer count for its client until it has ended.
func holdWhileStreaming(ex *Exchange) {
	if ex.response.Stream != nil {
		ex.streaming = ex.hold.Move(limit.Connections)
	}
}

// userKey is who sends a request as a number for balancing and limits, 0 for nobody. A route has users, or callers of one
// issuer.
func userKey(ex *Exchange) uint64 {
	switch {
	case ex.subject != nil:
		return uint64(ex.subject.UserID) // IDs are positive, and any bits will do
	case ex.caller != nil:
		return binary.BigEndian.Uint64(ex.caller.ID[:])
	}
	return 0
}

// checkFields refuses a request with header fields that a service could interpret differently than we do.
func checkFields(ex *Exchange) error {
	if err := header.CheckSingle(&ex.request.Fields); err != nil {
		return fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	return ex.next()
}

// buildRequest builds the outbound request. The order matters: end-to-end headers first, then the forwarding headers,
// then identity, so that nothing inbound can override it.
func buildRequest(ex *Exchange, out *message.Request) error {
	in := &ex.request
	out.Method, out.Target, out.Host = ex.method, ex.upstreamTarget(), in.Host // HTTP/1.0 may have none; the service's own is set then
	fields := &out.Fields
	ex.copyEndToEnd(&in.Fields, fields)
	ex.route.changes.Apply(fields)
	setForwarded(ex, fields)
	ex.joined = header.AppendVia(ex.joined[:0], in)
	fields.AddBytes([]byte("Via"), ex.joined)
	fields.Add(answer.HeaderRequestID, ex.id)
	setTrace(ex, fields)
	switch {
	case ex.caller != nil:
		ex.route.injectCaller(fields, ex.caller)
	case ex.subject != nil:
		if err := ex.injectIdentity(fields, ex.subject, ex.route.upstreamID); err != nil {
			return err
		}
	}
	out.Sized = in.Sized
	if ex.body.stream != nil {
		out.Body, out.Length = &ex.body, ex.body.size
	}
	return nil
}

// copyEndToEnd copies the headers meant for the service as they were written: not those of this connection (RFC 9110
// §7.6.1) or those that Connection names, none that a service could take for one that we set, and none that the route
// sets or removes.
func (ex *Exchange) copyEndToEnd(in, out *message.Fields) {
	dropped := ex.droppedClasses()
	if ex.classes&header.ClassConnection != 0 {
		ex.named = header.AppendConnectionOptions(ex.named[:0], in)
	}
	cookies := ex.classes & header.ClassCookie
	for i := range in.Len() {
		class := in.Class(i)
		name, value := in.Line(i)
		if class&dropped != 0 || ex.named.Contain(name) || ex.route.changes.Hold(name) {
			continue
		}
		switch {
		case class&header.ClassMaxForwards != 0:
			if hops, counted := maxForwards(ex.method, name, value); counted {
				value = strconv.AppendUint(nil, hops-1, 10)
			}
		case class&header.ClassCookie != 0 && cookies == 0:
			continue // with the first one
		case class&header.ClassCookie != 0:
			ex.joined = header.AppendCookies(ex.joined[:0], in, withheldCookies(ex))
			if value, cookies = ex.joined, 0; len(value) == 0 && len(withheldCookies(ex)) > 0 {
				continue
			}
		case class&header.ClassSubprotocols != 0:
			if ex.subprotocol == "" {
				addSubprotocols(ex, in, out)
			}
			continue
		}
		out.AddBytes(name, value)
	}
}

// droppedClasses are the classes of fields that the service does not get from the client.
func (ex *Exchange) droppedClasses() header.Class {
	dropped := header.ClassHopByHop | header.ClassOwned | header.ClassIdentity
	if !ex.trusted {
		dropped |= header.ClassForwarding
	}
	if !ex.snapshot.cfg.Identity.ForwardAuthorization {
		dropped |= header.ClassAuthorization | header.ClassToken
	}
	if ex.trace.Ours || !ex.trace.Span.IsValid() {
		dropped |= header.ClassTrace
	}
	return dropped
}

// setTrace tells a service of which trace its request is a part, unless the route sets or removes that. Without a collector
// it is what the client has said.
func setTrace(ex *Exchange, fields *message.Fields) {
	if ex.trace.Ours && !ex.route.changes.Hold([]byte(span.HeaderParent)) {
		ex.joined = span.AppendFields(fields, ex.trace.Span, ex.joined[:0])
	}
}

// upstreamTarget is the request target for the service: the bytes as received, unless the route rewrites them.
func (ex *Exchange) upstreamTarget() []byte {
	if ex.route.rewrite == nil {
		return ex.target.Raw
	}
	return ex.route.rewrite.Apply(ex.target.Raw)
}

// orders asks the service of virtual payment, for the user of a request.
type orders struct {
	*pipeline

	ex  *Exchange
	cfg wechat.VirtualPaymentConfig
}

// newPayment is how the user of a request to sign is to pay; nil: not by virtual payment.
func newPayment(p *pipeline, ex *Exchange) *api.Payment {
	cfg, sells := ex.snapshot.cfg.VirtualPayments[ex.subject.AppID]
	if !sells {
		return nil
	}
	return &api.Payment{Config: cfg, Ask: orders{p, ex, cfg}.ask}
}

// paidOrders asks WeChat about orders of virtual payment.
type paidOrders struct{ *pipeline }

// pathQueryOrder is the API that knows what was paid.
const pathQueryOrder = "/xpay/query_order"

// Paid reports whether WeChat knows an order of a user as paid, or as delivered after that.
func (o paidOrders) Paid(ctx context.Context, appID string, order push.Order) (bool, error) {
	body, err := json.Marshal(map[string]any{"openid": order.OpenID, "env": order.Env, "order_id": order.OutTradeNo})
	if err != nil {
		return false, fmt.Errorf("asking about an order: %w", err)
	}
	call, signed, err := o.snapshot.Load().cfg.VirtualPayments[appID].SignCall(pathQueryOrder, body)
	weChat := o.deps.WeChat[appID]
	if err != nil || !signed || weChat == nil {
		o.observer.limitedLog.Warn(lograte.Kind{Message: "WeChat cannot be asked about an order: wechat.virtual_payment has no AppKey for it"}, "appid", appID)
		return false, nil
	}
	query := url.Values{}
	call.AddTo(query, "")
	said, err := weChat.Call(ctx, http.MethodPost, pathQueryOrder, query, body, "application/json")
	if err != nil {
		return false, authn.WeChatFailure(err)
	}
	var found struct {
		Order struct {
			Status int `json:"status"` // 2 paid, 3 being delivered, 4 delivered
		} `json:"order"`
	}
	known := said.Errcode == wechat.CodeOK && json.Unmarshal(said.Body, &found) == nil
	return known && found.Order.Status >= 2 && found.Order.Status <= 4, nil
}

// maxOrderAnswer bounds what a service says of an order, in bytes.
const maxOrderAnswer = 64 << 10

// ask asks the service what an order is, and returns its answer. From then on the request must not need the store, which may be
// handed over meanwhile.
func (o orders) ask(ctx context.Context, order []byte) ([]byte, error) {
	ex, cfg := o.ex, o.cfg
	o.store.release(ex)
	if err := buildOrderRequest(ex, &ex.outbound, cfg, order); err != nil {
		return nil, err
	}
	var resp message.Response
	exchanged, err := ex.snapshot.upstreams[cfg.Upstream].Do(ctx, &ex.outbound, &resp, userKey(ex))
	ex.recordResult(exchanged)
	if err != nil {
		return nil, err
	}
	defer resp.Reset()
	switch status := resp.Status; {
	case status >= 400 && status < 500:
		o.observer.limitedLog.Warn(lograte.Kind{Message: "an order was refused", Upstream: cfg.Upstream}, "status", status, "request_id", ex.id)
		return nil, answer.ErrOrderRefused
	case status < 200 || status > 299:
		return nil, fmt.Errorf("%w: it answered %d", answer.ErrOrderFailed, status)
	}
	said, err := resp.Whole(maxOrderAnswer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", answer.ErrOrderFailed, err)
	}
	return said, nil
}

// buildOrderRequest makes the request about an order, which says who asks as a forwarded one does. Its Idempotency-Key is
// the same each time that this user asks for this order.
func buildOrderRequest(ex *Exchange, out *message.Request, cfg wechat.VirtualPaymentConfig, order []byte) error {
	out.Method, out.Target, out.Content = http.MethodPost, []byte(cfg.Path), order
	in, fields := &ex.request.Fields, &out.Fields
	passed := header.Class(0)
	if ex.snapshot.cfg.Identity.ForwardAuthorization {
		passed = header.ClassAuthorization | header.ClassToken
	}
	for i := range in.Len() {
		if in.Class(i)&passed != 0 {
			fields.AddBytes(in.Line(i))
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s", ex.subject.UserID, order))
	fields.Add("Content-Type", "application/json")
	fields.Add("Accept", "application/json")
	fields.Add("Idempotency-Key", "order-"+hex.EncodeToString(sum[:]))
	setForwarded(ex, fields)
	fields.Add(answer.HeaderRequestID, ex.id)
	setTrace(ex, fields)
	return ex.injectIdentity(fields, ex.subject, cfg.Upstream)
}

// answerChanger changes what services answer, as their routes want it.
type answerChanger struct {
	compressor *compress.Compressor
	pressure   *limit.Pressure
	now        func() time.Time
}

// change sets and removes the headers of an answer that is no refusal of ours, and compresses it. It is the service's
// word that a route corrects; refusals say themselves that nobody may store them.
func (a *answerChanger) change(ex *Exchange) error {
	if err := ex.next(); err != nil || ex.outcome != answered || ex.response.Upgrade != "" {
		return err
	}
	ex.route.answerChanges.Apply(&ex.response)
	if ex.route.compress {
		a.compressor.Apply(&ex.request.Fields, &ex.response, func() bool {
			return a.pressure.High(a.now(), ex.snapshot.cfg.Limits.InFlight)
		})
	}
	return nil
}
