// Package push receives the messages that WeChat pushes (消息推送) and delivers them to a service as plain JSON, each once.
package push

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
	"wxgate/gateway/answer"
	"wxgate/message"
	"wxgate/upstream"
)

// Path is where WeChat sends messages, and where the service receives them.
const Path = "/wechat/push"

// maxMessageAge is how old a pushed message may be. WeChat retries twice, 5 s apart, when it gets no answer.
const maxMessageAge = 5 * time.Minute

// errNotFromWeChat is a message that WeChat did not send, or not recently.
var errNotFromWeChat = fmt.Errorf("%w: the message is not WeChat's", answer.ErrInvalidRequest)

// Receiver verifies, decrypts and delivers messages. It is safe for concurrent use.
type Receiver struct {
	deliveries *deliveries
	now        func() time.Time
}

// NewReceiver returns a receiver that has delivered what store knows of; nil: nothing.
func NewReceiver(store Store, reg prometheus.Registerer, now func() time.Time) *Receiver {
	return &Receiver{newDeliveries(store, reg, now), now}
}

// Message is a verified and decrypted message of WeChat.
type Message struct {
	id   string
	json []byte
}

// Echo is the answer to the GET with which WeChat verifies the address. p verifies the signature in the raw query.
func (r *Receiver) Echo(p *wechat.Push, query string) (string, error) {
	values, err := r.parseFreshQuery(query)
	if err != nil {
		return "", err
	}
	echo, err := p.Echo(values)
	if err != nil {
		return "", errNotFromWeChat
	}
	return echo, nil
}

// Open reads the message of a POST. p verifies the signature in the raw query before any of the body is read.
func (r *Receiver) Open(p *wechat.Push, query string, body io.Reader) (Message, error) {
	values, err := r.parseFreshQuery(query)
	if err != nil {
		return Message{}, err
	}
	if p.Check(values) != nil {
		return Message{}, errNotFromWeChat
	}
	sealed, err := io.ReadAll(body)
	if err != nil {
		return Message{}, err
	}
	opened, err := p.Open(values, sealed)
	if err != nil {
		return Message{}, errNotFromWeChat
	}
	plain, err := plainJSON(opened)
	return Message{p.ID(values), plain}, err
}

// parseFreshQuery parses a signed query and refuses one whose timestamp is not recent: the signature alone is valid for
// ever.
func (r *Receiver) parseFreshQuery(query string) (url.Values, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errNotFromWeChat
	}
	seconds, err := strconv.ParseInt(values.Get("timestamp"), 10, 64)
	age := r.now().Sub(time.Unix(seconds, 0))
	if err != nil || age > maxMessageAge || age < -maxMessageAge {
		return nil, errNotFromWeChat
	}
	return values, nil
}

// Deliver sends a message to a service, unless it was delivered before. A service that does not accept it is an error:
// WeChat will retry.
func (r *Receiver) Deliver(ctx context.Context, m Message, to *upstream.Upstream, requestID string) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout-claimTimeout) // the claim included
	defer cancel()
	return r.deliveries.deliverOnce(ctx, m.id, func() error {
		req := message.Request{Method: http.MethodPost, Target: []byte(Path), Content: m.json}
		req.Fields.Add("Content-Type", "application/json")
		req.Fields.Add(answer.HeaderRequestID, requestID)
		var resp message.Response
		if _, err := to.Do(ctx, &req, &resp, 0); err != nil {
			return err
		}
		defer resp.Reset() // the body says nothing
		if status := resp.Status; status < 200 || status > 299 {
			return fmt.Errorf("%w: the service answered %d to a pushed message", answer.ErrPushRefused, status)
		}
		return nil
	})
}

// plainJSON is a message as JSON, even when mp.weixin.qq.com is set to XML: one flat element with named fields.
func plainJSON(m wechat.Message) ([]byte, error) {
	if strings.Contains(m.ContentType, "json") {
		return m.Body, nil
	}
	var fields struct {
		List []struct {
			XMLName xml.Name
			Text    string `xml:",chardata"`
		} `xml:",any"`
	}
	if err := xml.Unmarshal(m.Body, &fields); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotFromWeChat, err)
	}
	flat := make(map[string]string, len(fields.List))
	for _, f := range fields.List {
		flat[f.XMLName.Local] = strings.TrimSpace(f.Text)
	}
	return json.Marshal(flat)
}
