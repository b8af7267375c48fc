package sandbox

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/secret"
)

const (
	soldKey        = "app-key-of-production"
	soldSandboxKey = "app-key-of-the-sandbox"
	soldAESKey     = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

// newShop runs a sandbox that sells.
func newShop(t *testing.T, aesKey secret.Text) *Sandbox {
	t.Helper()
	s, err := New(Config{
		AppID: "wx4f4bc4dec97d474b", Secret: "secret-of-the-app", OfferID: "14500", AppKey: soldKey, SandboxAppKey: soldSandboxKey,
		PushToken: "push-token", PushAESKey: aesKey, PushRetry: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// loggedIn logs a person in and returns the session_key.
func (s *Sandbox) loggedIn(person string) string { return s.backend.Load().keys.renew(person) }

// payment signs an order as a gateway does.
func payment(sessionKey, number string, change ...func(*Payment)) Payment {
	p := Payment{Person: "alice", Mode: modeGoods, SignData: fmt.Sprintf(
		`{"offerId":"14500","buyQuantity":2,"env":0,"currencyType":"CNY","productId":"soup","goodsPrice":100,"outTradeNo":"%s","attach":"a"}`, number)}
	for _, c := range change {
		c(&p)
	}
	if p.PaySig == "" {
		p.PaySig = wechat.PaySignature(wechat.PayVirtual, p.SignData, soldKey)
	}
	if p.Signature == "" {
		p.Signature = wechat.HMACSignature(p.SignData, sessionKey)
	}
	return p
}

func TestAPhoneRefusesWhatIsSignedWrongly(t *testing.T) {
	t.Parallel()
	s := newShop(t, "")
	old := s.loggedIn("alice")
	key := s.loggedIn("alice")
	replaced := func(was, by string) func(*Payment) {
		return func(p *Payment) { p.SignData = strings.Replace(p.SignData, was, by, 1) }
	}
	for name, c := range map[string]struct {
		key    string
		change func(*Payment)
		want   int
	}{
		"all is well":                   {key, func(*Payment) {}, 0},
		"the key before":                {old, func(*Payment) {}, paidSession},
		"nobody's key":                  {"bm9ib2R5", func(*Payment) {}, paidSignature},
		"who never logged in":           {key, func(p *Payment) { p.Person = "bob" }, paidSession},
		"another AppKey":                {key, func(p *Payment) { p.PaySig = wechat.PaySignature(wechat.PayVirtual, p.SignData, "other") }, paidPaySig},
		"production's key, env 1":       {key, replaced(`"env":0`, `"env":1`), paidPaySig},
		"signed for a server":           {key, func(p *Payment) { p.PaySig = wechat.PaySignature("/requestVirtualPayment", p.SignData, soldKey) }, paidPaySig},
		"encoded again after signing":   {key, func(p *Payment) { *p = payment(key, "order-again"); p.SignData += " " }, paidPaySig},
		"another offer":                 {key, replaced("14500", "14501"), paidParameter},
		"an offer as a number":          {key, replaced(`"14500"`, `14500`), paidSignData},
		"dollars":                       {key, replaced("CNY", "USD"), paidCurrency},
		"a mode that does not exist":    {key, func(p *Payment) { p.Mode = "gift" }, paidParameter},
		"a number that is too short":    {key, replaced("order-", "o"), paidParameter},
		"a product without a price":     {key, replaced(`"goodsPrice":100,`, ``), paidParameter},
		"a number that begins with a _": {key, replaced(`"order-`, `"_order-`), paidParameter},
	} {
		number := fmt.Sprintf("order-%s", strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' {
				return r
			}
			return '-'
		}, name)[:min(len(name), 10)])
		if name == "a number that is too short" {
			number = "order-1"
		}
		if got := s.Pay(payment(c.key, number, c.change)); got.ErrCode != c.want {
			t.Errorf("%s: got %+v, want %d", name, got, c.want)
		}
	}
	if got := s.Pay(payment(key, "order-twice")); got.ErrCode != 0 {
		t.Errorf("the first time: %+v", got)
	}
	if got := s.Pay(payment(key, "order-twice")); got.ErrCode != paidUsed {
		t.Errorf("the second time: %+v, want %d", got, paidUsed)
	}
}

// TestAPaymentIsPushedUntilItIsTaken by a service that answers badly at first, and then as WeChat wants it, plain or sealed.
func TestAPaymentIsPushedUntilItIsTaken(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]secret.Text{"plain": "", "sealed": soldAESKey} {
		var came atomic.Int32
		s := newShop(t, key)
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			opened, err := s.push.Open(r.URL.Query(), body)
			if err != nil || !strings.Contains(string(opened.Body), `"Event":"xpay_goods_deliver_notify"`) || !strings.Contains(string(opened.Body), `"OutTradeNo":"order-1234"`) {
				t.Errorf("%s: got %s %v", name, opened.Body, err)
			}
			answers := []string{"success", `{"ErrCode":1,"ErrMsg":"later"}`, "", `{"ErrCode":0,"ErrMsg":"success"}`}
			answer := answers[min(int(came.Add(1)), len(answers))-1]
			if sealed, err := s.push.Seal([]byte(answer), time.Now()); err == nil && strings.HasPrefix(answer, "{") {
				answer = string(sealed.JSON())
			}
			_, _ = io.WriteString(w, answer)
		}))
		t.Cleanup(service.Close)
		paid := s.Pay(payment(s.loggedIn("alice"), "order-1234", func(p *Payment) { p.Push = service.URL }))
		if paid.ErrCode != 0 {
			t.Fatalf("%s: %+v", name, paid)
		}
		s.notices.Wait()
		if o := s.backend.Load().orders.find("order-1234", "", 0); o.status != orderDelivered || came.Load() != 4 {
			t.Errorf("%s: status %d after %d pushes, want %d after 4", name, o.status, came.Load(), orderDelivered)
		}
	}
}

