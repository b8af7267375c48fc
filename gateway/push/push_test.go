package push

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
	"wxgate/gateway/answer"
	"wxgate/gateway/once"
	"wxgate/secret"
	"wxgate/storage"
	"wxgate/upstream"
	"wxgate/upstream/upstreamtest"
)

const (
	testToken = "a-token"
	testKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	testAppID = "wx0000000000000001"
)

// memory is a store that lasts as long as the test.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
	writes int
	logins map[string]time.Time // by openid, the last
}

func (m *memory) LoggedInSince(_ context.Context, _, openID string, since time.Time) (bool, error) {
	return m.logins[openID].After(since), nil
}

func (*memory) Shared() bool { return false }

func (m *memory) Temporaries(_ context.Context, prefix string, _ int) (names []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.values {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, nil
}

func (m *memory) Temporary(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, found := m.values[name]
	if !found {
		return nil, storage.ErrNotFound
	}
	return bytes.Clone(value), nil
}

func (m *memory) ChangeTemporary(_ context.Context, name string, change func([]byte) ([]byte, time.Duration, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	value, life, err := change(m.values[name])
	if err != nil {
		return err
	}
	if m.values[name] = value; life == 0 {
		delete(m.values, name)
	}
	return nil
}

// rig is a receiver between WeChat and a service.
type rig struct {
	*Receiver
	t       *testing.T
	apps    Apps
	service *upstreamtest.Service
	to      *upstream.Upstream
	says    string // what the service answers
	log     bytes.Buffer
	memory  *memory
	clock   time.Time
	paid    map[Order]bool
}

// Paid answers for WeChat.
func (r *rig) Paid(_ context.Context, _ string, order Order) (bool, error) { return r.paid[order], nil }

func newRig(t *testing.T, key secret.Text) *rig {
	t.Helper()
	r := &rig{t: t, says: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", clock: time.Now()}
	r.memory = &memory{values: map[string][]byte{}, logins: map[string]time.Time{}}
	r.apps = Apps{{ID: testAppID, Opens: opener(t, testAppID, key), Upstream: "service", SealPayments: true}}
	r.service = upstreamtest.HTTP(t, func(upstreamtest.Request) string { return r.says })
	cfg := upstream.DefaultConfig().WithDials(upstream.DefaultDials)
	cfg.Targets = []upstream.Target{{URL: r.service.URL, Weight: 1}}
	to, err := upstream.New("service", cfg, upstream.NewMetrics(prometheus.NewRegistry()), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(to.Close)
	r.to = to
	r.Receiver = NewReceiver(r.memory, nil, r, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&r.log, nil)), func() time.Time { return r.clock })
	return r
}

func opener(t *testing.T, appID string, key secret.Text) *wechat.Push {
	t.Helper()
	p, err := wechat.NewPush(appID, testToken, key)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// push sends a message as WeChat does.
func (r *rig) push(message string) (Reply, error) {
	r.t.Helper()
	query, body, err := r.apps[0].Opens.Request([]byte(message), r.clock)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.receive(query, body)
}

func (r *rig) receive(query url.Values, body []byte) (Reply, error) {
	m, err := r.Open(r.apps, query.Encode(), bytes.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	return r.deliver(m)
}

func (r *rig) deliver(m Message) (Reply, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), m.Budget())
	defer cancel()
	return r.Deliver(ctx, m, r.to, "a-request")
}

// said is a reply as WeChat reads it.
func (r *rig) said(reply Reply) string {
	r.t.Helper()
	if !bytes.Contains(reply.Body, []byte("Encrypt")) {
		return "plain " + string(reply.Body)
	}
	query := url.Values{}
	for name, member := range map[string]string{"timestamp": "TimeStamp", "nonce": "Nonce", "msg_signature": "MsgSignature"} {
		query.Set(name, r.memberOf(reply, member))
	}
	opened, err := r.apps[0].Opens.Open(query, reply.Body)
	if err != nil {
		r.t.Fatalf("%s: %v", reply.Body, err)
	}
	return "sealed " + string(opened.Body)
}

func (r *rig) memberOf(reply Reply, name string) string {
	if reply.ContentType == "text/xml" {
		root, err := parseXML(reply.Body)
		if err != nil {
			r.t.Fatal(err)
		}
		return root.child(name)
	}
	return read(reply.Body).text(name)
}

func read(message []byte) event {
	e, _ := eventOf(message)
	return e
}

const (
	transfer = `{"ToUserName":"oABC","FromUserName":"gh_1","CreateTime":1399197672,"MsgType":"transfer_customer_service"}`
	inXML    = "<xml><ToUserName><![CDATA[oABC]]></ToUserName><FromUserName><![CDATA[gh_1]]></FromUserName><CreateTime>1399197672</CreateTime><MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"
)

// TestTheServicesAnswerReachesWeChat in the format of the message, sealed where that was.
func TestTheServicesAnswerReachesWeChat(t *testing.T) {
	t.Parallel()
	json, xml := `{"MsgType":"text","MsgId":%d,"Content":"x"}`, "<xml><MsgType><![CDATA[text]]></MsgType><MsgId>%d</MsgId></xml>"
	pays := `{"MsgType":"event","Event":"xpay_goods_deliver_notify","OutTradeNo":"order%d","OpenId":"oABC","Env":0}`
	paysXML := "<xml><Event><![CDATA[xpay_goods_deliver_notify]]></Event><OutTradeNo><![CDATA[order%d]]></OutTradeNo></xml>"
	n := 0
	for name, row := range map[string]struct {
		key            secret.Text
		plainPayments  bool
		message, says  string
		want, wantType string
		wantErr        error
	}{
		"nothing":                       {key: testKey, message: json, want: "plain success", wantType: "text/plain; charset=utf-8"},
		"success":                       {key: testKey, message: json, says: " SUCCESS\n", want: "plain success", wantType: "text/plain; charset=utf-8"},
		"a transfer":                    {key: testKey, message: json, says: transfer, want: "sealed " + transfer, wantType: "application/json"},
		"a transfer, plain mode":        {message: json, says: transfer, want: "plain " + transfer, wantType: "application/json"},
		"a transfer, XML":               {key: testKey, message: xml, says: transfer, want: "sealed " + inXML, wantType: "text/xml"},
		"a transfer, XML in plain mode": {message: xml, says: transfer, want: "plain " + inXML, wantType: "text/xml"},
		"what WeChat does not know":     {key: testKey, message: json, says: "OK", want: "plain success", wantType: "text/plain; charset=utf-8"},
		"a payment":                     {key: testKey, message: pays, want: `sealed {"ErrCode":0,"ErrMsg":"success"}`, wantType: "application/json"},
		"a payment, not sealed":         {key: testKey, plainPayments: true, message: pays, says: "success", want: `plain {"ErrCode":0,"ErrMsg":"success"}`, wantType: "application/json"},
		"a payment, XML":                {key: testKey, message: paysXML, want: "sealed <xml><ErrCode>0</ErrCode><ErrMsg><![CDATA[success]]></ErrMsg></xml>", wantType: "text/xml"},
		"an answer that XML cannot say": {key: testKey, message: xml, says: `{"数据":1}`, want: "plain success", wantType: "text/plain; charset=utf-8"},
		"a payment in other letters":    {key: testKey, message: pays, says: `{"errcode":0,"errmsg":"ok"}`, wantErr: answer.ErrPushRefused},
		"a payment that is not done":    {key: testKey, message: pays, says: `{"ErrCode":7,"ErrMsg":"later"}`, want: `sealed {"ErrCode":7,"ErrMsg":"later"}`, wantType: "application/json"},
	} {
		r := newRig(t, row.key)
		r.apps[0].SealPayments = !row.plainPayments
		r.says = upstreamtest.OK("application/json", row.says)
		n++
		reply, err := r.push(fmt.Sprintf(row.message, n))
		if !errors.Is(err, row.wantErr) {
			t.Errorf("%s: %v, want %v", name, err, row.wantErr)
		}
		if err != nil {
			continue
		}
		if got := r.said(reply); got != row.want || reply.ContentType != row.wantType {
			t.Errorf("%s: %s as %s\nwant %s as %s", name, got, reply.ContentType, row.want, row.wantType)
		}
	}
}

// TestAMessageThatIsSentAgainGetsTheSameAnswer although it is signed anew, as WeChat does; one that was not done reaches the
// service again, which is told.
func TestAMessageThatIsSentAgainGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, testKey)
	r.says = upstreamtest.OK("application/json", transfer)
	for range 3 {
		if reply, err := r.push(`{"MsgType":"text","MsgId":7}`); err != nil || r.said(reply) != "sealed "+transfer {
			t.Errorf("%s, %v", reply.Body, err)
		}
	}
	if n := len(r.service.Requests()); n != 1 {
		t.Errorf("the service got it %d times", n)
	}
	again := `{"Event":"xpay_coin_pay_notify","OutTradeNo":"o1","WeChatPayInfo":{"MchOrderNo":"m1"},"RetryTimes":%d}`
	for i, says := range []string{`{"ErrCode":1}`, `{"ErrCode":0}`, `{"ErrCode":2}`} {
		r.says = upstreamtest.OK("application/json", says)
		if reply, err := r.push(fmt.Sprintf(again, i)); err != nil || r.said(reply) != "sealed "+strings.ReplaceAll(says, "2", "0") {
			t.Errorf("time %d: %s, %v", i, reply.Body, err)
		}
	}
	got := r.service.Requests()[1:]
	if len(got) != 2 || got[0].Field(once.HeaderKey) != got[1].Field(once.HeaderKey) || got[0].Field(once.HeaderRepeat) != "" || got[1].Field(once.HeaderRepeat) != once.Possible || got[0].Field(once.HeaderAppID) != testAppID {
		t.Errorf("the service got %d:\n%v", len(got), got)
	}
}

