package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"wxgate/gateway/once"
	"wxgate/message"
)

// Reply is the answer to WeChat.
type Reply struct {
	Body        []byte
	ContentType string
}

// success is the answer of a service, and of ours, that says nothing but that the message arrived.
const success = "success"

// delivered is what counts as an answer to an event about money.
const delivered = `{"ErrCode":0,"ErrMsg":"success"}`

// errNotUnderstood is an answer of a service that WeChat would not understand.
var errNotUnderstood = errors.New("the service answered neither a JSON object nor success nor nothing")

// readAnswer reads what a service answered: a JSON object that can be given again, or nil for nothing and for success.
func readAnswer(resp *message.Response) ([]byte, error) {
	text, err := resp.Whole(once.MaxAnswer)
	if errors.Is(err, message.ErrTooLong) {
		return nil, fmt.Errorf("%w: more than %d bytes", errNotUnderstood, once.MaxAnswer)
	}
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSpace(bytes.Clone(text))
	if len(text) == 0 || strings.EqualFold(string(text), success) {
		return nil, nil
	}
	if text[0] != '{' || !json.Valid(text) {
		return nil, errNotUnderstood
	}
	return text, nil
}

// notDone is an answer of a service that lets WeChat send the message again.
type notDone struct{ answer []byte }

func (notDone) Error() string { return "the service answered that the message is not done" }

// judge returns an error for an answer that does not say that a message is done: of payments, any ErrCode but 0 is notDone, and
// none at all is errNotUnderstood, as is what XML cannot say.
func (m Message) judge(said []byte) error {
	if len(said) == 0 {
		if m.event.name() == iosRefundQuery {
			return fmt.Errorf("%w: whether to refund is not said", errNotUnderstood)
		}
		return nil
	}
	if m.inXML {
		if _, err := xmlOf(said); err != nil {
			return fmt.Errorf("%w: %w", errNotUnderstood, err)
		}
	}
	if !m.event.pays() || m.event.name() == iosRefundQuery {
		return nil
	}
	code := errCodeOf(said)
	if code == "" {
		return fmt.Errorf("%w: an event about money, without an ErrCode", errNotUnderstood)
	}
	if code != "0" {
		return notDone{said}
	}
	return nil
}

// errCodeOf is the ErrCode of an answer, "" if there is none. WeChat knows the name in these letters alone.
func errCodeOf(said []byte) (code json.Number) {
	var members map[string]json.RawMessage
	if json.Unmarshal(said, &members) == nil {
		_ = json.Unmarshal(members["ErrCode"], &code) // else it is no number
	}
	return code
}

// reply puts what a service answered into the format of the message, sealed if the message was.
func (m Message) reply(answer []byte, now time.Time) (Reply, error) {
	if len(answer) == 0 && m.event.pays() {
		answer = []byte(delivered)
	}
	if len(answer) == 0 {
		return Reply{[]byte(success), "text/plain; charset=utf-8"}, nil
	}
	body, contentType := answer, "application/json"
	if m.inXML {
		text, err := xmlOf(answer)
		if err != nil {
			return Reply{}, err
		}
		body, contentType = text, "text/xml"
	}
	if !m.sealed || m.event.pays() && !m.app.SealPayments {
		return Reply{body, contentType}, nil
	}
	sealed, err := m.app.Opens.Seal(body, now)
	if err != nil {
		return Reply{}, fmt.Errorf("sealing an answer: %w", err)
	}
	if m.inXML {
		return Reply{sealed.XML(), contentType}, nil
	}
	return Reply{sealed.JSON(), contentType}, nil
}
