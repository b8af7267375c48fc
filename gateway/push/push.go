// Package push receives the messages that WeChat pushes (消息推送), delivers each to a service once, as plain JSON, and answers
// WeChat with what the service says.
package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
	"wxgate/gateway/answer"
	"wxgate/gateway/once"
	"wxgate/lograte"
	"wxgate/message"
	"wxgate/tracing/span"
	"wxgate/upstream"
)

// Path is where WeChat sends messages, and where the service receives them.
const Path = "/wechat/push"

// maxMessageAge is how old a pushed message may be. What is sent again is signed again.
const maxMessageAge = 5 * time.Minute

// timestampDigits is the length of the timestamps in queries, until the year 2286.
const timestampDigits = 10

// errNotFromWeChat is a message that WeChat did not send, or not recently.
var errNotFromWeChat = fmt.Errorf("%w: the message is not WeChat's", answer.ErrInvalidRequest)

// App is a mini-program whose messages are received.
type App struct {
	ID           string       // appid
	Opens        *wechat.Push // nil: only what WeChat Cloud Run brings is received
	Upstream     string       // its name
	SealPayments bool         // answers about payments are sealed too, where messages are
}

// Apps are the mini-programs whose messages are received; none: message push is off.
type Apps []App

func (a Apps) opens() (all []*wechat.Push) {
	for _, app := range a {
		all = append(all, app.Opens)
	}
	return all
}

// Orders asks WeChat about orders of virtual payment.
type Orders interface {
	// Paid reports whether WeChat knows the order of that user as paid.
	Paid(ctx context.Context, appID string, order Order) (bool, error)
}

// Order is an order of virtual payment.
type Order struct {
	OpenID     string
	OutTradeNo string
	Env        int // 0: production, 1: sandbox
}

// Receiver verifies, decrypts and delivers messages. It is safe for concurrent use.
type Receiver struct {
	store      Store // may be nil
	deliveries *once.Deliveries
	acted      *once.Deliveries // what the gateway has done itself
	people     People           // nil: it does nothing
	orders     Orders           // nil: nobody can be asked
	log        *lograte.Log
	now        func() time.Time
}

// NewReceiver returns a receiver that has delivered what store knows of; nil: nothing.
func NewReceiver(store Store, people People, orders Orders, reg prometheus.Registerer, log *slog.Logger, now func() time.Time) *Receiver {
	repeated := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "wxgate_push_repeated_total", Help: "Pushed messages that came again and were not delivered again.",
	})
	reg.MustRegister(repeated)
	return &Receiver{
		store: store, deliveries: once.New(store, "push", repeated, now),
		acted:  once.New(store, "push act", prometheus.NewCounter(prometheus.CounterOpts{Name: "repeated"}), now), // which counts for nobody
		people: people, orders: orders, log: lograte.New(log, now), now: now,
	}
}

// Message is a verified and decrypted message of WeChat.
type Message struct {
	app    App
	json   []byte
	inXML  bool   // it came in XML, and so does the answer go
	sealed bool   // the answer too is sealed
	proven bool   // WeChat vouches for its content, not only for the time of a request
	proof  string // the signature of a message that is not proven
	event  event
}

// Upstream is the name of the service that gets the message.
func (m Message) Upstream() string { return m.app.Upstream }

// Format writes the length for every verb: the message holds an openid and what a person wrote.
func (m Message) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "a message of %d bytes", len(m.json))
}

// Echo is the answer to the GET with which WeChat verifies the address: for one of the mini-programs the signature in the raw
// query must fit.
func (r *Receiver) Echo(ctx context.Context, apps Apps, query string) (string, error) {
	values, err := r.parseFreshQuery(query)
	if err != nil {
		return "", err
	}
	for _, app := range apps {
		if app.Opens == nil {
			continue
		}
		if echo, err := app.Opens.Echo(values); err == nil && r.proves(ctx, app, values.Get("signature"), "the check of the address") {
			return echo, nil
		}
	}
	return "", errNotFromWeChat
}

// Check refuses the raw query of a POST before any of its body is read, as far as its signature can be told by then: in safe mode it
// covers the body.
func (r *Receiver) Check(apps Apps, query string) error {
	_, _, err := r.signers(apps, query)
	return err
}

