package wechat

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"wxgate/input"
	"wxgate/secret"
)

// The calls of the client that two signatures protect: each is the uri of its paySig.
const (
	PayVirtual = "requestVirtualPayment" // wx.requestVirtualPayment (虚拟支付)
	PayCommon  = "requestCommonPayment"  // wx.requestCommonPayment (B2b 门店助手)
)

// ErrSignData refuses to sign what would be no payment of this user and this mini-program. The error says which member is
// wrong, and quotes none.
var ErrSignData = errors.New("not what may be signed")

// VirtualPaymentConfig is wechat.virtual_payment, or that of one of wechat.apps: the page 虚拟支付→基本配置 of
// mp.weixin.qq.com, and the service that knows the orders.
type VirtualPaymentConfig struct {
	OfferID       string      `yaml:"offer_id"`        // the id of the merchant's offer
	AppKey        secret.Text `yaml:"app_key"`         // of production, env 0
	SandboxAppKey secret.Text `yaml:"sandbox_app_key"` // of its sandbox, env 1
	Upstream      string      `yaml:"upstream"`        // the service that says what an order is
	Path          string      `yaml:"path"`            // where it is asked
}

// Enabled reports whether there is anything in the section.
func (v VirtualPaymentConfig) Enabled() bool { return v != (VirtualPaymentConfig{}) }

// validate wants all of the section or nothing, with one AppKey at least.
func (v VirtualPaymentConfig) validate() (f input.Faults) {
	if !v.Enabled() {
		return nil
	}
	for _, each := range []struct{ path, value string }{{"offer_id", v.OfferID}, {"upstream", v.Upstream}, {"path", v.Path}} {
		if each.value == "" {
			f.Add(each.path, "is empty, but the rest of virtual_payment is not")
		}
	}
	if v.AppKey == "" && v.SandboxAppKey == "" {
		f.Add("app_key", "is empty, and so is sandbox_app_key; one of them is needed")
	}
	for _, each := range []struct {
		path string
		key  secret.Text
	}{{"offer_id", secret.Text(v.OfferID)}, {"app_key", v.AppKey}, {"sandbox_app_key", v.SandboxAppKey}} {
		if mistake := secret.Mistake(each.key.Reveal()); mistake != "" {
			f.Add(each.path, "%s", mistake)
		} else if !visibleASCII(each.key.Reveal()) {
			f.Add(each.path, "has a space or a character outside ASCII; copy it again from mp.weixin.qq.com")
		}
	}
	if v.Path != "" && (!strings.HasPrefix(v.Path, "/") || !visibleASCII(v.Path) || strings.Contains(v.Path, "#")) {
		f.Add("path", "%q is not a path, which begins with /, of visible ASCII characters", v.Path)
	}
	return f
}

// PaySig checks signData, the JSON text that a client will pay by, and signs it byte for byte with the AppKey of its env.
// uri is PayVirtual or PayCommon, and openID the user's. The error wraps ErrSignData.
func (v VirtualPaymentConfig) PaySig(uri, signData, openID string) (string, error) {
	members, err := parseObject([]byte(signData))
	if err != nil {
		return "", fmt.Errorf("%w: signData is %w", ErrSignData, err)
	}
	if uri == PayVirtual {
		err = v.checkOrder(members)
	}
	if err == nil {
		err = checkOwner(members, openID)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSignData, err)
	}
	key, err := v.keyFor(members)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrSignData, err)
	}
	return PaySignature(uri, signData, key.Reveal()), nil
}

// checkOrder wants the members of wx.requestVirtualPayment that WeChat would refuse otherwise, with less to say.
func (v VirtualPaymentConfig) checkOrder(members object) error {
	for _, each := range []struct{ name, want, said string }{{"offerId", v.OfferID, "that of virtual_payment"}, {"currencyType", "CNY", "CNY"}} {
		if got, err := members.text(each.name); err != nil {
			return err
		} else if got != each.want {
			return fmt.Errorf("%s is not %s", each.name, each.said)
		}
	}
	number, err := members.text("outTradeNo")
	if err == nil && !validTradeNo(number) {
		err = errors.New("outTradeNo is not 8 to 32 characters of 0-9 A-Z a-z _ - | * @, or begins with _")
	}
	return err
}

