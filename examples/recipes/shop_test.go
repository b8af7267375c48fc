package recipes

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	buyer = "X-User-Id: 7"
	perch = 4 // the recipe that is sold
)

// shopkeeper is a kitchen that sells, and the gateway's admin listener, which answers errcode.
type shopkeeper struct {
	kitchen
	errcode int
	refunds []string // bodies of the calls
}

func newShopkeeper(t *testing.T) *shopkeeper {
	t.Helper()
	s := new(shopkeeper)
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") != "Bearer the-token-of-the-recipes" {
			t.Errorf("the call has %q", r.Header["Authorization"])
		}
		s.refunds = append(s.refunds, r.URL.Path+" "+string(body))
		fmt.Fprintf(w, `{"errcode":%d,"errmsg":""}`, s.errcode)
	}))
	t.Cleanup(admin.Close)
	shop := Shop{OfferID: "1450000001", Env: 1, Admin: admin.URL, Token: "the-token-of-the-recipes"}
	s.kitchen = kitchen{t, newService(Options{Shop: shop}, time.Now).routes()}
	return s
}

// post sends what only the gateway can, and returns the status and the body.
func (s *shopkeeper) post(path, body string, headers ...string) (status int, answer string) {
	s.t.Helper()
	request := httptest.NewRequestWithContext(s.t.Context(), "POST", path, strings.NewReader(body))
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	recorder := httptest.NewRecorder()
	s.handler.ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String()
}

// sign begins an order of user 7, and returns its outTradeNo.
func (s *shopkeeper) sign() string {
	s.t.Helper()
	status, answer := s.post("/internal/orders/sign", `{"order":{"recipe":4}}`, buyer, "X-User-Openid: o7")
	var said struct{ Mode, SignData string }
	var order struct {
		OfferID    string `json:"offerId"`
		Env        int    `json:"env"`
		GoodsPrice int    `json:"goodsPrice"`
		OutTradeNo string `json:"outTradeNo"`
	}
	if json.Unmarshal([]byte(answer), &said) != nil || json.Unmarshal([]byte(said.SignData), &order) != nil || status != http.StatusOK {
		s.t.Fatalf("got %d %s, want mode and signData", status, answer)
	}
	if said.Mode != "short_series_goods" || order.OfferID != "1450000001" || order.Env != 1 || order.GoodsPrice != 100 || len(order.OutTradeNo) > 32 {
		s.t.Errorf("got %s", answer)
	}
	return order.OutTradeNo
}

func (s *shopkeeper) push(event, openID, number string) string {
	s.t.Helper()
	_, answer := s.post("/wechat/push", fmt.Sprintf(`{"MsgType":"event","Event":%q,"OpenId":%q,"OutTradeNo":%[3]q,"MchOrderId":%[3]q,"RetCode":0}`, event, openID, number))
	return answer
}

// bought reports whether user 7 can read the recipe that is sold.
func (s *shopkeeper) bought() bool {
	s.t.Helper()
	seen := data[recipe](s.t, s.call("GET", fmt.Sprint("/api/v1/recipes/", perch), "", buyer))
	if seen.Price != 100 || seen.Bought != (len(seen.Steps) > 0) {
		s.t.Errorf("got price %d, bought %t and %d steps", seen.Price, seen.Bought, len(seen.Steps))
	}
	return seen.Bought
}

func TestARecipeIsDeliveredWhenWeChatPushesAndOnce(t *testing.T) {
	t.Parallel()
	s := newShopkeeper(t)
	number := s.sign()
	if again := s.sign(); again != number {
		t.Errorf("the same order has the numbers %s and %s: it could be paid twice", number, again)
	}
	if s.bought() {
		t.Error("delivered before it was paid")
	}
	for _, fault := range [][2]string{{"o8", number}, {"o7", "recipe-of-nobody"}} {
		if got := s.push("xpay_goods_deliver_notify", fault[0], fault[1]); !strings.Contains(got, `"ErrCode":1`) || s.bought() {
			t.Errorf("%v: got %q", fault, got)
		}
	}
	for range 2 {
		if got := s.push("xpay_goods_deliver_notify", "o7", number); got != "" || !s.bought() {
			t.Errorf("got %q and bought %t, want nothing and true", got, s.bought())
		}
	}
	if status, answer := s.post("/internal/orders/sign", `{"order":{"recipe":4}}`, buyer); status != http.StatusConflict {
		t.Errorf("a recipe that was bought: got %d %s, want 409", status, answer)
	}
}

func TestARefundTakesTheRecipeBackWhenWeChatPushes(t *testing.T) {
	t.Parallel()
	s := newShopkeeper(t)
	refund := func() int { return s.call("POST", "/api/v1/recipes/4/refund", "", buyer).status }
	if got := refund(); got != http.StatusConflict {
		t.Errorf("nothing was bought: got %d, want 409", got)
	}
	number := s.sign()
	s.push("xpay_goods_deliver_notify", "o7", number)
	s.errcode = -1
	if got := refund(); got != http.StatusBadGateway || !s.bought() {
		t.Errorf("WeChat refuses: got %d, want 502 and the recipe", got)
	}
	s.errcode = alreadyDone
	if got := refund(); got != http.StatusOK || !s.bought() {
		t.Errorf("got %d and bought %t, want 200, and the recipe until WeChat has paid back", got, s.bought())
	}
	if last := s.refunds[len(s.refunds)-1]; !strings.HasPrefix(last, "/api/wechat/xpay/refund_order ") || !strings.Contains(last, number) || !strings.Contains(last, `"left_fee":100`) {
		t.Errorf("WeChat was asked %s", last)
	}
	s.push("xpay_refund_notify", "o7", number)
	s.push("xpay_goods_deliver_notify", "o7", number) // late
	if s.bought() {
		t.Error("the money is back, and the recipe is still there")
	}
	if again := s.sign(); again == number {
		t.Error("an order that was paid back is sold again under its number, which WeChat refuses")
	}
}

func TestOnlyWhatIsForSaleIsSold(t *testing.T) {
	t.Parallel()
	s := newShopkeeper(t)
	for body, want := range map[string]int{`{"order":{"recipe":1}}`: 400, `{"order":{"recipe":99}}`: 404, `{"order":7}`: 400, `{`: 400} {
		if status, answer := s.post("/internal/orders/sign", body, buyer); status != want {
			t.Errorf("%s: got %d %s, want %d", body, status, answer, want)
		}
	}
	if status, _ := s.post("/internal/orders/sign", `{"order":{"recipe":4}}`); status != http.StatusUnauthorized {
		t.Errorf("nobody: got %d, want 401", status)
	}
	if status, _ := s.post("/wechat/push", `{"MsgType":"text"}`); status != http.StatusOK {
		t.Errorf("a message of another kind: got %d, want 200", status)
	}
	free := kitchen{t, New()}
	if got := data[recipe](t, free.call("GET", "/api/v1/recipes/4", "")); got.Price != 0 || len(got.Steps) == 0 {
		t.Errorf("without a shop: got price %d and %d steps", got.Price, len(got.Steps))
	}
}