// signers parses a raw query, and returns the mini-programs by which it may be signed, of which there is one at least.
func (r *Receiver) signers(apps Apps, query string) (values url.Values, may Apps, err error) {
	if values, err = r.parseFreshQuery(query); err != nil {
		return nil, nil, err
	}
	for _, app := range apps {
		if app.Opens != nil && app.Opens.Check(values) == nil {
			may = append(may, app)
		}
	}
	if len(may) == 0 {
		return nil, nil, errNotFromWeChat
	}
	return values, may, nil
}

// Open reads the message of a POST. As far as it can be, the signature in the raw query is verified before any of the body is
// read.
func (r *Receiver) Open(apps Apps, query string, body io.Reader) (Message, error) {
	values, may, err := r.signers(apps, query)
	if err != nil {
		return Message{}, err
	}
	received, err := io.ReadAll(body)
	if err != nil {
		return Message{}, err
	}
	of, opened, err := wechat.OpenPush(may.opens(), values, received)
	if err != nil {
		return Message{}, errNotFromWeChat
	}
	m, err := newMessage(may[of], opened, may[of].Opens.Sealed())
	m.proof = values.Get("signature")
	if err == nil && m.sealed && r.isOld(m) || !m.sealed && r.mayBeCutAnew(values.Get("timestamp"), values.Get("nonce")) {
		return Message{}, errNotFromWeChat
	}
	return m, err
}

// Timestamp and nonce stand in the signature one after the other, in the order of their bytes. So whoever has seen an address may
// exchange them, or cut their digits elsewhere, and it is good again when the clock comes to what is the timestamp then.

// isOld reports whether a message, as it says itself, is older than what is remembered of deliveries.
func (r *Receiver) isOld(m Message) bool {
	seconds, err := strconv.ParseInt(m.event.text("CreateTime"), 10, 64)
	return err == nil && r.now().Sub(time.Unix(seconds, 0)) > once.RememberFor
}

// mayBeCutAnew reports whether the digits of a timestamp and a nonce could be those of another pair, of the past year, which nobody
// signs for in plain mode. One in a hundred of WeChat's is; the next attempt has another.
func (r *Receiver) mayBeCutAnew(timestamp, nonce string) bool {
	joined := min(timestamp, nonce) + max(timestamp, nonce)
	for _, at := range []int{timestampDigits, len(joined) - timestampDigits} {
		for _, part := range []string{joined[:at], joined[at:]} {
			if part != timestamp && len(part) == timestampDigits && r.isPast(part) {
				return true
			}
		}
	}
	return false
}

// isPast reports whether a text is a timestamp of the past year.
func (r *Receiver) isPast(timestamp string) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	age := r.now().Sub(time.Unix(seconds, 0))
	return err == nil && age > -maxMessageAge && age < 366*24*time.Hour
}

// proves reports whether a signature is of that alone. In plain mode it covers no message.
func (r *Receiver) proves(ctx context.Context, app App, signature, what string) bool {
	return app.Opens.Sealed() || r.deliveries.Bind(ctx, app.ID+" "+signature, what, 2*maxMessageAge)
}

// OpenUnsigned reads a message of WeChat Cloud Run, which nobody signs, for a mini-program that has no Token. appID is empty where it
// is not said. The check of a container is no message: then there is none, and the answer is success. That a message came from
// within WeChat does not prove what it says.
func (r *Receiver) OpenUnsigned(apps Apps, appID string, body io.Reader) (m Message, check bool, err error) {
	received, err := io.ReadAll(body)
	if err != nil {
		return Message{}, false, err
	}
	plain, err := wechat.NewMessage(received)
	if err != nil {
		return Message{}, false, errNotFromWeChat
	}
	unsigned := slices.DeleteFunc(slices.Clone(apps), func(app App) bool { return app.Opens != nil || appID != "" && app.ID != appID })
	if len(unsigned) == 0 {
		return Message{}, false, errNotFromWeChat
	}
	m, err = newMessage(unsigned[0], plain, false)
	if check = m.event.text("action") == "CheckContainerPath"; !check && len(unsigned) > 1 {
		return Message{}, false, errNotFromWeChat // nobody says of which
	}
	return m, check, err
}

func newMessage(app App, opened wechat.Message, sealed bool) (Message, error) {
	m := Message{app: app, json: opened.Body, sealed: sealed, proven: sealed}
	if !strings.Contains(opened.ContentType, "json") {
		text, err := jsonOf(opened.Body)
		if err != nil {
			return Message{}, err
		}
		m.json, m.inXML = text, true
	}
	var clear bool
	if m.event, clear = eventOf(m.json); !clear && !sealed {
		return Message{}, errNotFromWeChat
	}
	return m, nil
}