func TestTheServicesFailureIsWeChatsRetry(t *testing.T) {
	t.Parallel()
	r := newRig(t, testKey)
	for _, says := range []string{"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n"} {
		r.says = says
		if reply, err := r.push(`{"MsgType":"text","MsgId":7}`); !errors.Is(err, answer.ErrPushRefused) {
			t.Errorf("%s, %v", reply.Body, err)
		}
	}
	r.says = upstreamtest.OK("text/plain", "")
	for _, says := range []string{`{"code":500,"message":"failed"}`, `{"ErrCode":"E1"}`, "OK"} {
		r.says = upstreamtest.OK("application/json", says)
		if reply, err := r.push(`{"Event":"xpay_refund_notify","MchRefundId":"r1"}`); !errors.Is(err, answer.ErrPushRefused) {
			t.Errorf("a payment that is answered %s: %s, %v", says, reply.Body, err)
		}
	}
	r.says = upstreamtest.OK("text/plain", "")
	if reply, err := r.push(`{"Event":"xpay_subscribe_ios_refund_query_notify"}`); !errors.Is(err, answer.ErrPushRefused) {
		t.Errorf("a question of Apple without an answer: %s, %v", reply.Body, err)
	}
	long := `{"result_code":0,"result_info":"a","evidence":"` + strings.Repeat("b", once.MaxAnswer) + `"}`
	r.says = upstreamtest.OK("application/json", long) // could not be given again, and something else would be the answer
	if reply, err := r.push(`{"Event":"xpay_subscribe_ios_refund_query_notify"}`); !errors.Is(err, answer.ErrPushRefused) {
		t.Errorf("a question of Apple with a long answer: %.100s, %v", reply.Body, err)
	}
	r.says = upstreamtest.OK("application/json", `{"result_code":0,"result_info":"a","evidence":"b"}`)
	if reply, err := r.push(`{"Event":"xpay_subscribe_ios_refund_query_notify"}`); err != nil || r.said(reply) != `sealed {"result_code":0,"result_info":"a","evidence":"b"}` {
		t.Errorf("a question of Apple: %s, %v", reply.Body, err)
	}
}

