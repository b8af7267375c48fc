// Package pay receives the notifications of WeChat Pay (微信支付回调通知, API v3): it verifies whose they are, opens them, and
// delivers them to a service as plain JSON, each once. It needs no private key of a merchant.
package pay

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/gateway/answer"
	"wxgate/gateway/once"
	"wxgate/lograte"
	"wxgate/message"
	"wxgate/upstream"
	"wxgate/upstream/http1"
)

// MaxBody is the size of the largest body of a notification, in bytes. Real ones are below 4 KiB.
const MaxBody = 64 << 10

// AnswerTimeout is what receiving and delivering may take, of the 5 s after which WeChat Pay sends a notification again.
const AnswerTimeout = 4500 * time.Millisecond

// Merchant is whose notifications a route takes. It is safe for concurrent use.
type Merchant struct {
	mchID string
	seal  cipher.AEAD // of apiv3_key; nil: only WeChat Cloud Run brings notifications
	load  func() (*Keys, error)
	keys  atomic.Pointer[Keys]

	mu   sync.Mutex
	read time.Time // when the files were last read because of an unknown serial
}

// NewMerchant returns the merchant of a section, which must be valid, and of its files.
func NewMerchant(cfg Config, keys *Keys) (*Merchant, error) {
	m := &Merchant{mchID: cfg.MchID, load: func() (*Keys, error) {
		next, faults := cfg.Load()
		return next, faults.Err()
	}}
	m.keys.Store(keys)
	if cfg.APIv3Key == "" {
		return m, nil
	}
	block, err := aes.NewCipher([]byte(cfg.APIv3Key.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("apiv3_key: %w", err)
	}
	m.seal, err = cipher.NewGCM(block)
	return m, err
}

// Unsigned reports whether nobody signs what the merchant is told: WeChat Cloud Run brings it.
func (m *Merchant) Unsigned() bool { return m.seal == nil }

// rereadEvery is how often unknown serials may have the files read.
const rereadEvery = 10 * time.Second

// verifier is the key by which a serial signs, nil for an unknown one. WeChat Pay may have begun to use a key whose file is
// there already: then the files are read, instead of waiting for the reload that they cause.
func (m *Merchant) verifier(serial string, now time.Time) *rsa.PublicKey {
	if key := m.keys.Load().of(serial); key != nil {
		return key
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.read) >= rereadEvery {
		m.read = now
		if next, err := m.load(); err == nil {
			m.keys.Store(next)
		}
	}
	return m.keys.Load().of(serial)
}

// What became of a notification: the label of the metric.
const (
	outcomeDelivered     = "delivered"      // the service has accepted it
	outcomeRepeated      = "repeated"       // it was delivered before, or was being delivered
	outcomeTrial         = "trial"          // a test of WeChat's that asks only for the answer
	outcomeFailed        = "failed"         // the service did not accept it, or did not answer in time
	outcomeProbe         = "signtest"       // wrong on purpose
	outcomeMalformed     = "malformed"      // nothing that WeChat Pay sends
	outcomeStale         = "stale"          // signed too long ago
	outcomeUnknownSerial = "unknown_serial" // signed by a key that is not configured
	outcomeForged        = "forged"         // the signature is wrong
	outcomeUnopened      = "unopened"       // apiv3_key does not open it
	outcomeOtherMerchant = "other_merchant" // it is for another mchid
)

func outcomes() []string {
	return []string{
		outcomeDelivered, outcomeRepeated, outcomeTrial, outcomeFailed, outcomeProbe, outcomeMalformed, outcomeStale,
		outcomeUnknownSerial, outcomeForged, outcomeUnopened, outcomeOtherMerchant,
	}
}

// refusal is a notification that is not taken. WeChat Pay sends it again.
type refusal struct {
	answer.StatusError
	outcome string
}

// Unwrap makes it match the row of answer.StatusError.
func (r *refusal) Unwrap() error { return &r.StatusError }

// refuse is the refusal for an outcome: 400 for what is no notification, 403 for what somebody else may have sent.
func refuse(outcome string, why error) error {
	status := http.StatusForbidden
	if outcome == outcomeMalformed {
		status = http.StatusBadRequest
	}
	return &refusal{answer.StatusError{Status: status, Detail: why.Error()}, outcome}
}

// Receiver takes the notifications for all merchants. It is safe for concurrent use.
type Receiver struct {
	deliveries *once.Deliveries
	counters   map[string]prometheus.Counter // by outcome
	log        *lograte.Log                  // anybody can provoke its lines
	now        func() time.Time
}

// NewReceiver returns a receiver that has delivered what store knows of; nil: nothing.
func NewReceiver(store once.Store, reg prometheus.Registerer, log *lograte.Log, now func() time.Time) *Receiver {
	counted := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_pay_notifications_total", Help: "Notifications of WeChat Pay by what became of them.",
	}, []string{"outcome"})
	reg.MustRegister(counted)
	r := &Receiver{counters: map[string]prometheus.Counter{}, log: log, now: now}
	for _, outcome := range outcomes() {
		r.counters[outcome] = counted.WithLabelValues(outcome)
	}
	r.deliveries = once.New(store, "pay", r.counters[outcomeRepeated], now)
	return r
}