// parseFreshQuery parses a signed query and refuses one whose timestamp is not recent: the signature alone is valid for
// ever.
func (r *Receiver) parseFreshQuery(query string) (url.Values, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errNotFromWeChat
	}
	timestamp := values.Get("timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	age := r.now().Sub(time.Unix(seconds, 0))
	if err != nil || len(timestamp) != timestampDigits || age > maxMessageAge || age < -maxMessageAge {
		return nil, errNotFromWeChat
	}
	return values, nil
}

// Deliver sends a message to a service, unless it was delivered before, and returns what to answer: what the service answered,
// then or now. A service that does not accept the message is an error: WeChat will send it again. ctx has a deadline, within
// m.Budget.
func (r *Receiver) Deliver(ctx context.Context, m Message, to *upstream.Upstream, requestID string) (Reply, error) {
	key := m.app.ID + " " + m.event.key()
	if m.app.Opens != nil && !r.proves(ctx, m.app, m.proof, key) {
		return Reply{}, errNotFromWeChat // of a message that was seen on its way
	}
	if !m.proven && m.event.erases() {
		if r.store == nil {
			return Reply{}, answer.ErrPushRefused
		}
		if err := r.postpone(ctx, m); err != nil {
			return Reply{}, err
		}
		return m.reply(nil, r.now())
	}
	said, err := r.deliveries.Deliver(ctx, key, func(ctx context.Context, repeat bool) ([]byte, error) {
		if err := r.confirm(ctx, m); err != nil {
			return nil, err
		}
		if err := r.act(ctx, m, key); err != nil {
			return nil, err
		}
		return r.send(ctx, m, to, requestID, repeat)
	})
	if undone, ok := errors.AsType[notDone](err); ok {
		said, err = undone.answer, nil
	}
	if errors.Is(err, once.ErrUnderWay) {
		return Reply{}, fmt.Errorf("%w: an earlier attempt still waits for the service", answer.ErrPushRefused)
	}
	if err != nil {
		return Reply{}, err
	}
	return m.reply(said, r.now())
}

// confirm refuses an event about money for which WeChat does not vouch: in plain mode the signature does not cover the body, so
// that whoever has seen one URL can write any. What was paid is asked of WeChat.
func (r *Receiver) confirm(ctx context.Context, m Message) error {
	if m.proven || !m.event.pays() {
		return nil
	}
	refused := fmt.Errorf("%w: an event about money, in plain mode", answer.ErrPushRefused)
	order, known := m.event.order()
	if !known || r.orders == nil {
		r.log.Warn(lograte.Kind{Message: "an event about money is refused, because message push is in plain mode (明文模式)", Reason: "plain"}, "appid", m.app.ID)
		return refused
	}
	paid, err := r.orders.Paid(ctx, m.app.ID, order)
	if err != nil {
		return err
	}
	if !paid {
		r.log.Warn(lograte.Kind{Message: "an event about money is refused: WeChat does not know the order as paid", Reason: "unpaid"}, "appid", m.app.ID)
		return refused
	}
	return nil
}

// send sends a message once. An answer of virtual payment that says that it is not done is notDone.
func (r *Receiver) send(ctx context.Context, m Message, to *upstream.Upstream, requestID string, repeat bool) ([]byte, error) {
	req := message.Request{Method: http.MethodPost, Target: []byte(Path), Content: m.json}
	req.Fields.Add("Content-Type", "application/json")
	req.Fields.Add(answer.HeaderRequestID, requestID)
	span.Inject(ctx, &req.Fields)
	once.Label(&req.Fields, m.app.ID, once.Key(m.app.ID+" "+m.event.key()), repeat)
	var resp message.Response
	if _, err := to.Do(ctx, &req, &resp, 0); err != nil {
		return nil, err
	}
	defer resp.Reset()
	if status := resp.Status; status < 200 || status > 299 {
		return nil, fmt.Errorf("%w: the service answered %d to a pushed message", answer.ErrPushRefused, status)
	}
	said, err := readAnswer(&resp)
	if err == nil {
		err = m.judge(said)
	}
	switch {
	case errors.Is(err, errNotUnderstood) && !m.event.pays():
		r.log.Warn(lograte.Kind{Message: "WeChat gets success instead of what a service answered to a pushed message", Reason: "answer"}, "error", err)
		return nil, nil
	case errors.Is(err, errNotUnderstood):
		return nil, fmt.Errorf("%w: %w", answer.ErrPushRefused, err)
	case err != nil:
		return nil, err
	}
	return said, nil
}
