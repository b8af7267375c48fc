package sandbox

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"net/url"
	"time"
)

// The notifications of payments (page "虚拟支付", with the intervals of mini-programs).
const (
	pushRetry    = 2 * time.Second // before the second one, and twice as long before each later one
	maxPayNotice = 15
)

// payEvent is what a notification tells of.
type payEvent int

const (
	eventDelivery payEvent = iota
	eventRefund
)

// tell notifies the service of an order until it answers ErrCode 0, in the background; Close ends it.
func (s *Sandbox) tell(o *order, event payEvent) {
	if o.push == "" || s.push == nil {
		return
	}
	s.inBackground(func(ctx context.Context) { s.tellUntilTaken(ctx, o, event) })
}

func (s *Sandbox) tellUntilTaken(ctx context.Context, o *order, event payEvent) {
	pause := s.cfg.PushRetry
	for attempt := range maxPayNotice {
		_, answer, err := s.SendPush(ctx, o.push, s.notice(o, event, attempt))
		if err == nil && s.taken(answer) {
			if event == eventDelivery {
				o.deliver(s.backend.Load().clock.now())
			}
			return
		}
		timer := time.NewTimer(pause)
		pause *= 2
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// notice is one notification, in JSON.
func (s *Sandbox) notice(o *order, event payEvent, attempt int) []byte {
	message := map[string]any{
		"ToUserName": "gh_sandbox000000", "FromUserName": openID(s.cfg.AppID, "official"), "CreateTime": o.paidAt.Unix(), "MsgType": "event",
		"OpenId": openID(s.cfg.AppID, o.person), "RetryTimes": attempt,
	}
	if event == eventRefund {
		o.mu.Lock()
		message["Event"], message["RefundFee"], message["RetCode"], message["RetMsg"] = "xpay_refund_notify", o.refunded, 0, "ok"
		o.mu.Unlock()
		message["WxOrderId"], message["MchOrderId"], message["WxRefundId"] = o.wxOrderID, o.OutTradeNo, "r"+o.wxOrderID
		return encode(message)
	}
	message["OutTradeNo"], message["Env"] = o.OutTradeNo, o.Env
	message["WeChatPayInfo"] = map[string]any{"MchOrderNo": "m" + o.wxOrderID, "TransactionId": "42" + o.wxOrderID, "PaidTime": o.paidAt.Unix()}
	if o.mode == modeCoins {
		message["Event"] = "xpay_coin_pay_notify"
		message["CoinInfo"] = map[string]any{"Quantity": o.BuyQuantity, "OrigPrice": o.fee(), "ActualPrice": o.fee(), "Attach": o.Attach}
		return encode(message)
	}
	message["Event"] = "xpay_goods_deliver_notify"
	message["GoodsInfo"] = map[string]any{
		"ProductId": o.ProductID, "Quantity": o.BuyQuantity, "OrigPrice": o.GoodsPrice, "ActualPrice": o.GoodsPrice, "Attach": o.Attach,
	}
	return encode(message)
}

func encode(message map[string]any) []byte {
	text, _ := json.Marshal(message) // texts and numbers always encode
	return text
}

// taken reports whether an answer says ErrCode 0, in JSON or XML, sealed or plain: WeChat's pages do not agree on which.
// success alone is not taken: it says nothing of the goods.
func (s *Sandbox) taken(answer string) bool {
	var said struct {
		XMLName      xml.Name `json:"-"       xml:"xml"`
		ErrCode      *int     `xml:"ErrCode"`
		Encrypt      string   `xml:"Encrypt"`
		MsgSignature string   `xml:"MsgSignature"`
		TimeStamp    json.Number
		Nonce        string
	}
	if json.Unmarshal([]byte(answer), &said) != nil && xml.Unmarshal([]byte(answer), &said) != nil {
		return false
	}
	if said.Encrypt == "" {
		return said.ErrCode != nil && *said.ErrCode == 0
	}
	opened, err := s.push.Open(url.Values{
		"timestamp": {said.TimeStamp.String()}, "nonce": {said.Nonce}, "msg_signature": {said.MsgSignature},
	}, []byte(answer))
	return err == nil && s.taken(string(opened.Body))
}