// ReadSignature judges the header of a notification, before any of its body is read.
func (r *Receiver) ReadSignature(m *Merchant, fields *message.Fields) (Signature, error) {
	if m.Unsigned() { // and WeChat Cloud Run has not brought it
		return Signature{}, r.refused(m, refuse(outcomeUnknownSerial, errSerial))
	}
	s, err := m.readSignature(fields, r.now())
	return s, r.refused(m, err)
}

// Open reads, verifies and opens a notification.
func (r *Receiver) Open(m *Merchant, s Signature, body io.Reader) (n Notification, err error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return n, err
	}
	if err = s.verify(text); err == nil {
		n, err = m.open(text)
	}
	return n, r.refused(m, err)
}

// OpenUnsigned reads a notification for which WeChat Cloud Run vouches.
func (r *Receiver) OpenUnsigned(m *Merchant, body io.Reader) (n Notification, err error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return n, err
	}
	n, err = m.openUnsigned(text)
	return n, r.refused(m, err)
}

// refused counts a refusal, and warns of what an operator may have to mend.
func (r *Receiver) refused(m *Merchant, err error) error {
	why, refused := errors.AsType[*refusal](err)
	if !refused {
		return err
	}
	r.counters[why.outcome].Inc()
	if why.outcome != outcomeProbe && why.outcome != outcomeMalformed { // WeChat's own test, and what scanners send
		r.log.Warn(lograte.Kind{Message: "a notification of WeChat Pay is refused", Reason: why.outcome}, "mchid", m.mchID, "why", why.Detail)
	}
	return err
}

// Deliver sends a notification to a service, unless it was delivered before. req has the request target and what else the
// service is to know. A service that does not accept it is an error: WeChat Pay will retry. ctx has a deadline.
func (r *Receiver) Deliver(ctx context.Context, n Notification, req *message.Request, to *upstream.Upstream) error {
	if n.trial {
		r.counters[outcomeTrial].Inc()
		return nil
	}
	req.Method, req.Content = http.MethodPost, n.content
	req.Fields.Set("Content-Type", "application/json")
	appID := n.appID
	if !isName(appID) {
		appID = ""
	}
	_, err := r.deliveries.Deliver(ctx, n.key, func(ctx context.Context, repeat bool) ([]byte, error) {
		once.Label(&req.Fields, appID, n.key, repeat)
		err := n.send(ctx, req, to)
		if err == nil {
			r.counters[outcomeDelivered].Inc()
		}
		return nil, err
	})
	if errors.Is(err, once.ErrUnderWay) {
		err = fmt.Errorf("%w: the notification is being delivered already", http1.ErrTimeout)
	}
	if err != nil {
		r.counters[outcomeFailed].Inc()
	}
	return err
}

// isName reports whether a text may stand in a header.
func isName(text string) bool {
	for _, c := range text {
		if notVisible(c) {
			return false
		}
	}
	return len(text) <= maxFieldBytes
}

// send sends the notification once.
func (n Notification) send(ctx context.Context, req *message.Request, to *upstream.Upstream) error {
	var resp message.Response
	if _, err := to.Do(ctx, req, &resp, 0); err != nil {
		return err
	}
	defer resp.Reset()
	if status := resp.Status; status < 200 || status > 299 {
		return fmt.Errorf("%w: the service answered %d to a notification of WeChat Pay", answer.ErrPushRefused, status)
	}
	if !n.cloud {
		return nil // the body says nothing
	}
	said, err := resp.Whole(maxAnswer)
	if err != nil {
		return err
	}
	if declines(said) {
		return fmt.Errorf("%w: the service answered an errcode to a notification of WeChat Pay", answer.ErrPushRefused)
	}
	return nil
}

// maxAnswer is how much of an answer of a service is read, in bytes.
const maxAnswer = 64 << 10

// declines reports whether a service that is used to WeChat Cloud Run wants a notification again: its answer is
// {"errcode":…} other than 0.
func declines(body []byte) bool {
	told, err := parseObject(body)
	code := told.get("errcode")
	return err == nil && code != nil && string(code) != "0"
}

// Answer fills resp with what WeChat Pay, or WeChat Cloud Run, takes for "done".
func (n Notification) Answer(resp *message.Response) {
	switch {
	case n.cloud && n.trial:
		resp.Fields.Add("Content-Type", "text/plain; charset=utf-8")
		resp.Body = append(resp.Body, "success"...)
	case n.cloud:
		resp.Fields.Add("Content-Type", "application/json; charset=utf-8")
		resp.Body = append(resp.Body, `{"errcode":0,"errmsg":"success"}`...)
	default:
		resp.Status = http.StatusNoContent
	}
}

// Refusal is the template of an answer by which WeChat Pay knows that it is to send a notification again.
const Refusal = `{"code":"FAIL","message":{message}}`
