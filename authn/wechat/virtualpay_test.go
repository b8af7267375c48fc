package wechat_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"wxgate/authn/wechat"
)

// The official vector of the page "虚拟支付", and one that SDKs test with, whose attach is not ASCII.
const (
	payKey  = "9hAb/NEYUlkaMBEsmFgzig=="
	payBody = `{"openid": "xxx", "user_ip": "127.0.0.1", "env": 0}`

	otherKey  = "session_key_123"
	otherData = `{"offerId":"1450019686","buyQuantity":1,"env":0,"currencyType":"CNY","productId":"product_001","goodsPrice":100,"outTradeNo":"order12345","attach":"attach中文"}`
)

func TestPaySignaturesMatchTheVectors(t *testing.T) {
	t.Parallel()
	for _, v := range []struct{ uri, body, appKey, want string }{
		{"/xpay/query_user_balance", payBody, "12345", "c37809f27c6d7fd1837ad2500a04512b66b34fd793a39a385fade56dca89a4b5"},
		{"requestVirtualPayment", payBody, "12345", "a1ab2651b927b6a766152cf864033417b85c1448fc3c6e1bedbbd7f49416e92f"},
		{"requestVirtualPayment", otherData, "app_key_123", "52b0abda3c933b0273d328b5c5102ee9ab9249309474ddcdf5e9ce0f80b23532"},
	} {
		if got := wechat.PaySignature(v.uri, v.body, v.appKey); got != v.want {
			t.Errorf("paySig of %s & %s: got %s, want %s", v.uri, v.body, got, v.want)
		}
	}
	for _, v := range []struct{ body, key, want string }{
		{payBody, payKey, "089d9e8dc5d308977360c4b79ec600a93d736802802a807d634192328032f6c7"},
		{otherData, otherKey, "602f76d9cadf36c232f7f6c1faa5fe295b0f955d188049997d0df699c0619c86"},
		{"", payKey, "1f7605aea24c0785899e51bc4c483167a20ea7b0f5f36cfd398e89cb21c91e9c"},
	} {
		if got := wechat.HMACSignature(v.body, v.key); got != v.want {
			t.Errorf("signature of %q: got %s, want %s", v.body, got, v.want)
		}
	}
}

func sells() wechat.VirtualPaymentConfig {
	return wechat.VirtualPaymentConfig{OfferID: "1450019686", AppKey: "app_key_123", SandboxAppKey: "12345", Upstream: "recipes", Path: "/internal/orders/sign"}
}

func TestSignDataIsSignedByTheAppKeyOfItsEnv(t *testing.T) {
	t.Parallel()
	got, err := sells().PaySig(wechat.PayVirtual, otherData, "oAlice")
	if want := "52b0abda3c933b0273d328b5c5102ee9ab9249309474ddcdf5e9ce0f80b23532"; err != nil || got != want {
		t.Errorf("production: got %s %v, want %s", got, err, want)
	}
	sandboxed := strings.Replace(otherData, `"env":0`, `"env":1`, 1)
	got, err = sells().PaySig(wechat.PayVirtual, sandboxed, "oAlice")
	if want := wechat.PaySignature("requestVirtualPayment", sandboxed, "12345"); err != nil || got != want {
		t.Errorf("the sandbox: got %s %v, want %s", got, err, want)
	}
	got, err = sells().PaySig(wechat.PayCommon, `{"mchid":"1","env":0}`, "oAlice")
	if want := wechat.PaySignature("requestCommonPayment", `{"mchid":"1","env":0}`, "app_key_123"); err != nil || got != want {
		t.Errorf("B2b: got %s %v, want %s", got, err, want)
	}
}

func TestSignDataThatIsNoPaymentOfOursIsNotSigned(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"another offer":         {`"1450019686"`, `"1450019687"`},
		"an offer as a number":  {`"1450019686"`, `1450019686`},
		"no offer":              {`"offerId":"1450019686",`, ``},
		"another currency":      {`"CNY"`, `"USD"`},
		"env 2":                 {`"env":0`, `"env":2`},
		"env in quotes":         {`"env":0`, `"env":"0"`},
		"a short number":        {`order12345`, `order12`},
		"a long number":         {`order12345`, strings.Repeat("1", 33)},
		"a number with a dot":   {`order12345`, `order.12345`},
		"a number that opens _": {`order12345`, `_order12345`},
		"somebody else":         {`"env":0`, `"env":0,"openid":"oBob"`},
		"env twice":             {`"env":0`, `"env":0,"env":1`},
		"no object":             {otherData, `"order"`},
		"something behind it":   {`中文"}`, `中文"} x`},
	} {
		data := strings.Replace(otherData, change[0], change[1], 1)
		if got, err := sells().PaySig(wechat.PayVirtual, data, "oAlice"); !errors.Is(err, wechat.ErrSignData) || got != "" {
			t.Errorf("%s: got %q %v, want %v", name, got, err, wechat.ErrSignData)
		} else if strings.Contains(err.Error(), "oBob") || strings.Contains(err.Error(), "order") && strings.Contains(err.Error(), "12345") {
			t.Errorf("%s: the error quotes the order: %v", name, err)
		}
	}
	without := sells()
	without.SandboxAppKey = ""
	if _, err := without.PaySig(wechat.PayVirtual, strings.Replace(otherData, `"env":0`, `"env":1`, 1), "oAlice"); !errors.Is(err, wechat.ErrSignData) {
		t.Errorf("no key for the sandbox: %v", err)
	}
}

