package recipes

import (
	"encoding/json"
	"net/http"
)

// sign tells the gateway, which signs it, what the order of a user is. The client has named a recipe; what it costs is
// decided here. The same user gets the same order until it is paid.
func (s *service) sign(w http.ResponseWriter, r *http.Request) {
	signed, err := s.orderOf(w, r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	respond(w, map[string]string{"mode": "short_series_goods", "signData": s.till.signData(signed)})
}

func (s *service) orderOf(w http.ResponseWriter, r *http.Request) (order, error) {
	buyer, err := caller(r)
	if err != nil {
		return order{}, err
	}
	var body struct {
		Order struct{ Recipe int }
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestBody)).Decode(&body); err != nil {
		return order{}, invalid("请求体不是有效的 JSON")
	}
	wanted, err := s.shelf.get(body.Order.Recipe, buyer.id)
	if err != nil {
		return order{}, err
	}
	if wanted.Price == 0 {
		return order{}, invalid("这个菜谱不收费")
	}
	return s.till.begin(purchase{buyer.id, wanted.ID}, r.Header.Get("X-User-Openid"), wanted.Price)
}

// pushed takes what WeChat tells of payments. The gateway has checked that it is WeChat, and gives each message once; an
// order is delivered once whatever comes, because it is open once.
func (s *service) pushed(w http.ResponseWriter, r *http.Request) {
	var message struct {
		Event, OpenId, OutTradeNo, MchOrderId string //nolint:revive // WeChat's names
		RetCode                               int
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestBody)).Decode(&message); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	known := true
	switch {
	case message.Event == "xpay_goods_deliver_notify":
		known = s.till.change(message.OutTradeNo, message.OpenId, orderPaid, orderOpen)
	case message.Event == "xpay_refund_notify" && message.RetCode == 0:
		known = s.till.change(message.MchOrderId, message.OpenId, orderRefunded, orderPaid, orderRefunding)
	}
	if !known {
		respond(w, map[string]any{"ErrCode": 1, "ErrMsg": "no such order"})
		return
	}
	w.WriteHeader(http.StatusOK) // which the gateway turns into what WeChat waits for
}

// refund gives a recipe back.
func (s *service) refund(_ http.ResponseWriter, r *http.Request) (any, error) {
	buyer, err := caller(r)
	if err != nil {
		return nil, err
	}
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"refund": "asked"}, s.till.refund(r.Context(), purchase{buyer.id, id})
}

// respond answers without an envelope, to the gateway and to WeChat.
func respond(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(body) // the client has gone; there is nobody to tell
}
