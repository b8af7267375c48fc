package sandbox

import (
	"encoding/json"
	"io"
	"net/http"

	"wxgate/authn/wechat"
)

// payBody are the members of a call of virtual payment.
type payBody struct {
	OpenID        string `json:"openid"`
	Env           int    `json:"env"`
	UserIP        string `json:"user_ip"`
	OrderID       string `json:"order_id"`
	WxOrderID     string `json:"wx_order_id"`
	PayOrderID    string `json:"pay_order_id"`
	Amount        int    `json:"amount"`
	RefundOrderID string `json:"refund_order_id"`
	LeftFee       int    `json:"left_fee"`
	RefundFee     int    `json:"refund_fee"`
}

// cashier answers the calls of servers about payments.
type cashier struct {
	backend func() *backend
	notify  func(*order, payEvent) // tells whoever was named when the order was paid
}

// call is POST /xpay/<name>: the signatures count before anything else.
func (c cashier) call(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body) // rehearse has read it before
	var body payBody
	if err != nil || json.Unmarshal(text, &body) != nil {
		writeError(w, wechat.ErrCodePayParameter, false)
		return
	}
	if errcode := c.paySignatureFault(r, string(text), body); errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	calls := map[string]func(payBody) (map[string]any, int){
		"query_order": c.queryOrder, "refund_order": c.refundOrder, "notify_provide_goods": c.provideGoods,
		"query_user_balance": c.queryBalance, "currency_pay": c.payCoins, "cancel_currency_pay": c.returnCoins,
	}
	call, known := calls[r.PathValue("name")]
	if !known {
		writeOK(w, map[string]any{"echo": map[string]any{"path": r.URL.Path, "body": string(text)}})
		return
	}
	answer, errcode := call(body)
	if errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	writeOK(w, answer)
}

// commonCall is POST /retail/B2b/<name>, of which the sandbox knows the signature alone.
func (c cashier) commonCall(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	var body payBody
	if err != nil || json.Unmarshal(text, &body) != nil {
		writeError(w, wechat.ErrCodeMalformedBody, false)
		return
	}
	if !c.backend().signedPay(r.URL.Path, string(text), body.Env, r.URL.Query().Get("pay_sig")) {
		writeError(w, wechat.ErrCodePayCommonSig, false)
		return
	}
	writeOK(w, map[string]any{"echo": map[string]any{"path": r.URL.Path, "body": string(text)}})
}

// paySignatureFault is the errcode for signatures that do not fit.
func (c cashier) paySignatureFault(r *http.Request, text string, body payBody) int {
	b, query := c.backend(), r.URL.Query()
	if !b.signedPay(r.URL.Path, text, body.Env, query.Get("pay_sig")) {
		return wechat.ErrCodePaySignature
	}
	switch r.PathValue("name") {
	case "query_user_balance", "currency_pay", "cancel_currency_pay":
	default:
		return wechat.CodeOK
	}
	person := b.keys.owner(body.OpenID)
	if person == "" {
		return wechat.ErrCodePayOpenID
	}
	switch b.keys.check(person, text, query.Get("signature")) {
	case fitsNow:
		return wechat.CodeOK
	case fitsExpired:
		return wechat.ErrCodePaySession
	}
	return wechat.ErrCodePaySignature
}

