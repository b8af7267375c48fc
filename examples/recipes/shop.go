package recipes

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	mostOrders  = 10000
	alreadyDone = 268490004 // WeChat's errcode for what was done before
)

// Shop says how the service sells recipes by virtual payment.
type Shop struct {
	OfferID string // wechat.virtual_payment.offer_id of the gateway
	Env     int    // 0: production, 1: the sandbox of virtual payment
	Admin   string // http://… of the gateway's admin listener, which signs calls of WeChat
	Token   string // of this service there, which may sign; "": the listener asks for none
}

// orderState is how far an order has come.
type orderState int

const (
	orderOpen orderState = iota
	orderPaid
	orderRefunding
	orderRefunded
)

// order is one recipe for one user. It keeps its number until it is paid and refunded: whoever pays one order twice, pays
// once.
type order struct {
	number string // WeChat's outTradeNo
	of     purchase
	openID string
	price  int // fen
	state  orderState
}

type purchase struct {
	userID string
	recipe int
}

// till keeps the orders.
type till struct {
	shop   Shop
	client *http.Client

	mu       sync.Mutex
	current  map[purchase]*order // the newest of each
	byNumber map[string]*order
}

func newTill(shop Shop) *till {
	return &till{
		shop: shop, client: &http.Client{Timeout: 10 * time.Second},
		current: map[purchase]*order{}, byNumber: map[string]*order{},
	}
}

// sells reports whether anything costs money here.
func (t *till) sells() bool { return t.shop.OfferID != "" }

// bought reports whether a recipe was delivered to a user and not given back.
func (t *till) bought(of purchase) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.current[of]
	return o != nil && (o.state == orderPaid || o.state == orderRefunding)
}

// begin returns the open order of a purchase, a new one if there is none.
func (t *till) begin(of purchase, openID string, price int) (order, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.current[of]
	switch {
	case o != nil && o.state == orderOpen:
		return *o, nil
	case o != nil && o.state != orderRefunded:
		return order{}, problem{http.StatusConflict, "bought", "已经买过了"}
	case len(t.byNumber) >= mostOrders:
		return order{}, problem{http.StatusServiceUnavailable, "till_full", "订单太多了"}
	}
	o = &order{number: "recipe-" + rand.Text()[:20], of: of, openID: openID, price: price}
	t.current[of], t.byNumber[o.number] = o, o
	return *o, nil
}

// change takes an order to a state from one of others; in any other state it stays. It reports whether there is such an
// order of that buyer.
func (t *till) change(number, openID string, to orderState, from ...orderState) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.byNumber[number]
	if o == nil || o.openID != openID {
		return false
	}
	if slices.Contains(from, o.state) {
		o.state = to
	}
	return true
}

// signData is what WeChat is asked to sell; the gateway signs this very text.
func (t *till) signData(o order) string {
	text, _ := json.Marshal(map[string]any{ // texts and numbers always encode
		"offerId": t.shop.OfferID, "env": t.shop.Env, "currencyType": "CNY", "outTradeNo": o.number, "attach": "",
		"productId": fmt.Sprint("recipe_", o.of.recipe), "goodsPrice": o.price, "buyQuantity": 1,
	})
	return string(text)
}

// refund asks WeChat to pay an order back. The recipe is taken back when WeChat pushes that it has.
func (t *till) refund(ctx context.Context, of purchase) error {
	t.mu.Lock()
	o := t.current[of]
	if o == nil || o.state != orderPaid {
		t.mu.Unlock()
		return problem{http.StatusConflict, "not_bought", "没有可以退款的订单"}
	}
	paid := *o
	t.mu.Unlock()
	errcode, err := t.ask(ctx, "/xpay/refund_order", map[string]any{
		"openid": paid.openID, "env": t.shop.Env, "order_id": paid.number, "refund_order_id": "refund-" + paid.number[len("recipe-"):],
		"left_fee": paid.price, "refund_fee": paid.price, "biz_meta": "", "refund_reason": "3", "req_from": "2",
	})
	if err != nil || errcode != 0 && errcode != alreadyDone {
		return problem{http.StatusBadGateway, "refund_failed", "退款没有成功，请稍后再试"}
	}
	t.change(paid.number, paid.openID, orderRefunding, orderPaid)
	return nil
}

// ask calls WeChat through the gateway, which adds the access_token and the signatures.
func (t *till) ask(ctx context.Context, path string, body map[string]any) (errcode int, err error) {
	text, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.shop.Admin+"/api/wechat"+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if t.shop.Token != "" {
		req.Header.Set("Authorization", "Bearer "+t.shop.Token)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct{ Errcode int }
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, largestBody)).Decode(&answer); err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the gateway answered %d", resp.StatusCode)
	}
	return answer.Errcode, nil
}