// TestWhatTellsMessagesApart lists pairs that are one message, and others that are two.
func TestWhatTellsMessagesApart(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		one, two string
		same     bool
	}{
		"a message":           {`{"MsgId":9007199254740993,"CreateTime":1}`, `{"MsgId":9007199254740993,"CreateTime":2}`, true},
		"large numbers":       {`{"MsgId":9007199254740993}`, `{"MsgId":9007199254740992}`, false},
		"a string":            {`{"MsgId":"7"}`, `{"MsgId":7}`, true},
		"an event":            {`{"FromUserName":"a","CreateTime":1,"Event":"e"}`, `{"Event":"e","FromUserName":"a","CreateTime":1}`, true},
		"another second":      {`{"FromUserName":"a","CreateTime":1,"Event":"e"}`, `{"FromUserName":"a","CreateTime":2,"Event":"e"}`, false},
		"more in one second":  {`{"FromUserName":"a","CreateTime":1,"Event":"e","Id":1}`, `{"FromUserName":"a","CreateTime":1,"Event":"e","Id":2}`, false},
		"attempts":            {`{"Event":"xpay_refund_notify","MchRefundId":"r","RetryTimes":0}`, `{"Event":"xpay_refund_notify","MchRefundId":"r","RetryTimes":1}`, true},
		"an order":            {`{"Event":"xpay_goods_deliver_notify","OutTradeNo":"o","CreateTime":1}`, `{"Event":"xpay_goods_deliver_notify","OutTradeNo":"o","CreateTime":2}`, true},
		"two orders":          {`{"Event":"xpay_goods_deliver_notify","OutTradeNo":"o"}`, `{"Event":"xpay_goods_deliver_notify","OutTradeNo":"p"}`, false},
		"ids of events":       {`{"MsgType":"event","Event":"e","MsgId":1}`, `{"MsgType":"event","Event":"e","MsgId":1,"a":2}`, false},
		"orders of two":       {`{"Event":"xpay_coin_pay_notify","OutTradeNo":"o","OpenId":"a","WeChatPayInfo":{"MchOrderNo":"m"}}`, `{"Event":"xpay_coin_pay_notify","OutTradeNo":"o","OpenId":"b","WeChatPayInfo":{"MchOrderNo":"m"}}`, false},
		"a complaint":         {`{"Event":"xpay_complaint_notify","ComplaintId":"c","RequestId":"1","RetryTimes":0}`, `{"Event":"xpay_complaint_notify","ComplaintId":"c","RequestId":"2","RetryTimes":1}`, true},
		"two complaints":      {`{"Event":"xpay_complaint_notify","ComplaintId":"c"}`, `{"Event":"xpay_complaint_notify","ComplaintId":"d"}`, false},
		"ids of requests":     {`{"Event":"e","RequestId":"1"}`, `{"Event":"e","RequestId":"2"}`, false},
		"delivery and refund": {`{"Event":"xpay_goods_deliver_notify","OutTradeNo":"o"}`, `{"Event":"xpay_coin_pay_notify","OutTradeNo":"o"}`, false},
	} {
		if one, two := read([]byte(row.one)).key(), read([]byte(row.two)).key(); (one == two) != row.same {
			t.Errorf("%s: %s and %s", name, one, two)
		}
	}
}