// queryOrder is the page "query_order". env_type is 1 in production and 2 in the sandbox, unlike env.
func (c cashier) queryOrder(body payBody) (map[string]any, int) {
	b := c.backend()
	o := b.orders.find(body.OrderID, body.WxOrderID, body.Env)
	if o == nil || body.OpenID != openID(b.cfg.AppID, o.person) {
		return nil, wechat.ErrCodePayParameter
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	answer := map[string]any{
		"order_id": o.OutTradeNo, "wx_order_id": o.wxOrderID, "status": o.status, "order_type": 0, "env_type": o.Env + 1,
		"order_fee": o.fee(), "paid_fee": o.fee(), "left_fee": o.fee() - o.refunded, "paid_time": o.paidAt.Unix(),
		"create_time": o.paidAt.Unix(), "biz_meta": o.Attach,
	}
	if !o.delivered.IsZero() {
		answer["provide_time"] = o.delivered.Unix()
	}
	return map[string]any{"order": answer}, wechat.CodeOK
}

// refundOrder is the page "refund_order". The refund is done at once, which is pushed like the payment.
func (c cashier) refundOrder(body payBody) (map[string]any, int) {
	b := c.backend()
	o := b.orders.find(body.OrderID, body.WxOrderID, body.Env)
	if o == nil || body.OpenID != openID(b.cfg.AppID, o.person) || len(body.RefundOrderID) < minTradeNo || body.RefundFee < 1 {
		return nil, wechat.ErrCodePayParameter
	}
	if errcode := o.refund(body); errcode != wechat.CodeOK {
		return nil, errcode
	}
	c.notify(o, eventRefund)
	return map[string]any{
		"refund_order_id": body.RefundOrderID, "refund_wx_order_id": "r" + o.wxOrderID, "pay_order_id": o.OutTradeNo, "pay_wx_order_id": o.wxOrderID,
	}, wechat.CodeOK
}

func (o *order) refund(body payBody) (errcode int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	left := o.fee() - o.refunded
	switch {
	case o.refunds[body.RefundOrderID]:
		return wechat.ErrCodePayRepeated
	case body.LeftFee != left || body.RefundFee > left:
		return wechat.ErrCodePayLeftFee
	}
	o.refunds[body.RefundOrderID] = true
	if o.refunded += body.RefundFee; o.refunded == o.fee() {
		o.status = orderRefunded
	}
	return wechat.CodeOK
}

// provideGoods is the page "notify_provide_goods", for a push that was not answered.
func (c cashier) provideGoods(body payBody) (map[string]any, int) {
	b := c.backend()
	o := b.orders.find(body.OrderID, body.WxOrderID, body.Env)
	if o == nil {
		return nil, wechat.ErrCodePayParameter
	}
	o.deliver(b.clock.now())
	return nil, wechat.CodeOK
}

// queryBalance is the page "query_user_balance".
func (c cashier) queryBalance(body payBody) (map[string]any, int) {
	l := c.backend().orders
	l.mu.Lock()
	defer l.mu.Unlock()
	return map[string]any{"balance": l.coins[c.walletOf(body)], "present_balance": 0}, wechat.CodeOK
}

func (c cashier) walletOf(body payBody) wallet {
	return wallet{c.backend().keys.owner(body.OpenID), body.Env}
}

// payCoins is the page "currency_pay".
func (c cashier) payCoins(body payBody) (map[string]any, int) {
	l, of := c.backend().orders, c.walletOf(body)
	l.mu.Lock()
	defer l.mu.Unlock()
	_, paid := l.spent[body.OrderID]
	switch {
	case body.OrderID == "" || body.Amount < 1:
		return nil, wechat.ErrCodePayParameter
	case paid:
		return nil, wechat.ErrCodePayRepeated
	case l.coins[of] < body.Amount:
		return nil, wechat.ErrCodePayBalance
	}
	l.coins[of] -= body.Amount
	l.spent[body.OrderID] = body.Amount
	return map[string]any{"order_id": body.OrderID, "balance": l.coins[of]}, wechat.CodeOK
}

// returnCoins is the page "cancel_currency_pay".
func (c cashier) returnCoins(body payBody) (map[string]any, int) {
	l, of := c.backend().orders, c.walletOf(body)
	l.mu.Lock()
	defer l.mu.Unlock()
	paid, known := l.spent[body.PayOrderID]
	switch {
	case !known || body.Amount < 1 || body.Amount > paid:
		return nil, wechat.ErrCodePayParameter
	case l.spent[body.OrderID] < 0:
		return nil, wechat.ErrCodePayRepeated
	}
	l.spent[body.PayOrderID] -= body.Amount
	l.spent[body.OrderID] = -body.Amount
	l.coins[of] += body.Amount
	return map[string]any{"order_id": body.OrderID}, wechat.CodeOK
}
