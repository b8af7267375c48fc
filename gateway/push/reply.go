package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// delivered is what counts as an answer to an event of virtual payment.
const delivered = `{"ErrCode":0,"ErrMsg":"success"}`

// errNotUnderstood is an answer of a service that WeChat would not understand.
var errNotUnderstood = errors.New("the service answered neither a JSON object nor success nor nothing")

// readAnswer reads what a service answered: a JSON object, or nil for nothing and for success.
func readAnswer(resp *message.Response) ([]byte, error) {
	text := bytes.Clone(resp.Body)
	for resp.Stream != nil {
		part, err := resp.Stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if text = append(text, part...); len(text) > maxAnswer {
			return nil, errNotUnderstood
		}
	}
	text = bytes.TrimSpace(text)
	if len(text) == 0 || strings.EqualFold(string(text), success) {
		return nil, nil
	}
	if len(text) > maxAnswer || text[0] != '{' || !json.Valid(text) {
		return nil, errNotUnderstood
	}
	return text, nil
}

// accepts reports whether an answer to a message counts as one that says that it is done: of virtual payment, any ErrCode but 0
// lets WeChat send it again.
func (m Message) accepts(answer []byte) bool {
	if !m.event.pays() || len(answer) == 0 {
		return true
	}
	var said struct{ ErrCode json.Number }
	_ = json.Unmarshal(answer, &said)
	return said.ErrCode == "" || said.ErrCode == "0"
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
