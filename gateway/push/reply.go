package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"wxgate/message"
)

// maxAnswer is how much of an answer of a service is read, in bytes. WeChat's passive replies are smaller.
const maxAnswer = 64 << 10

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

// readAnswer reads what a service answered: a JSON object, or nil for nothing and for success.
func readAnswer(resp *message.Response) ([]byte, error) {
	text, err := resp.Whole(maxAnswer)
	if errors.Is(err, message.ErrTooLong) {
		return nil, errNotUnderstood
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

// accepts reports whether an answer says that a message is done: of payments, any ErrCode but 0 lets WeChat send it again. One
// without an ErrCode is errNotUnderstood: WeChat would take it for a failure, and ask again.
func (m Message) accepts(answer []byte) (bool, error) {
	if !m.event.pays() || m.event.name() == iosRefundQuery || len(answer) == 0 {
		return true, nil
	}
	var said struct{ ErrCode json.Number }
	if err := json.Unmarshal(answer, &said); err != nil || said.ErrCode == "" {
		return false, fmt.Errorf("%w: an event about money, without an ErrCode", errNotUnderstood)
	}
	return said.ErrCode == "0", nil
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