// validTradeNo reports whether WeChat takes a number of an order.
func validTradeNo(number string) bool {
	return regexp.MustCompile(`^[0-9A-Za-z\-|*@][0-9A-Za-z_\-|*@]{7,31}$`).MatchString(number)
}

// checkOwner refuses an order that names somebody else.
func checkOwner(members object, openID string) error {
	for _, name := range []string{"openid", "openId"} {
		if named, err := members.text(name); err != nil {
			return err
		} else if named != "" && named != openID {
			return fmt.Errorf("%s is another user's", name)
		}
	}
	return nil
}

// keyFor is the AppKey of the env among the members, which is production when there is none.
func (v VirtualPaymentConfig) keyFor(members object) (secret.Text, error) {
	key := v.AppKey
	switch env := string(members["env"]); env {
	case "", "0":
	case "1":
		key = v.SandboxAppKey
	default:
		return "", errors.New("env is neither 0 nor 1")
	}
	if key == "" {
		return "", errors.New("there is no AppKey for this env")
	}
	return key, nil
}

// PayCall is a POST to the API of virtual payment that has to be signed.
type PayCall struct {
	PaySig string
	OpenID string // whose session_key must sign it too; "": nobody's
}

// SignCall signs a POST of body to the API at path: pay_sig is over the very bytes of body. signed is false for other APIs,
// and where there is no configuration. The error wraps ErrInvalidCall.
func (v VirtualPaymentConfig) SignCall(path string, body []byte) (call PayCall, signed bool, err error) {
	if !v.Enabled() || !IsPayment(path) {
		return PayCall{}, false, nil
	}
	members, err := parseObject(body)
	if err != nil {
		return PayCall{}, false, fmt.Errorf("%w: the body is %w", ErrInvalidCall, err)
	}
	if _, named := members["env"]; !named && v.AppKey == "" { // of what is about no env, all is the sandbox's
		members["env"] = json.RawMessage("1")
	}
	key, err := v.keyFor(members)
	if err != nil {
		return PayCall{}, false, fmt.Errorf("%w: %w", ErrInvalidCall, err)
	}
	call.PaySig = PaySignature(path, string(body), key.Reveal())
	if signedByUser(path) {
		if call.OpenID, err = members.text("openid"); err != nil || call.OpenID == "" {
			return PayCall{}, false, fmt.Errorf("%w: the body names no openid, whose session_key must sign it", ErrInvalidCall)
		}
	}
	return call, true, nil
}

// IsPayment reports whether the API at path is one of those that SignCall signs.
func IsPayment(path string) bool {
	return strings.HasPrefix(path, "/xpay/") || strings.HasPrefix(path, "/retail/B2b/")
}

// signedByUser reports whether an API wants the signature of a session_key beside pay_sig.
func signedByUser(path string) bool {
	switch path {
	case "/xpay/query_user_balance", "/xpay/currency_pay", "/xpay/cancel_currency_pay":
		return true
	}
	return false
}

// AddTo adds the signatures to the query of the call: pay_sig unless the caller has made it, and signature, of the session_key,
// unless it is "".
func (p PayCall) AddTo(query url.Values, signature string) {
	if !query.Has("pay_sig") {
		query.Set("pay_sig", p.PaySig)
	}
	if signature != "" {
		query.Set("signature", signature)
	}
}

// RefusesSessionKey reports whether an errcode says that the session_key which signed a call is not the user's newest.
func RefusesSessionKey(errcode int) bool {
	return errcode == ErrCodePaySession || errcode == ErrCodeMissingSession || errcode == ErrCodeInvalidSignature
}
