package gateway

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
	"wxgate/gateway/accesslog"
	"wxgate/gateway/push"
	"wxgate/upstream"
	"wxgate/upstream/upstreamtest"
)

const (
	testOffer         = "1450019686"
	testAppKey        = "app-key-of-production"
	testSandboxAppKey = "app-key-of-its-sandbox"
)

// soup is the signData of an order, with spaces that nobody may lose.
const soup = `{"offerId": "1450019686", "buyQuantity": 1, "env": 0, "currencyType": "CNY", "productId": "soup", "goodsPrice": 100, "outTradeNo": "order-17", "attach": "汤<&>"}`

// answering is a service that answers one text with a status.
func answering(t *testing.T, status int, text string) *upstreamtest.Service {
	t.Helper()
	return upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(text), text)
	})
}

// ordered is what a service says of an order.
func ordered(signData string) string {
	text, _ := json.Marshal(signData)
	return `{"mode":"short_series_goods","signData":` + string(text) + `}`
}

// sell makes a gateway one of a mini-program that sells.
func sell(cfg *Config) {
	cfg.VirtualPayments = map[string]wechat.VirtualPaymentConfig{testAppID: {
		OfferID: testOffer, AppKey: testAppKey, SandboxAppKey: testSandboxAppKey, Upstream: "service", Path: "/internal/orders/sign?by=wxgate",
	}}
}

const signPath = "/api/v1/pay/virtual/sign"

// pay signs an order for a user and pays it on a phone.
func (e *edge) pay(t *testing.T, token, person string, push ...string) sandbox.Paid {
	t.Helper()
	status, answer := e.postText(t, signPath, token, `{"order":17}`)
	data, _ := answer["data"].(map[string]any)
	if status != http.StatusOK {
		t.Fatalf("signing: %d %v", status, answer)
	}
	text := func(name string) string { s, _ := data[name].(string); return s }
	return e.weChat.Pay(sandbox.Payment{
		Person: person, Mode: text("mode"), SignData: text("signData"), PaySig: text("paySig"), Signature: text("signature"),
		Push: strings.Join(push, ""),
	})
}

func TestAnOrderIsSignedAsAPhoneWantsIt(t *testing.T) {
	t.Parallel()
	service := answering(t, http.StatusOK, ordered(soup))
	e := newEdge(t, service.URL, sell)
	token := e.token(t, "alice")
	if paid := e.pay(t, token, "alice"); paid.ErrCode != 0 {
		t.Errorf("the phone says %+v", paid)
	}
	if paid := e.pay(t, token, "alice"); paid.ErrCode != -15002 {
		t.Errorf("the same order again: the phone says %+v, want -15002", paid)
	}
	status, answer := e.postText(t, signPath, token, `{"order":17}`)
	if data, _ := answer["data"].(map[string]any); status != http.StatusOK || data["signData"] != soup || data["mode"] != "short_series_goods" || len(data) != 4 {
		t.Errorf("got %d %v, want mode, signData byte for byte, paySig and signature", status, answer)
	}
}

