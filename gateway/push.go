package gateway

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/authn/wechat"
	"wxgate/gateway/answer"
)

// pushPath is where WeChat sends messages (消息推送), and where the service gets them.
const pushPath = "/wechat/push"

// pushFreshness is how old a pushed message may be. WeChat sends it again twice, 5 s apart, when nobody takes it.
const pushFreshness = 5 * time.Minute

// errPushForged is a message that WeChat has not sent, or not now.
var errPushForged = fmt.Errorf("%w: the message is not WeChat's", answer.ErrInvalidRequest)

// answerPushTest answers GET /wechat/push, with which WeChat tries the address.
func (g *Gateway) answerPushTest(ex *Exchange) error {
	query, err := g.pushQuery(ex)
	if err != nil {
		return err
	}
	echo, err := ex.snapshot.push.Echo(query)
	if err != nil {
		return errPushForged
	}
	ex.response.Header.Set(fasthttp.HeaderContentType, "text/plain; charset=utf-8")
	ex.response.SetBodyString(echo)
	return nil
}

// takePush answers POST /wechat/push: a message is verified, opened and handed to the service as plain JSON. WeChat hears
// "success" once the service has it, else it will send the message again.
func (g *Gateway) takePush(ex *Exchange) error {
	query, err := g.pushQuery(ex)
	if err != nil {
		return err
	}
	push := ex.snapshot.push
	if push.Check(query) != nil {
		return errPushForged
	}
	body, err := io.ReadAll(&ex.body)
	if err != nil {
		return err
	}
	message, err := push.Open(query, body)
	if err != nil {
		return errPushForged
	}
	ex.hold.Close() // WeChat speaks for everybody, from a few addresses
	plain, err := plainJSON(message)
	if err != nil {
		return err
	}
	if err := g.pushes.once(push.ID(query), func() error { return deliverPush(ex, plain) }); err != nil {
		return err
	}
	ex.response.Header.Set(fasthttp.HeaderContentType, "text/plain; charset=utf-8")
	ex.response.SetBodyString("success")
	return nil
}

// pushQuery reads the signed query and refuses one of another time: the signature alone holds for ever.
func (g *Gateway) pushQuery(ex *Exchange) (url.Values, error) {
	_, query, _ := strings.Cut(string(ex.target.Raw), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errPushForged
	}
	seconds, err := strconv.ParseInt(values.Get("timestamp"), 10, 64)
	age := g.deps.Now().Sub(time.Unix(seconds, 0))
	if err != nil || age > pushFreshness || age < -pushFreshness {
		return nil, errPushForged
	}
	return values, nil
}

// deliverPush sends a message to the upstream of wechat.push. A service that does not take it is an error.
func deliverPush(ex *Exchange, message []byte) error {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(fasthttp.MethodPost)
	req.Header.SetRequestURI(pushPath)
	req.Header.SetContentType("application/json")
	req.Header.Set(answer.HeaderRequestID, ex.id)
	req.SetBody(message)
	ctx, cancel := context.WithTimeout(ex.ctx, pushAnswer)
	defer cancel()
	r := ex.snapshot
	to := r.upstreams[r.cfg.PushUpstream]
	if _, err := to.Do(ctx, req, resp, 0); err != nil {
		return err
	}
	if status := resp.StatusCode(); status < 200 || status > 299 {
		return fmt.Errorf("%w: the service answered %d to a pushed message", answer.ErrPushRefused, status)
	}
	return nil
}

// pushAnswer is how long WeChat waits for the answer to a message: 5 s, less the way.
const pushAnswer = 4500 * time.Millisecond

// plainJSON is a message as JSON, also when mp.weixin.qq.com is set to XML: one flat element with named fields.
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
		return nil, fmt.Errorf("%w: %w", errPushForged, err)
	}
	flat := make(map[string]string, len(fields.List))
	for _, f := range fields.List {
		flat[f.XMLName.Local] = strings.TrimSpace(f.Text)
	}
	return json.Marshal(flat)
}