// TestEachMiniProgramHasItsOwnPush behind one address.
func TestEachMiniProgramHasItsOwnPush(t *testing.T) {
	t.Parallel()
	r := newRig(t, testKey)
	other := App{ID: "wx0000000000000002", Opens: opener(t, "wx0000000000000002", secret.Text(testKey[1:]+"x")), Upstream: "other"}
	r.apps = append(r.apps, other)
	query, body, err := other.Opens.Request([]byte(`{"MsgId":7}`), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Open(r.apps, query.Encode(), bytes.NewReader(body))
	if err != nil || m.app.ID != other.ID || m.Upstream() != "other" {
		t.Errorf("%s for %s, %v", m.app.ID, m.Upstream(), err)
	}
	if _, err := r.Open(r.apps[:1], query.Encode(), bytes.NewReader(body)); !errors.Is(err, errNotFromWeChat) {
		t.Errorf("of a mini-program that is not ours: %v", err)
	}
	query = other.Opens.Query(time.Now())
	query.Set("echostr", "echo")
	if echo, err := r.Echo(t.Context(), r.apps, query.Encode()); echo != "echo" || err != nil {
		t.Errorf("the check of the address: %q, %v", echo, err)
	}
}

// TestMoneyIsNotBelievedInPlainMode where anybody who has seen an address can write the body.
func TestMoneyIsNotBelievedInPlainMode(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.paid = map[Order]bool{{OpenID: "oABC", OutTradeNo: "paid", Env: 1}: true}
	event := `{"Event":"%s","OpenId":"oABC","OutTradeNo":"%s","Env":1}`
	for name, row := range map[string]struct {
		event, order string
		delivered    bool
	}{
		"paid": {goodsDelivery, "paid", true}, "unpaid": {goodsDelivery, "unpaid", false}, "coins": {coinDelivery, "paid", true},
		"a refund": {"xpay_refund_notify", "paid", false}, "no order": {goodsDelivery, "", false},
	} {
		before := len(r.service.Requests())
		reply, err := r.push(fmt.Sprintf(event, row.event, row.order))
		if got := len(r.service.Requests()) > before; got != row.delivered || (err == nil) != row.delivered {
			t.Errorf("%s: delivered %t, %s, %v", name, got, reply.Body, err)
		}
	}
	before := len(r.service.Requests())
	for _, same := range []string{`"Env":1,"WeChatPayInfo":{"MchOrderNo":"another"}`, `"Env":"1"`, `"Env":"01"`, `"Env":"+1"`} {
		_, _ = r.push(`{"Event":"xpay_goods_deliver_notify","OpenId":"oABC","OutTradeNo":"paid",` + same + `}`)
	}
	if n := len(r.service.Requests()); n != before {
		t.Errorf("the service got an order that was delivered %d times more", n-before)
	}
	if log := r.log.String(); !strings.Contains(log, "plain mode") || strings.Contains(log, "oABC") || strings.Contains(log, "unpaid\"") {
		t.Errorf("the log has %s", log)
	}
	for _, text := range []string{
		`{"Event":"debug","event":"xpay_goods_deliver_notify","OpenId":"oABC","OutTradeNo":"unpaid","Env":1}`,
		`{"event":"xpay_goods_deliver_notify","openid":"oABC","outTradeNo":"unpaid","env":1}`,
		`{"Event":"xpay_goods_deliver_notify","OpenId":"oABC"," OutTradeNo":"paid","OutTradeNo":"unpaid","Env":1}`,
		"<xml><Event>debug</Event><event>xpay_goods_deliver_notify</event><OutTradeNo>unpaid</OutTradeNo></xml>",
	} {
		if _, err := r.push(text); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
	if n := len(r.service.Requests()); n != before {
		t.Errorf("the service got %d messages that it could read otherwise than the gateway", n-before)
	}
	query, _, err := r.apps[0].Opens.Request([]byte(`{"MsgId":1}`), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.receive(query, []byte(`{"MsgId":1}`)); err != nil {
		t.Error(err)
	}
	if _, err := r.receive(query, []byte(`{"MsgId":2}`)); !errors.Is(err, errNotFromWeChat) {
		t.Errorf("a second message with the signature of another: %v", err)
	}
}

// TestAnErasureWaitsInPlainMode for a day, and for ever if the person logs in; in safe mode it does not.
func TestAnErasureWaitsInPlainMode(t *testing.T) {
	t.Parallel()
	event := `{"Event":"user_authorization_cancellation","OpenID":"%s"}`
	r := newRig(t, testKey)
	if reply, err := r.push(fmt.Sprintf(event, "oABC")); err != nil || string(reply.Body) != success || len(r.service.Requests()) != 1 {
		t.Errorf("safe mode: %s, %v, told %d times", reply.Body, err, len(r.service.Requests()))
	}
	r = newRig(t, "")
	r.memory.logins["oBack"] = r.clock.Add(time.Hour)
	if reply, err := r.push(`{"Event":"USER_authorization_revoke ","OpenID":"oBack"}`); err != nil || len(r.service.Requests()) != 0 {
		t.Errorf("in other letters: %s, %v, told %d times", reply.Body, err, len(r.service.Requests()))
	}
	for _, openID := range []string{"oGone", "oBack", "oGone"} {
		if reply, err := r.push(fmt.Sprintf(event, openID)); err != nil || string(reply.Body) != success {
			t.Errorf("%s: %s, %v", openID, reply.Body, err)
		}
	}
	to := func(string) (App, *upstream.Upstream) { return r.apps[0], r.to }
	r.clock = r.clock.Add(erasureWait - time.Second)
	writes := r.memory.writes
	r.tellErasures(t.Context(), to)
	if n := len(r.service.Requests()); n != 0 || r.memory.writes != writes {
		t.Errorf("told %d times within a day, with %d writes", n, r.memory.writes-writes)
	}
	r.clock = r.clock.Add(time.Second)
	says := r.says
	r.says = "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"
	r.tellErasures(t.Context(), to)
	r.says = says
	for range 2 {
		r.tellErasures(t.Context(), to)
	}
	got := r.service.Requests()
	if len(got) != 2 || string(got[1].Body) != fmt.Sprintf(event, "oGone") {
		t.Errorf("told of %d:\n%v\nwant the one who is gone, again after a failure", len(got), got)
	}
	if left, _ := r.memory.Temporaries(t.Context(), erasurePrefix, 1); len(left) != 0 {
		t.Errorf("%d still wait", len(left))
	}
	if log := r.log.String(); !strings.Contains(log, "in a day") || !strings.Contains(log, "logged in since") || strings.Contains(log, "oGone") {
		t.Errorf("the log has\n%s", log)
	}
}

// TestCloudRunBringsWhatNobodySigned for a mini-program without a Token. That proves no payment.
func TestCloudRunBringsWhatNobodySigned(t *testing.T) {
	t.Parallel()
	r := newRig(t, testKey)
	r.paid = map[Order]bool{{OpenID: "oABC", OutTradeNo: "paid", Env: 1}: true}
	unsigned := r.apps[0]
	unsigned.ID, unsigned.Opens = "wx0000000000000002", nil
	apps := Apps{r.apps[0], unsigned}
	deliver := func(text string) (Reply, error) {
		m, check, err := r.OpenUnsigned(apps, unsigned.ID, strings.NewReader(text))
		if err != nil || check || m.app.ID != unsigned.ID {
			t.Fatalf("%s: %+v, %t, %v", text, m, check, err)
		}
		return r.deliver(m)
	}
	if reply, err := deliver(`{"MsgType":"text","MsgId":1}`); err != nil || r.said(reply) != "plain success" {
		t.Errorf("%s, %v", reply.Body, err)
	}
	event := `{"Event":"xpay_goods_deliver_notify","OpenId":"oABC","OutTradeNo":"%s","Env":1}`
	if reply, err := deliver(fmt.Sprintf(event, "unpaid")); !errors.Is(err, answer.ErrPushRefused) {
		t.Errorf("an order that nobody paid: %s, %v", reply.Body, err)
	}
	if reply, err := deliver(fmt.Sprintf(event, "paid")); err != nil || r.said(reply) != `plain {"ErrCode":0,"ErrMsg":"success"}` {
		t.Errorf("an order that was paid: %s, %v", reply.Body, err)
	}
	for _, text := range []string{`{"action":"CheckContainerPath"}`, "<xml><action>CheckContainerPath</action></xml>"} {
		if _, check, err := r.OpenUnsigned(append(apps, unsigned), "", strings.NewReader(text)); !check || err != nil {
			t.Errorf("%s: %t, %v", text, check, err)
		}
	}
	for name, appID := range map[string]string{"of another mini-program": "wx0000000000000003", "of one that has a Token": testAppID, "of one of two": ""} {
		if _, _, err := r.OpenUnsigned(append(apps, unsigned), appID, strings.NewReader(`{"MsgId":1}`)); !errors.Is(err, errNotFromWeChat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnAddressIsNotGoodAgainWithTimeAndNonceExchanged, which the signature does not tell apart.
func TestAnAddressIsNotGoodAgainWithTimeAndNonceExchanged(t *testing.T) {
	t.Parallel()
	const body = `{"MsgType":"text","MsgId":7,"CreateTime":%d}`
	for name, key := range map[string]secret.Text{"sealed": testKey, "plain": ""} {
		r := newRig(t, key)
		later := r.clock.Add(90 * 24 * time.Hour)
		query, text, err := r.apps[0].Opens.Request(fmt.Appendf(nil, body, r.clock.Unix()), r.clock)
		if err != nil {
			t.Fatal(err)
		}
		if key == "" { // until a nonce is a time to come
			query.Set("nonce", fmt.Sprint(later.Unix()))
			query.Set("signature", plainSignature(query.Get("timestamp"), query.Get("nonce")))
		}
		if _, err := r.receive(query, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if key != "" {
			later = r.clock.Add(72 * time.Hour)
			query = signedAt(t, r.apps[0].Opens, text, later)
		} else {
			at, nonce := query.Get("timestamp"), query.Get("nonce")
			query.Set("timestamp", nonce)
			query.Set("nonce", at)
		}
		r.clock = later
		if _, err := r.receive(query, text); !errors.Is(err, errNotFromWeChat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAnAddressIsNotGoodAgainCutElsewhere although the digits of its timestamp and nonce are signed.
func TestAnAddressIsNotGoodAgainCutElsewhere(t *testing.T) {
	t.Parallel()
	const now, seen = "1796036535", "1782000000" // and digits of now, when it was seen
	for _, signed := range [][]string{
		{seen[:9] + now[:1], now[1:], now, seen[:9]},
		{seen[:8] + now[:2], now[2:], now, seen[:8]},
		{"0" + now, "1", "0" + now, "1"},
	} {
		r := newRig(t, "")
		r.clock = time.Unix(1796036535, 0)
		query := url.Values{"timestamp": {signed[2]}, "nonce": {signed[3]}, "signature": {plainSignature(signed[0], signed[1])}}
		if _, err := r.receive(query, []byte(`{"MsgType":"text","MsgId":7}`)); !errors.Is(err, errNotFromWeChat) {
			t.Errorf("signed for %v, sent with %v: %v, want errNotFromWeChat", signed[:2], signed[2:], err)
		}
	}
}

func plainSignature(parts ...string) string {
	parts = append(parts, testToken)
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// signedAt is a query that is good for a sealed body at another time, as one with exchanged members is.
func signedAt(t *testing.T, _ *wechat.Push, body []byte, at time.Time) url.Values {
	t.Helper()
	query := url.Values{"timestamp": {fmt.Sprint(at.Unix())}, "nonce": {"1"}}
	query.Set("msg_signature", plainSignature(query.Get("timestamp"), "1", read(body).text("Encrypt")))
	return query
}

func TestTheCheckOfAnAddressSignsNoMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	query := r.apps[0].Opens.Query(r.clock)
	check := url.Values{"echostr": {"echo"}, "timestamp": query["timestamp"], "nonce": query["nonce"], "signature": query["signature"]}
	for range 2 {
		if echo, err := r.Echo(t.Context(), r.apps, check.Encode()); echo != "echo" || err != nil {
			t.Errorf("%q, %v", echo, err)
		}
	}
	if _, err := r.receive(query, []byte(`{"MsgId":7}`)); !errors.Is(err, errNotFromWeChat) {
		t.Errorf("a message with the signature of the check: %v", err)
	}
}

func TestAPrintedMessageShowsNothing(t *testing.T) {
	t.Parallel()
	m := Message{json: []byte("a secret text"), event: read([]byte(`{"a":"a secret text"}`))}
	if got := fmt.Sprintf("%v %+v %#v %s", m, m, m, m); strings.Contains(got, "secret") || strings.Contains(got, "115") {
		t.Errorf("got %s", got)
	}
}
