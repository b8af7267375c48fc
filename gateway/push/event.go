package push

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// The time for one attempt, of the 5 s after which WeChat sends a message again, or the 3 s of some kinds, less the network.
const (
	usualTime  = 4500 * time.Millisecond
	urgentTime = 2700 * time.Millisecond
)

// The kinds of events that the gateway itself knows.
const (
	paymentPrefix  = "xpay_"                                  // of virtual payment
	gamePrefix     = "minigame_"                              // of mini-games
	iosRefundQuery = "xpay_subscribe_ios_refund_query_notify" // Apple asks whether to refund: only the service can say
	goodsDelivery  = "xpay_goods_deliver_notify"
	coinDelivery   = "xpay_coin_pay_notify"
)

// event is what the gateway reads of a message.
type event map[string]json.RawMessage

// eventOf reads a message in JSON. Names may have a space in front: some of WeChat's do.
func eventOf(message []byte) event {
	var members map[string]json.RawMessage
	if json.Unmarshal(message, &members) != nil {
		return nil // the service gets what WeChat signed, whatever it is
	}
	e := make(event, len(members))
	for name, value := range members {
		e[strings.TrimSpace(name)] = value
	}
	return e
}

// text is a member that is a string or a number.
func (e event) text(name string) string {
	raw := e[name]
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil {
		return number.String()
	}
	return ""
}

func (e event) name() string { return e.text("Event") }

// pays reports whether the event is about money.
func (e event) pays() bool { return strings.HasPrefix(e.name(), paymentPrefix) }

// budget is how long an attempt may take.
func (e event) budget() time.Duration {
	if e.name() == iosRefundQuery || strings.HasPrefix(e.name(), gamePrefix) {
		return urgentTime
	}
	return usualTime
}

// key is the same for a message that is sent again (page "消息推送": MsgId; for events FromUserName and CreateTime; for virtual
// payments the order). Two events of one person in one second differ in the rest, which is part of the key, but for the number of
// attempts.
func (e event) key() string {
	if id := e.text("MsgId"); id != "" && id != "0" {
		return "message " + id
	}
	if e.name() == goodsDelivery || e.name() == coinDelivery {
		var paid struct{ MchOrderNo string }
		_ = json.Unmarshal(e["WeChatPayInfo"], &paid) // absent when it was not paid by WeChat Pay
		if paid.MchOrderNo != "" {
			return e.name() + " paid " + paid.MchOrderNo
		}
		if order := e.text("OutTradeNo"); order != "" {
			return e.name() + " order " + order
		}
	}
	sum := sha256.New()
	encoder := json.NewEncoder(sum)
	for _, name := range slices.Sorted(maps.Keys(e)) {
		if name != "RetryTimes" {
			_ = encoder.Encode([]any{name, e[name]}) // it was parsed, so it encodes
		}
	}
	return "event " + e.text("FromUserName") + " " + e.text("CreateTime") + " " + e.name() + " " + hex.EncodeToString(sum.Sum(nil))
}