func TestCallsOfAServerAreSignedOverTheirBytes(t *testing.T) {
	t.Parallel()
	official := sells()
	official.AppKey = "12345"
	call, signed, err := official.SignCall("/xpay/query_user_balance", []byte(payBody))
	if err != nil || !signed || call.OpenID != "xxx" {
		t.Fatalf("got %v %v %v", call, signed, err)
	}
	query := url.Values{}
	call.AddTo(query, wechat.HMACSignature(payBody, payKey))
	if got, want := query.Encode(), "pay_sig=c37809f27c6d7fd1837ad2500a04512b66b34fd793a39a385fade56dca89a4b5&signature=089d9e8dc5d308977360c4b79ec600a93d736802802a807d634192328032f6c7"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, c := range map[string]struct {
		path, body, key string
		user            bool
	}{
		"of the sandbox":   {"/xpay/query_order", `{"env":1,"openid":"o"}`, "12345", false},
		"without env":      {"/xpay/download_bill", `{"begin_ds":20260101}`, "app_key_123", false},
		"B2b":              {"/retail/B2b/getorder", `{"env":0}`, "app_key_123", false},
		"of a user":        {"/xpay/currency_pay", `{"env":0,"openid":"o"}`, "app_key_123", true},
		"back to the user": {"/xpay/cancel_currency_pay", `{"env":0,"openid":"o"}`, "app_key_123", true},
	} {
		call, signed, err := sells().SignCall(c.path, []byte(c.body))
		if want := wechat.PaySignature(c.path, c.body, c.key); err != nil || !signed || call.PaySig != want || (call.OpenID != "") != c.user {
			t.Errorf("%s: got %v %v %v, want %s, by the user: %v", name, call, signed, err, want, c.user)
		}
	}
	for path, body := range map[string]string{"/xpay/currency_pay": `{"env":0}`, "/xpay/query_order": `{"env":3}`, "/retail/B2b/x": `[]`} {
		if _, _, err := sells().SignCall(path, []byte(body)); !errors.Is(err, wechat.ErrInvalidCall) {
			t.Errorf("%s %s: got %v, want %v", path, body, err, wechat.ErrInvalidCall)
		}
	}
	if _, signed, err := sells().SignCall("/wxa/msg_sec_check", []byte(`x`)); signed || err != nil {
		t.Errorf("another API: %v %v", signed, err)
	}
	if _, signed, err := (wechat.VirtualPaymentConfig{}).SignCall("/xpay/query_order", []byte(`{}`)); signed || err != nil {
		t.Errorf("without keys: %v %v", signed, err)
	}
}

func TestTheSectionOfVirtualPaymentIsWholeOrEmpty(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*wechat.VirtualPaymentConfig)
		want   string
	}{
		"all":                 {func(*wechat.VirtualPaymentConfig) {}, ""},
		"production alone":    {func(v *wechat.VirtualPaymentConfig) { v.SandboxAppKey = "" }, ""},
		"its sandbox alone":   {func(v *wechat.VirtualPaymentConfig) { v.AppKey = "" }, ""},
		"nothing":             {func(v *wechat.VirtualPaymentConfig) { *v = wechat.VirtualPaymentConfig{} }, ""},
		"no key":              {func(v *wechat.VirtualPaymentConfig) { v.AppKey, v.SandboxAppKey = "", "" }, "virtual_payment.app_key: is empty"},
		"no offer":            {func(v *wechat.VirtualPaymentConfig) { v.OfferID = "" }, "virtual_payment.offer_id: is empty"},
		"no service":          {func(v *wechat.VirtualPaymentConfig) { v.Upstream = "" }, "virtual_payment.upstream: is empty"},
		"no path":             {func(v *wechat.VirtualPaymentConfig) { v.Path = "" }, "virtual_payment.path: is empty"},
		"a path of a host":    {func(v *wechat.VirtualPaymentConfig) { v.Path = "recipes/sign" }, "virtual_payment.path: "},
		"a key with a blank":  {func(v *wechat.VirtualPaymentConfig) { v.AppKey = "a b" }, "virtual_payment.app_key: has a space"},
		"a key with its line": {func(v *wechat.VirtualPaymentConfig) { v.AppKey += "\n" }, "virtual_payment.app_key: ends with a line break"},
	} {
		cfg := wechat.DefaultConfig()
		cfg.AppID, cfg.Secret, cfg.VirtualPayment = "wx4f4bc4dec97d474b", "0123456789abcdef", sells()
		c.change(&cfg.VirtualPayment)
		got := fmt.Sprint(cfg.Validate().Err())
		if c.want == "" && got != "<nil>" || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %q", name, got, c.want)
		}
		if strings.Contains(got, "app_key_123") {
			t.Errorf("%s: the fault shows a key: %s", name, got)
		}
	}
}

func TestEachMiniProgramHasItsOwnVirtualPayment(t *testing.T) {
	t.Parallel()
	cfg := wechat.DefaultConfig()
	cfg.Apps = []wechat.App{{AppID: "wx1", Secret: "one", VirtualPayment: sells()}, {AppID: "wx2", Secret: "two"}}
	if got := cfg.VirtualPayments(); len(got) != 1 || got["wx1"] != sells() {
		t.Errorf("got %v, want that of wx1", got)
	}
	next := cfg
	next.Apps = []wechat.App{{AppID: "wx2", Secret: "new", VirtualPayment: sells()}, {AppID: "wx1", Secret: "one"}}
	if got := cfg.Reload(next); len(got.VirtualPayments()) != 1 || got.Apps[1].VirtualPayment != sells() || got.Apps[1].Secret != "two" {
		t.Errorf("after a reload: %v", got.VirtualPayments())
	}
	if cfg.Apps[0].VirtualPayment != sells() {
		t.Error("the reload has changed what runs")
	}
	cfg.VirtualPayment = sells()
	if err := cfg.Validate().Err(); err == nil || !strings.Contains(err.Error(), "virtual_payment: belongs to one mini-program") {
		t.Errorf("beside apps: %v", err)
	}
}