func TestTheServiceLearnsWhoAsksForWhichOrder(t *testing.T) {
	t.Parallel()
	service := answering(t, http.StatusOK, ordered(soup))
	e := newEdge(t, service.URL, func(cfg *Config) {
		sell(cfg)
		cfg.Identity.Signed.Header = "X-Identity"
	})
	alice, bob := e.token(t, "alice"), e.token(t, "bob")
	orders := []string{`{"a": [1,  "汤"]}`, `{"a": [1,  "汤"]}`, `"18"`}
	for _, order := range orders {
		e.postText(t, signPath, alice, `{"order": `+order+`, "other": 1}`, "X-User-Id: 99", "X-Wxgate-Appid: wx9", "Accept-Encoding: gzip", "Idempotency-Key: mine")
	}
	e.postText(t, signPath, bob, `{"order": `+orders[0]+`}`)
	got := service.Requests()
	if len(got) != 4 {
		t.Fatalf("the service was asked %d times, want 4", len(got))
	}
	for i, order := range orders {
		if want := `{"order":` + order + `}`; !strings.HasPrefix(got[i].Head(), "POST /internal/orders/sign?by=wxgate HTTP/1.1\r\n") || string(got[i].Body) != want {
			t.Errorf("order %d: got %s%s, want %s", i, got[i].Head(), got[i].Body, want)
		}
	}
	first := got[0]
	for name, want := range map[string]string{"X-User-Id": "1", "X-User-Openid": e.weChat.OpenID("alice"), "Content-Type": "application/json", "Authorization": "Bearer " + alice, "Accept-Encoding": "", "X-Wxgate-Appid": ""} {
		if got := first.Field(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if first.Field("X-Identity") == "" || first.Field("X-Request-Id") == "" || first.Field("X-Forwarded-For") == "" {
		t.Errorf("got %s, want a signed identity, a request id and the client's address", first.Head())
	}
	if k := first.Field("Idempotency-Key"); !strings.HasPrefix(k, "order-") || got[1].Field("Idempotency-Key") != k || got[2].Field("Idempotency-Key") == k || got[3].Field("Idempotency-Key") == k {
		t.Errorf("Idempotency-Key: got %s, then %s, %s of another order, %s of bob", k, got[1].Field("Idempotency-Key"), got[2].Field("Idempotency-Key"), got[3].Field("Idempotency-Key"))
	}
}

func TestWhatIsNoPaymentOfOursIsNotSigned(t *testing.T) {
	t.Parallel()
	var log lockedLog
	replaced := func(was, by string) string { return ordered(strings.Replace(soup, was, by, 1)) }
	for name, c := range map[string]struct {
		status int
		text   string
		want   string
	}{
		"another offer":         {200, replaced(testOffer, "1"), "502 sign_data_invalid"},
		"env 2":                 {200, replaced(`"env": 0`, `"env": 2`), "502 sign_data_invalid"},
		"for somebody else":     {200, replaced(`"env": 0`, `"env": 0, "openid": "oSomebody"`), "502 sign_data_invalid"},
		"no currency":           {200, replaced("currencyType", "currency"), "502 sign_data_invalid"},
		"no mode":               {200, `{"signData":"{}"}`, "502 sign_data_invalid"},
		"an object as signData": {200, `{"mode":"m","signData":` + soup + `}`, "502 sign_data_invalid"},
		"no JSON":               {200, "secret-of-the-service", "502 sign_data_invalid"},
		"nothing":               {204, "", "502 sign_data_invalid"},
		"no such order":         {404, "secret-of-the-service", "409 order_refused"},
		"paid already":          {409, "secret-of-the-service", "409 order_refused"},
		"a failure":             {500, "secret-of-the-service", "502 upstream_invalid"},
		"a redirect":            {302, "", "502 upstream_invalid"},
		"a long answer":         {200, ordered(soup) + strings.Repeat(" ", maxOrderAnswer), "502 upstream_invalid"},
	} {
		e := newEdgeWith(t, answering(t, c.status, c.text).URL, sell, func(d *Deps) {
			d.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		status, answer := e.postText(t, signPath, e.token(t, "alice"), `{"order":17}`)
		if got := fmt.Sprintf("%d %v", status, answer["reason"]); got != c.want {
			t.Errorf("%s: got %s %v, want %s", name, got, answer, c.want)
		}
		if got := fmt.Sprint(answer); strings.Contains(got, "secret-of-the-service") || strings.Contains(got, "paySig") {
			t.Errorf("%s: the answer says %s", name, got)
		}
	}
	for _, hidden := range []string{testAppKey, testSandboxAppKey, "secret-of-the-service", "oSomebody", "order-17", "1450019686\""} {
		if got := log.String(); strings.Contains(got, hidden) {
			t.Errorf("the log has %q:\n%s", hidden, got)
		}
	}
}

func TestWhoMayHaveWhatSigned(t *testing.T) {
	t.Parallel()
	service := answering(t, http.StatusOK, ordered(soup))
	e := newEdge(t, service.URL, sell)
	alice := e.token(t, "alice")
	for name, c := range map[string]struct {
		token, body string
		want        string
	}{
		"nobody":                    {"", `{"order":1}`, "401 token_missing"},
		"without an order":          {alice, `{}`, "400 invalid_request"},
		"an empty order":            {alice, `{"order":null}`, "400 invalid_request"},
		"a long order":              {alice, `{"order":"` + strings.Repeat("x", 5000) + `"}`, "400 invalid_request"},
		"no object":                 {alice, `17`, "400 invalid_request"},
		"more than the body may be": {alice, `{"order":"` + strings.Repeat("x", 70_000) + `"}`, "413 body_too_large"},
	} {
		status, answer := e.postText(t, signPath, c.token, c.body)
		if got := fmt.Sprintf("%d %v", status, answer["reason"]); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	if n := len(service.Requests()); n != 0 {
		t.Errorf("the service was asked %d times, want never", n)
	}
	off := newEdge(t, service.URL, nil)
	if status, answer := off.postText(t, signPath, off.token(t, "alice"), `{"order":1}`); status != http.StatusNotFound || answer["reason"] != "no_route" {
		t.Errorf("without virtual_payment: %d %v, want 404 no_route", status, answer)
	}
}

func TestTheEnvOfAnOrderChoosesItsAppKey(t *testing.T) {
	t.Parallel()
	service := answering(t, http.StatusOK, ordered(strings.Replace(soup, `"env": 0`, `"env": 1`, 1)))
	e := newEdge(t, service.URL, sell)
	if paid := e.pay(t, e.token(t, "alice"), "alice"); paid.ErrCode != 0 {
		t.Errorf("the phone says %+v", paid)
	}
}

func TestAnOrderOfB2bIsSignedForItsOwnCall(t *testing.T) {
	t.Parallel()
	const data = `{"mchid":"1600000000","out_trade_no":"order-17","env":0}`
	service := answering(t, http.StatusOK, `{"mode":"retail_pay_goods","signData":"{\"mchid\":\"1600000000\",\"out_trade_no\":\"order-17\",\"env\":0}"}`)
	e := newEdge(t, service.URL, sell)
	_, answer := e.postText(t, signPath, e.token(t, "alice"), `{"order":17}`)
	signed, _ := answer["data"].(map[string]any)
	if signed["signData"] != data || signed["mode"] != "retail_pay_goods" {
		t.Fatalf("got %v", answer)
	}
	paySig, _ := signed["paySig"].(string)
	signature, _ := signed["signature"].(string)
	if paid := e.weChat.Pay(sandbox.Payment{Person: "alice", URI: "requestCommonPayment", SignData: data, PaySig: paySig, Signature: signature}); paid.ErrCode != 0 {
		t.Errorf("the phone says %+v", paid)
	}
}

// TestAKeyThatALoginElsewhereReplacedIsRenewedByOneLogin goes the way of a client: the phone says -15007, the silent login
// yields a new key, and the same order is signed again.
func TestAKeyThatALoginElsewhereReplacedIsRenewedByOneLogin(t *testing.T) {
	t.Parallel()
	e := newEdge(t, answering(t, http.StatusOK, ordered(soup)).URL, sell)
	token := e.token(t, "alice")
	e.loginElsewhere(t, "alice")
	if paid := e.pay(t, token, "alice"); paid.ErrCode != -15007 {
		t.Errorf("the phone says %+v, want -15007", paid)
	}
	if paid := e.pay(t, e.token(t, "alice"), "alice"); paid.ErrCode != 0 {
		t.Errorf("after a login: the phone says %+v", paid)
	}
}

// loginElsewhere replaces a person's session_key by a login that does not pass the gateway.
func (e *edge) loginElsewhere(t *testing.T, person string) {
	t.Helper()
	client, _ := e.deps.WeChat[testAppID].(*wechat.Client)
	if _, err := client.Code2Session(t.Context(), e.weChat.IssueCode(person)); err != nil {
		t.Fatal(err)
	}
}

func TestAKeyThatIsKnownToBeStaleSignsNothing(t *testing.T) {
	t.Parallel()
	for name, learn := range map[string]func(*testing.T, *operator){
		"by a check": func(t *testing.T, o *operator) {
			if got := o.want(t, "POST /api/users/1/session-key/check", "", http.StatusOK, ""); !strings.Contains(got.body, `"valid":false`) {
				t.Errorf("the check: %s", got.body)
			}
		},
		"by a call": func(t *testing.T, o *operator) {
			o.want(t, "POST /api/wechat/xpay/query_user_balance", fmt.Sprintf(`{"openid": "%s", "env": 0, "user_ip": "127.0.0.1"}`, o.weChat.OpenID("alice")),
				http.StatusConflict, "session_key_stale")
		},
	} {
		var asked atomic.Int32
		service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
			asked.Add(1)
			text := ordered(soup)
			return fmt.Sprintf("HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		})
		e := newEdge(t, service.URL, sell)
		o := &operator{e, e.operated(t), ""}
		token := e.token(t, "alice")
		e.loginElsewhere(t, "alice")
		learn(t, o)
		status, answer := e.postText(t, signPath, token, `{"order":17}`)
		if status != http.StatusConflict || answer["reason"] != "session_key_stale" || asked.Load() != 0 {
			t.Errorf("%s: got %d %v, and the service was asked %d times; want 409 session_key_stale, and never", name, status, answer, asked.Load())
		}
		o.want(t, "POST /api/users/1/session-key/sign", `{"data":"x"}`, http.StatusConflict, "session_key_stale")
		if paid := e.pay(t, e.token(t, "alice"), "alice"); paid.ErrCode != 0 {
			t.Errorf("%s, after a login: the phone says %+v", name, paid)
		}
	}
}

func TestAReloadChangesTheKeysOfPayments(t *testing.T) {
	t.Parallel()
	e := newEdge(t, answering(t, http.StatusOK, ordered(soup)).URL, sell)
	token := e.token(t, "alice")
	cfg := e.snapshot.Load().cfg
	cfg.VirtualPayments = map[string]wechat.VirtualPaymentConfig{testAppID: {OfferID: testOffer, AppKey: "new", Upstream: "service", Path: "/x"}}
	e.reload(t, cfg, map[string]*upstream.Upstream{"service": e.deps.Upstreams["service"]})
	if paid := e.pay(t, token, "alice"); paid.ErrCode != -15006 {
		t.Errorf("the phone says %+v, want -15006 of the new key", paid)
	}
}

func TestAServiceHasDataSignedByASessionKey(t *testing.T) {
	t.Parallel()
	var log lockedLog
	o := newOperatorWith(t, "", func(d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	o.login(t, "alice")
	got := o.want(t, "POST /api/users/1/session-key/sign", `{"data":"secret-data 汤","appid":"`+testAppID+`"}`, http.StatusOK, "")
	var data struct{ Signature string }
	if err := json.Unmarshal(got.json.Data, &data); err != nil || len(data.Signature) != 64 {
		t.Fatalf("got %s", got.body)
	}
	if paid := o.weChat.Pay(sandbox.Payment{
		Person: "alice", URI: "requestCommonPayment", SignData: `{"env":0}`,
		PaySig: wechat.PaySignature("requestCommonPayment", `{"env":0}`, testAppKey), Signature: signatureOf(t, o, `{"env":0}`),
	}); paid.ErrCode != 0 {
		t.Errorf("WeChat does not take the signature: %+v", paid)
	}
	o.want(t, "POST /api/users/1/session-key/sign", `{"data":"x","appid":"wx9"}`, http.StatusBadRequest, "invalid_request")
	o.want(t, "POST /api/users/1/session-key/sign", `{"data":1}`, http.StatusBadRequest, "invalid_request")
	o.want(t, "POST /api/users/1/session-key/sign", `{}`, http.StatusBadRequest, "invalid_request")
	o.want(t, "POST /api/users/9/session-key/sign", `{"data":"x"}`, http.StatusNotFound, "not_found")
	if got := log.String(); strings.Contains(got, "secret-data") || strings.Contains(got, data.Signature) || strings.Count(got, "admin signature") != 2 {
		t.Errorf("the log has\n%s\nwant two lines without what was signed", got)
	}
}

// signatureOf has data signed for user 1.
func signatureOf(t *testing.T, o *operator, text string) string {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"data": text})
	var data struct{ Signature string }
	_ = json.Unmarshal(o.want(t, "POST /api/users/1/session-key/sign", string(body), http.StatusOK, "").json.Data, &data)
	return data.Signature
}

func TestTheBrokerSignsCallsOfVirtualPayment(t *testing.T) {
	t.Parallel()
	var log lockedLog
	e := newEdgeWith(t, answering(t, http.StatusOK, ordered(soup)).URL, sell, func(d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	o := &operator{e, e.operated(t), ""}
	token := e.token(t, "alice")
	if paid := e.pay(t, token, "alice"); paid.ErrCode != 0 {
		t.Fatal(paid)
	}
	alice := e.weChat.OpenID("alice")
	for _, c := range []struct{ path, body, want string }{
		{"/xpay/query_order", `{"openid":  "%s", "env": 0, "order_id": "order-17"}`, `"status":2`},
		{"/xpay/query_user_balance", `{"openid":  "%s", "env": 0, "user_ip": "127.0.0.1"}`, `"balance":0`},
		{"/xpay/query_user_balance", `{"openid":  "%s", "env": 1, "user_ip": "127.0.0.1"}`, `"balance":0`},
		{"/retail/B2b/getorder", `{"openid":  "%s", "env": 0}`, `"body":"{\"openid\":  \"`},
		{"/xpay/query_order?pay_sig=theirs", `{"openid":  "%s", "env": 0, "order_id": "order-17"}`, "268490003"},
	} {
		if got := o.ask(t, "POST /api/wechat"+c.path, fmt.Sprintf(c.body, alice)); got.status != http.StatusOK || !strings.Contains(got.body, c.want) {
			t.Errorf("%s: got %d %s, want %s", c.path, got.status, got.body, c.want)
		}
	}
	o.want(t, "POST /api/wechat/xpay/query_user_balance", `{"openid":"oNobody","env":0}`, http.StatusNotFound, "not_found")
	o.want(t, "POST /api/wechat/xpay/query_order", `{"env":7}`, http.StatusBadRequest, "invalid_request")
	if got := log.String(); strings.Contains(got, alice) || strings.Contains(got, testAppKey) || !strings.Contains(got, "api=/xpay/query_order") {
		t.Errorf("the log has\n%s", got)
	}
}

// TestASignatureOfTheCallersOwnSaysNothingAboutOurKey is a call that a service has signed, wrongly, and for somebody unknown here.
func TestASignatureOfTheCallersOwnSaysNothingAboutOurKey(t *testing.T) {
	t.Parallel()
	e := newEdge(t, answering(t, http.StatusOK, ordered(soup)).URL, sell)
	o := &operator{e, e.operated(t), ""}
	e.token(t, "alice")
	if err := e.weChat.Fail(sandbox.Failure{API: "query_user_balance", Kinds: []string{"268490009"}}); err != nil {
		t.Fatal(err)
	}
	for _, openID := range []string{e.weChat.OpenID("alice"), "oNobody"} {
		got := o.want(t, "POST /api/wechat/xpay/query_user_balance?signature=theirs", fmt.Sprintf(`{"openid":"%s","env":0,"user_ip":"127.0.0.1"}`, openID), http.StatusOK, "")
		if !strings.Contains(got.body, "268490009") {
			t.Errorf("got %s, want WeChat's answer", got.body)
		}
	}
	o.want(t, "POST /api/users/1/session-key/sign", `{"data":"x"}`, http.StatusOK, "")
}

// TestASaleIsDeliveredByItsPush from the order to the service that delivers, which is not ready at first.
func TestASaleIsDeliveredByItsPush(t *testing.T) {
	t.Parallel()
	var pushed atomic.Int32
	service := upstreamtest.HTTP(t, func(r upstreamtest.Request) string {
		switch {
		case strings.HasPrefix(r.Head(), "POST /internal/orders/sign"):
			return upstreamtest.OK("application/json", ordered(soup))
		case !strings.Contains(string(r.Body), `"OutTradeNo":"order-17"`):
			t.Errorf("got %s", r.Body)
		case pushed.Add(1) == 1:
			return upstreamtest.OK("application/json", `{"ErrCode":1,"ErrMsg":"later"}`)
		}
		return upstreamtest.OK("application/json", `{"ErrCode":0,"ErrMsg":"success"}`)
	})
	e, _ := pushing(t, service, pushKey, sell)
	o := &operator{e, e.operated(t), ""}
	token := e.token(t, "alice")
	if paid := e.pay(t, token, "alice", "http://"+e.addr+push.Path); paid.ErrCode != 0 {
		t.Fatal(paid)
	}
	query := fmt.Sprintf(`{"openid":"%s","env":0,"order_id":"order-17"}`, e.weChat.OpenID("alice"))
	eventually(t, "WeChat knows that the order was delivered", func() bool {
		return strings.Contains(o.ask(t, "POST /api/wechat/xpay/query_order", query).body, `"status":4`)
	})
	if n := pushed.Load(); n != 2 {
		t.Errorf("the service got %d pushes, want 2", n)
	}
}

func TestAPlainDeliveryCountsOnlyIfWeChatKnowsTheOrder(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(r upstreamtest.Request) string {
		if strings.HasPrefix(r.Head(), "POST /internal/orders/sign") {
			return upstreamtest.OK("application/json", ordered(soup))
		}
		return upstreamtest.OK("application/json", `{"ErrCode":0,"ErrMsg":"success"}`)
	})
	e, opens := pushing(t, service, "", sell)
	if paid := e.pay(t, e.token(t, "alice"), "alice"); paid.ErrCode != 0 {
		t.Fatal(paid)
	}
	for name, c := range map[string]struct {
		openID, number string
		env, status    int
	}{
		"paid":               {e.weChat.OpenID("alice"), "order-17", 0, http.StatusOK},
		"an order made up":   {e.weChat.OpenID("alice"), "order-18", 0, http.StatusBadGateway},
		"another's order":    {e.weChat.OpenID("bob"), "order-17", 0, http.StatusBadGateway},
		"of another env":     {e.weChat.OpenID("alice"), "order-17", 1, http.StatusBadGateway},
		"an env of no order": {e.weChat.OpenID("alice"), "order-17", 7, http.StatusBadGateway},
	} {
		query, body, err := opens.Request(fmt.Appendf(nil, `{"ToUserName":"gh_1","FromUserName":"oOfficial","CreateTime":%d,"MsgType":"event","Event":"xpay_goods_deliver_notify","OpenId":"%s","OutTradeNo":"%s","Env":%d}`,
			time.Now().Unix(), c.openID, c.number, c.env), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if resp, text := e.send(t, pushRequest(query.Encode(), string(body))); resp.StatusCode != c.status {
			t.Errorf("%s: got %d %s, want %d", name, resp.StatusCode, text, c.status)
		}
	}
}

func TestNoLogKnowsWhatWasSigned(t *testing.T) {
	t.Parallel()
	var log, access lockedLog
	e := newEdgeWith(t, answering(t, http.StatusOK, ordered(soup)).URL, func(cfg *Config) { sell(cfg); cfg.Log.Access = true }, func(d *Deps) {
		d.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		d.Access = accesslog.New(&access, accesslog.JSON)
	})
	token := e.token(t, "alice")
	_, answer := e.postText(t, signPath, token, `{"order":"reference-of-an-order"}`)
	data, _ := answer["data"].(map[string]any)
	eventually(t, "the access line is there", func() bool { return strings.Contains(access.String(), signPath) })
	for _, hidden := range []any{data["paySig"], data["signature"], "reference-of-an-order", "order-17", testAppKey, testSandboxAppKey, e.weChat.OpenID("alice"), token} {
		text, _ := hidden.(string)
		if got := log.String() + access.String(); text == "" || strings.Contains(got, text) {
			t.Errorf("the logs have %q:\n%s", text, got)
		}
	}
	if got := fmt.Sprintf("%+v %v", e.snapshot.Load().cfg.VirtualPayments, e.snapshot.Load().cfg); strings.Contains(got, testAppKey) {
		t.Errorf("a configuration that is printed shows its keys")
	}
}
