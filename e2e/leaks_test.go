package e2e

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
	"wxgate/secret"
)

const (
	appKey        = "e2e-app-key-of-production"
	sandboxAppKey = "e2e-app-key-of-its-sandbox"
	keyOfTheDemo  = "keyOfTheSandbox" // begins each that the demo and the sandbox make
)

// secrets are what no log, no metric and no answer holds, whatever runs: all of it, or how all of its kind begin.
func secrets() map[string]string {
	return map[string]string{
		"an AppSecret": appSecret, "the AppSecret of the demo": "sandbox-secret-of-the-demo", "a signing key": jwtSecret, "the admin token": adminToken,
		"a session_key": sandbox.SessionKeyPrefix, "an AppKey": appKey, "the AppKey of a sandbox": sandboxAppKey, "a key of the demo": keyOfTheDemo,
		"an APIv3 key": payAPIKey, "what an APIv3 key sealed": payBuyer, "the Token of message push": pushToken, "an EncodingAESKey": pushKey,
		"words that were pushed": pushWords, "an encryption key": storageKey, "the password of a database": databasePassword,
	}
}

// leak is a form of a secret.
type leak struct{ what, text string }

// leaks are the secrets as they are, and as URLs, dumps and prints of bytes show them.
var leaks = allLeaks()

func allLeaks() (all []leak) {
	for what, text := range secrets() {
		for _, form := range []string{text, url.QueryEscape(text), hex.EncodeToString([]byte(text)), strings.Trim(fmt.Sprint([]byte(text)), "[]")} {
			if l := (leak{what, form}); !slices.Contains(all, l) {
				all = append(all, l)
			}
		}
	}
	return all
}

// leaked says which secrets a text holds, and what is before each.
func leaked(text string) (found []string) {
	for _, l := range leaks {
		if at := strings.Index(text, l.text); at >= 0 {
			found = append(found, fmt.Sprintf("%s behind …%s", l.what, text[max(0, at-100):at]))
		}
	}
	return found
}

// leaked says which secrets the log and the metrics of a process hold.
func (p *process) leaked() []string {
	return append(leaked(p.output.String()), leaked(p.scrape())...)
}

// scrape is what a process that runs counts, as far as it can be asked: some tests freeze it, or move its admin listener.
func (p *process) scrape() string {
	if p.admin == "" {
		return ""
	}
	req, err := http.NewRequest(http.MethodGet, p.admin+"/metrics", nil)
	if err != nil {
		return ""
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return string(text)
}

// keepsSecrets fails the test for each secret that a text holds.
func keepsSecrets(t *testing.T, what, text string) {
	t.Helper()
	for _, found := range leaked(text) {
		t.Errorf("%s holds %s", what, found)
	}
}

// TestAPlantedLeakIsFound wherever leaks are searched for, in each of their forms.
func TestAPlantedLeakIsFound(t *testing.T) {
	t.Parallel()
	found := func(where string, p *process, l leak) {
		t.Helper()
		if !slices.ContainsFunc(p.leaked(), func(s string) bool { return strings.HasPrefix(s, l.what) }) {
			t.Errorf("%s, as %s, is not found in %s", l.what, l.text, where)
		}
	}
	var planted string
	counts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "wxgate_requests_total{route=%q} 1\n", planted)
	}))
	defer counts.Close()
	for _, l := range leaks {
		logs, metrics := &process{output: new(lockedBuffer)}, &process{output: new(lockedBuffer), admin: counts.URL}
		_, _ = fmt.Fprintf(logs.output, `{"msg":"request","error":"asking WeChat: https://api.weixin.qq.com/?a=%s&b=1"}`, l.text)
		found("a log", logs, l)
		planted = l.text
		found("metrics", metrics, l)
	}
	w := newWorld(t)
	w.process = launch(t, exec.Command(binary, "serve", "-c", w.config)) // whose log nobody else searches
	w.waitServing(t)
	if got := w.leaked(); len(got) > 0 || !strings.Contains(w.scrape(), "wxgate_") {
		t.Errorf("before the leak: %v, and metrics %.100s", got, w.scrape())
	}
	w.call("GET", "/planted/"+sandboxAppKey, "", "")
	eventually(t, 20*time.Second, func() bool { return strings.Contains(w.output.String(), "/planted/") })
	found("the log of a gateway", w.process, leak{what: "the AppKey of a sandbox", text: sandboxAppKey})
}

// seller puts a service behind the gateway that says what is sold, and that is told of payments.
func seller(t *testing.T, w *world) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch says := string(body); {
		case strings.Contains(says, "refuse"), strings.Contains(says, "failed"):
			http.Error(rw, pushWords, http.StatusInternalServerError)
		case strings.Contains(says, "wrong"):
			_, _ = fmt.Fprintf(rw, `{"mode":"short_series_goods","signData":%q}`, pushWords)
		case r.URL.Path == "/wechat/push":
			_, _ = io.WriteString(rw, pushWords) // which WeChat would not understand
		default:
			const order = `{"offerId":"1","buyQuantity":1,"env":1,"currencyType":"CNY","productId":"soup","goodsPrice":1,"outTradeNo":"order-4711","attach":""}`
			_ = json.NewEncoder(rw).Encode(map[string]string{"mode": "short_series_goods", "signData": order})
		}
	}))
	t.Cleanup(s.Close)
	w.rewrite("limits:", fmt.Sprintf("  seller: %s\nlimits:", s.URL))
	w.rewrite("wechat: {", fmt.Sprintf("wechat: { push: { token: %s, aes_key: %s, upstream: seller }, virtual_payment: { offer_id: '1', app_key: %s, sandbox_app_key: %s, upstream: seller, path: /sign },",
		pushToken, pushKey, appKey, sandboxAppKey))
}

