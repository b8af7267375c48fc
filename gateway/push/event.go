package push

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"wxgate/authn/wechat"
)

// The time for one attempt, of the 5 s after which WeChat sends a message again, or the 3 s of some kinds, less the network.
const (
	usualTime  = 4500 * time.Millisecond
	urgentTime = 2700 * time.Millisecond
)

// The kinds of events that the gateway itself knows.
const (
	paymentPrefix    = "xpay_"                                  // of virtual payment
	gamePrefix       = "minigame_"                              // of mini-games
	iosRefundQuery   = "xpay_subscribe_ios_refund_query_notify" // Apple asks whether to refund: only the service can say
	consentRevoked   = "user_authorization_revoke"
	accountCancelled = "user_authorization_cancellation"
	mediaChecked     = "wxa_media_check"
	profileCleaned   = "user_info_modified"
	goodsDelivery    = "xpay_goods_deliver_notify"
	coinDelivery     = "xpay_coin_pay_notify"
)

// event is what the gateway reads of a message. Names are folded, because services may read them in any case.
type event map[string]json.RawMessage

// eventOf reads a message in JSON. clear says that no two of its members could be taken for one: a service could read another
// one than the gateway.
func eventOf(message []byte) (e event, clear bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(message, &members) != nil {
		return nil, false
	}
	e = make(event, len(members))
	for name, value := range members {
		e[folded(name)] = value
	}
	return e, len(e) == len(members)
}

// folded is a name as a lenient reader compares it: some of WeChat's have a space in front, and encoding/json takes upper for lower
// case.
func folded(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, strings.TrimSpace(name))
}

// text is a member that is a string or a number.
func (e event) text(name string) string {
	raw := e[folded(name)]
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

// numbers is a member with numbers in it: a text, a number, or a list of either.
func (e event) numbers(name string) string { return cmp.Or(e.text(name), string(e[folded(name)])) }

func (e event) name() string { return e.text("Event") }

// is reports whether that is the name.
func (e event) is(name string) bool { return folded(e.name()) == folded(name) }

// contentCheck is the result of a wxa_media_check: none where WeChat could not check.
func (e event) contentCheck() wechat.ContentCheck {
	if errcode := e.text("errcode"); errcode != "" && errcode != "0" {
		return wechat.ContentCheck{}
	}
	return wechat.ParseContentCheck(e[folded("result")])
}

// pays reports whether the event is about money: of virtual payment, or of a mini-game.
func (e event) pays() bool {
	name := folded(e.name())
	return strings.HasPrefix(name, folded(paymentPrefix)) || strings.HasPrefix(name, folded(gamePrefix))
}

// order is what a delivery of virtual payment is for. known is false for every other event, and for one that names no order.
func (e event) order() (order Order, known bool) {
	order = Order{OpenID: e.text("OpenId"), OutTradeNo: e.text("OutTradeNo")}
	switch e.text("Env") {
	case "", "0":
	case "1":
		order.Env = 1
	default:
		return Order{}, false
	}
	return order, order.OutTradeNo != "" && (e.name() == goodsDelivery || e.name() == coinDelivery)
}

// Budget is how long an attempt may take, from the start of the request.
func (m Message) Budget() time.Duration {
	if e := m.event; e.name() == iosRefundQuery || strings.HasPrefix(e.name(), gamePrefix) {
		return urgentTime
	}
	return usualTime
}

// key is the same for a message that is sent again (page "消息推送": MsgId; for events FromUserName and CreateTime; for deliveries of
// virtual payment the order, and nothing that WeChat is not asked in plain mode). Two events of one person in one second differ in
// the rest, which is part of the key, but for what may tell attempts apart: their number, and the RequestId of a complaint.
func (e event) key() string {
	if id := e.text("MsgId"); id != "" && id != "0" && e.text("MsgType") != "event" {
		return "message " + id
	}
	if order, known := e.order(); known {
		return fmt.Sprintf("%s %q", e.name(), []string{order.OutTradeNo, order.OpenID, strconv.Itoa(order.Env)})
	}
	sum := sha256.New()
	encoder := json.NewEncoder(sum)
	for _, name := range slices.Sorted(maps.Keys(e)) {
		if name != folded("RetryTimes") && (name != folded("RequestId") || !e.pays()) {
			_ = encoder.Encode([]any{name, e[name]}) // it was parsed, so it encodes
		}
	}
	return "event " + e.text("FromUserName") + " " + e.text("CreateTime") + " " + e.name() + " " + hex.EncodeToString(sum.Sum(nil))
}