func TestAnAnswerInXMLIsTaken(t *testing.T) {
	t.Parallel()
	s := newShop(t, soldAESKey)
	const taken = `<xml><ErrCode>0</ErrCode><ErrMsg><![CDATA[success]]></ErrMsg></xml>`
	sealed, err := s.push.Seal([]byte(taken), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]bool{
		taken: true, string(sealed.XML()): true, `<xml><ErrCode>1</ErrCode></xml>`: false, `{}`: false, "success": false, "": false,
	} {
		if got := s.taken(answer); got != want {
			t.Errorf("%q: got %v, want %v", answer, got, want)
		}
	}
}

// xpay calls the server's API, signed as asked.
func (s *Sandbox) xpay(t *testing.T, name, body, appKey, sessionKey string) string {
	t.Helper()
	token, _, _ := s.backend.Load().tokens.stable(false)
	query := url.Values{"access_token": {token}, "pay_sig": {wechat.PaySignature("/xpay/"+name, body, appKey)}}
	if sessionKey != "" {
		query.Set("signature", wechat.HMACSignature(body, sessionKey))
	}
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Post(s.URL()+"/xpay/"+name+"?"+query.Encode(), "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(resp.Body)
	return string(answer)
}

func TestTheServersCallsOfVirtualPayment(t *testing.T) {
	t.Parallel()
	s := newShop(t, "")
	old := s.loggedIn("alice")
	key, alice := s.loggedIn("alice"), s.OpenID("alice")
	for _, number := range []string{"order-goods", "order-coins"} {
		if paid := s.Pay(payment(key, number, func(p *Payment) {
			if number == "order-coins" {
				p.Mode = modeCoins
			}
		})); paid.ErrCode != 0 {
			t.Fatal(paid)
		}
	}
	of := func(more string) string { return fmt.Sprintf(`{"openid":"%s","env":0,%s}`, alice, more) }
	refund := of(`"order_id":"order-goods","refund_order_id":"refund-1","left_fee":200,"refund_fee":200,"refund_reason":"1","req_from":"2"`)
	for _, c := range []struct{ name, body, appKey, sessionKey, want string }{
		{"query_order", of(`"order_id":"order-goods"`), soldKey, "", `"status":2`},
		{"query_order", of(`"order_id":"order-goods"`), soldSandboxKey, "", "268490003"},
		{"query_order", of(`"order_id":"order-other"`), soldKey, "", "268490002"},
		{"notify_provide_goods", of(`"order_id":"order-goods"`), soldKey, "", `"errcode":0`},
		{"query_order", of(`"order_id":"order-goods"`), soldKey, "", `"status":4`},
		{"refund_order", strings.Replace(refund, `"left_fee":200`, `"left_fee":100`, 1), soldKey, "", "268490016"},
		{"refund_order", refund, soldKey, "", `"refund_order_id":"refund-1"`},
		{"refund_order", refund, soldKey, "", "268490004"},
		{"query_order", of(`"order_id":"order-goods"`), soldKey, "", `"status":5`},
		{"query_user_balance", of(`"user_ip":"127.0.0.1"`), soldKey, key, `"balance":2`},
		{"query_user_balance", of(`"user_ip":"127.0.0.1"`), soldKey, old, "268490009"},
		{"query_user_balance", of(`"user_ip":"127.0.0.1"`), soldKey, "other", "268490003"},
		{"query_user_balance", of(`"user_ip":"127.0.0.1"`), soldKey, "", "268490003"},
		{"currency_pay", of(`"order_id":"spend-1","amount":3`), soldKey, key, "268490006"},
		{"currency_pay", of(`"order_id":"spend-1","amount":2`), soldKey, key, `"balance":0`},
		{"currency_pay", of(`"order_id":"spend-1","amount":2`), soldKey, key, "268490004"},
		{"cancel_currency_pay", of(`"order_id":"back-1","pay_order_id":"spend-1","amount":1`), soldKey, key, `"order_id":"back-1"`},
		{"query_user_balance", of(`"user_ip":"127.0.0.1"`), soldKey, key, `"balance":1`},
		{"download_bill", `{"begin_ds":20260101}`, soldKey, "", `"echo"`},
	} {
		if got := s.xpay(t, c.name, c.body, c.appKey, c.sessionKey); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: got %s, want %s in it", c.name, c.body, got, c.want)
		}
	}
}
