package sandbox

import (
	"crypto/hmac"
	"encoding/json"
	"regexp"
	"sync"
	"time"

	"wxgate/authn/wechat"
)

// Payment is what a mini-program hands to wx.requestVirtualPayment, on whose phone, and where WeChat pushes messages to.
type Payment struct {
	Person    string `json:"person"`
	URI       string `json:"uri"` // requestCommonPayment, of which the signatures alone are checked; empty: requestVirtualPayment
	Mode      string `json:"mode"`
	SignData  string `json:"signData"`
	PaySig    string `json:"paySig"`
	Signature string `json:"signature"`
	Push      string `json:"push"` // an http URL; empty: nobody hears of the payment
}

// Paid is what the phone says: ErrCode 0 once it is paid, else an errCode of the page "wx.requestVirtualPayment".
type Paid struct {
	ErrCode int    `json:"errCode"`
	ErrMsg  string `json:"errMsg"`
}

// The errCodes of the phone.
const (
	paidParameter    = -15001
	paidUsed         = -15002
	paidCurrency     = -15004
	paidSignature    = -15005
	paidPaySig       = -15006
	paidSession      = -15007
	paidSignData     = -15016
	modeGoods        = "short_series_goods"
	modeCoins        = "short_series_coin"
	minTradeNo       = 8
	currencyOfOrders = "CNY"
)

// signData is the text that both signatures cover.
type signData struct {
	OfferID      string `json:"offerId"`
	BuyQuantity  int    `json:"buyQuantity"`
	Env          int    `json:"env"`
	CurrencyType string `json:"currencyType"`
	OutTradeNo   string `json:"outTradeNo"`
	Attach       string `json:"attach"`
	ProductID    string `json:"productId"`
	GoodsPrice   int    `json:"goodsPrice"` // in fen
}

// Pay pays an order as a phone does: the signatures are checked, nothing of signData counts before they fit, and delivery
// is asked for by push alone. Whoever is asked is named in p, and answers {"ErrCode":0}, sealed or not.
func (s *Sandbox) Pay(p Payment) Paid {
	b := s.backend.Load()
	if p.URI == wechat.PayCommon {
		return b.payCommon(p)
	}
	data, errCode, why := b.checkPayment(p)
	if errCode != 0 {
		return Paid{errCode, "requestVirtualPayment:fail " + why}
	}
	paid := newOrder(p, data, b.clock.now())
	if !b.orders.add(paid) {
		return Paid{paidUsed, "requestVirtualPayment:fail outTradeNo was used before"}
	}
	s.tell(paid, eventDelivery)
	return Paid{0, "requestVirtualPayment:ok"}
}

// checkPayment returns the errCode with which a phone refuses a payment, 0 for none.
func (b *backend) checkPayment(p Payment) (data signData, errCode int, why string) {
	if json.Unmarshal([]byte(p.SignData), &data) != nil {
		return data, paidSignData, "signData format error"
	}
	if !b.signedPay(wechat.PayVirtual, p.SignData, data.Env, p.PaySig) {
		return data, paidPaySig, "pay signature error"
	}
	switch b.keys.check(p.Person, p.SignData, p.Signature) {
	case fitsExpired:
		return data, paidSession, "session_key expired"
	case fitsNot:
		return data, paidSignature, "user signature error"
	}
	switch {
	case p.Mode != modeGoods && p.Mode != modeCoins:
		return data, paidParameter, "mode"
	case b.cfg.OfferID != "" && data.OfferID != b.cfg.OfferID:
		return data, paidParameter, "offerId"
	case data.BuyQuantity < 1 || p.Mode == modeGoods && (data.ProductID == "" || data.GoodsPrice < 1):
		return data, paidParameter, "buyQuantity, productId or goodsPrice"
	case !regexp.MustCompile(`^[0-9A-Za-z_\-|*@]{8,32}$`).MatchString(data.OutTradeNo) || data.OutTradeNo[0] == '_':
		return data, paidParameter, "outTradeNo"
	case data.CurrencyType != currencyOfOrders:
		return data, paidCurrency, "currencyType"
	}
	return data, 0, ""
}

// payCommon is wx.requestCommonPayment.
func (b *backend) payCommon(p Payment) Paid {
	var data signData
	switch {
	case json.Unmarshal([]byte(p.SignData), &data) != nil || !b.signedPay(wechat.PayCommon, p.SignData, data.Env, p.PaySig):
		return Paid{wechat.ErrCodePayCommonSig, "requestCommonPayment:fail invalid pay signature"}
	case b.keys.check(p.Person, p.SignData, p.Signature) != fitsNow:
		return Paid{wechat.ErrCodePayCommonUser, "requestCommonPayment:fail invalid signature"}
	}
	return Paid{0, "requestCommonPayment:ok"}
}

// signedPay reports whether a pay_sig fits the AppKey of an env.
func (b *backend) signedPay(uri, body string, env int, paySig string) bool {
	key := b.appKey(env)
	return key != "" && hmac.Equal([]byte(wechat.PaySignature(uri, body, key)), []byte(paySig))
}

// appKey is that of an env, "" if there is none.
func (b *backend) appKey(env int) string {
	switch env {
	case 0:
		return b.cfg.AppKey.Reveal()
	case 1:
		return b.cfg.SandboxAppKey.Reveal()
	}
	return ""
}

// The status of an order, as query_order has it.
const (
	orderPaid      = 2
	orderDelivered = 4
	orderRefunded  = 5
)

// order is one that was paid.
type order struct {
	signData
	mode, person, push string
	wxOrderID          string
	paidAt             time.Time

	mu        sync.Mutex
	status    int
	refunded  int             // fen
	refunds   map[string]bool // by refund_order_id
	delivered time.Time
}

func newOrder(p Payment, data signData, at time.Time) *order {
	return &order{
		signData: data, mode: p.Mode, person: p.Person, push: p.Push, wxOrderID: "wx" + randomHex()[:20], paidAt: at,
		status: orderPaid, refunds: map[string]bool{},
	}
}

// coinPrice is what a coin costs, in fen.
const coinPrice = 10

// fee is what was paid, in fen.
func (o *order) fee() int {
	if o.mode == modeCoins {
		return o.BuyQuantity * coinPrice
	}
	return o.BuyQuantity * o.GoodsPrice
}

// deliver notes that the service has delivered.
func (o *order) deliver(at time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.status == orderPaid {
		o.status, o.delivered = orderDelivered, at
	}
}

// wallet is where the coins of a person are.
type wallet struct {
	person string
	env    int
}

// orders are those of the mini-program, and the coins of its users.
type orders struct {
	mu       sync.Mutex
	byNumber map[string]*order // by outTradeNo
	coins    map[wallet]int
	spent    map[string]int // by order_id of currency_pay, until it is cancelled
}

// add reports whether the number of an order was new.
func (l *orders) add(o *order) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byNumber[o.OutTradeNo] != nil {
		return false
	}
	l.byNumber[o.OutTradeNo] = o
	if o.mode == modeCoins {
		l.coins[wallet{o.person, o.Env}] += o.BuyQuantity
	}
	return true
}

// find returns the order with one of its two numbers, nil if there is none in this env.
func (l *orders) find(outTradeNo, wxOrderID string, env int) *order {
	l.mu.Lock()
	defer l.mu.Unlock()
	for number, o := range l.byNumber {
		if o.Env == env && (outTradeNo != "" && number == outTradeNo || wxOrderID != "" && o.wxOrderID == wxOrderID) {
			return o
		}
	}
	return nil
}
