package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/gateway/answer"
	"wxgate/input"
)

// maxOrder bounds the client's reference of an order, in bytes of JSON.
const maxOrder = 4 << 10

// Payment is how the mini-program of a call is paid.
type Payment struct {
	Config wechat.VirtualPaymentConfig
	// Ask asks the service what an order is, as the user of the call, and returns its answer. The errors are those of an
	// upstream, answer.ErrOrderRefused and answer.ErrOrderFailed.
	Ask func(ctx context.Context, order []byte) ([]byte, error)
}

// modeCommon is the mode of wx.requestCommonPayment (B2b 门店助手); every other is one of wx.requestVirtualPayment.
const modeCommon = "retail_pay_goods"

// payRequest is the body of a request to sign, and of the one that the service gets: the same bytes.
type payRequest struct {
	Order json.RawMessage `json:"order"`
}

// signedOrder is what the service says of an order.
type signedOrder struct {
	Mode     string `json:"mode"`
	SignData string `json:"signData"` // signed, and passed on, byte for byte
}

// payment is the answer to a request to sign: the arguments of wx.requestVirtualPayment.
type payment struct {
	Mode      string `json:"mode"`
	SignData  string `json:"signData"`
	PaySig    string `json:"paySig"`
	Signature string `json:"signature"`
}

// SignPayment answers POST /api/v1/pay/virtual/sign: the service says what the order is, and both signatures are made. The
// session_key is looked at first, so that a stale one makes the service begin no order.
func SignPayment(a *API, c *fiber.Ctx) error {
	call := callOf(c)
	order, err := readOrder(c)
	if err != nil {
		return err
	}
	if call.Payment == nil {
		return fmt.Errorf("%w: the mini-program of the user has no virtual_payment", answer.ErrNoRoute)
	}
	key, err := a.auth.OpenData.SigningKey(c.UserContext(), call.Subject.UserID, call.Subject.AppID)
	if err != nil {
		return subjectError(err)
	}
	said, err := call.Payment.Ask(c.UserContext(), order)
	if err != nil {
		return err
	}
	signed, err := sign(call, key, said)
	if err != nil {
		return err
	}
	return a.succeed(c, signed)
}

// readOrder is the body for the service: an object with the client's reference alone.
func readOrder(c *fiber.Ctx) ([]byte, error) {
	var body payRequest
	if err := readJSON(c, &body); err != nil {
		return nil, err
	}
	switch {
	case len(body.Order) == 0 || string(body.Order) == "null":
		return nil, &authn.FieldError{Field: "order", Problem: "不能为空"}
	case len(body.Order) > maxOrder:
		return nil, &authn.FieldError{Field: "order", Problem: "最多 4 KiB"}
	}
	return bytes.Join([][]byte{[]byte(`{"order":`), body.Order, []byte(`}`)}, nil), nil
}

// sign checks and signs what the service said.
func sign(call *Call, key authn.SigningKey, said []byte) (payment, error) {
	var order signedOrder
	if err := input.JSON(said, &order); err != nil {
		return payment{}, fmt.Errorf("%w: the answer of the service is no JSON object with mode and signData", wechat.ErrSignData)
	}
	uri := wechat.PayVirtual
	switch order.Mode {
	case "":
		return payment{}, fmt.Errorf("%w: mode is empty", wechat.ErrSignData)
	case modeCommon:
		uri = wechat.PayCommon
	}
	paySig, err := call.Payment.Config.PaySig(uri, order.SignData, call.Subject.OpenID)
	return payment{order.Mode, order.SignData, paySig, key.Sign(order.SignData)}, err
}