// TestNothingOfAPaymentIsSaid has all the keys in use while every call about money fails as it can, with a log of everything.
func TestNothingOfAPaymentIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seller(t, w)
	w.rewrite("limits:", "log: { level: debug }\nlimits:")
	w.serve()
	pays := payer{w, w.login("alice"), w.weChat.OpenID("alice")}
	for _, kind := range []string{"", "-1", "268490009", "html", "reset", "cut"} {
		failure := sandbox.Failure{Kinds: []string{kind}}
		if kind == "" {
			failure.Kinds = nil
		}
		if err := w.weChat.Fail(failure); err != nil {
			t.Fatal(err)
		}
		pays.asks(kind)
		pays.signs(kind)
		pays.isTold()
	}
	_ = w.weChat.Close()
	pays.asks("away")
	if said := w.output.String(); strings.Contains(said, pays.openID) || !strings.Contains(said, "sign_data_invalid") || !strings.Contains(said, `"wechat call"`) {
		t.Errorf("the log holds an openid, or none of the failures:\n%.2000s", said)
	}
}

// payer is a person who pays, and the services behind that.
type payer struct {
	*world
	token, openID string
}

// signs asks for signatures: of a good order, of one that the service describes wrongly, of one that it fails on.
func (p payer) signs(kind string) {
	p.t.Helper()
	for order, status := range map[string]int{"4711": http.StatusOK, "wrong": http.StatusBadGateway, "failed": http.StatusBadGateway} {
		got := p.call("POST", "/api/v1/pay/virtual/sign", p.token, fmt.Sprintf(`{"order":%q}`, order))
		if got.status != status && !(kind != "" && got.json["reason"] == "session_key_stale") {
			p.t.Errorf("with WeChat %s, order %s: %d %s, want %d", kind, order, got.status, got.body, status)
		}
	}
}

// asks has services call WeChat.
func (p payer) asks(kind string) {
	p.t.Helper()
	public := p.url
	p.url = p.admin
	defer func() { p.url = public }()
	for path, body := range map[string]string{
		"/api/users/1/session-key/sign":         fmt.Sprintf(`{"data":%q}`, pushWords),
		"/api/users/1/session-key/check":        "",
		"/api/wechat/xpay/query_user_balance":   fmt.Sprintf(`{"openid":%q,"env":1,"user_ip":"127.0.0.1"}`, p.openID),
		"/api/wechat/xpay/query_order":          fmt.Sprintf(`{"openid":%q,"env":0,"order_id":"order-4711"}`, p.openID),
		"/api/wechat/xpay/refund_order":         fmt.Sprintf(`{"env":%q}`, pushWords),
		"/api/wechat/wxa/resetusersessionkey":   "",
		"/api/wechat/wxa/checksession":          "",
		"/api/wechat/xpay/currency_pay?pay_sig": fmt.Sprintf(`{"openid":%q,"env":0}`, p.openID),
	} {
		got := p.call("POST", path, "", body)
		if strings.Contains(path, "query_order") && kind == "" && got.status != http.StatusOK {
			p.t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
}

// isTold pushes messages: one that is taken, ones that the service refuses, and one that another key sealed.
func (p payer) isTold() {
	p.t.Helper()
	for message, taken := range map[string]bool{
		`{"MsgType":"text","MsgId":%d,"Content":"` + pushWords + `"}`:                                         true,
		`{"MsgType":"text","MsgId":%d,"Content":"refuse ` + pushWords + `"}`:                                  false,
		`{"Event":"xpay_goods_deliver_notify","OutTradeNo":"order-%d","Attach":"` + pushWords + `"}`:          false,
		`{"MsgType":"text","MsgId":%d,"Content":"` + pushWords + `","Sealed":"by another key than this one"}`: false,
	} {
		key := secret.Text(pushKey)
		if strings.Contains(message, "another key") {
			key = secret.Text(pushKey[1:] + "x")
		}
		push, err := wechat.NewPush(appID, pushToken, key)
		if err != nil {
			p.t.Fatal(err)
		}
		query, body, err := push.Request(fmt.Appendf(nil, message, time.Now().UnixNano()), time.Now())
		if err != nil {
			p.t.Fatal(err)
		}
		if got := p.call("POST", "/wechat/push?"+query.Encode(), "", string(body)); (got.status == http.StatusOK) != taken {
			p.t.Errorf("%s: %d %s", message, got.status, got.body)
		}
	}
}
