package doctor

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
	"wxgate/config"
	"wxgate/secret"
)

const (
	testAppID         = "wx1111111111111111"
	testSecret        = "secret-of-the-app"
	testAppKey        = "app-key-of-production"
	testSandboxAppKey = "app-key-of-the-sandbox"
)

// newSandbox is WeChat, which knows the URL of message push if there is a token for it.
func newSandbox(t *testing.T, pushToken secret.Text) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.New(sandbox.Config{AppID: testAppID, Secret: testSecret, PushToken: pushToken, AppKey: testAppKey, SandboxAppKey: testSandboxAppKey})
	if err == nil {
		err = s.Start("127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// accountOf is the mini-program of a sandbox.
func accountOf(t *testing.T, s *sandbox.Sandbox, change func(*wechat.Config)) account {
	t.Helper()
	cfg := wechat.DefaultConfig()
	cfg.BaseURL, cfg.AppID, cfg.Secret = s.URL(), testAppID, testSecret
	cfg.Push = wechat.PushConfig{Token: testPushToken, Upstream: "messages"}
	cfg.VirtualPayment = wechat.VirtualPaymentConfig{OfferID: "1", AppKey: testAppKey, SandboxAppKey: testSandboxAppKey, Upstream: "seller", Path: "/sign"}
	if change != nil {
		change(&cfg)
	}
	a := newAccount(cfg)
	t.Cleanup(func() { a.close(context.Background()) })
	return a
}

// examined wants these texts of the checks of an account, in their order, and no secret in any.
func (a account) examined(t *testing.T, what string, wants ...string) {
	t.Helper()
	got := run(t.Context(), a.checks())
	if len(got) != len(wants) {
		t.Fatalf("%s: got %d findings, want %d: %v", what, len(got), len(wants), got)
	}
	for i, want := range wants {
		wantFinding(t, what+", "+got[i].About, got[i], want)
		for _, kept := range []string{testSecret, testAppKey, testSandboxAppKey, testPushToken, "sandbox_", "pay_sig="} {
			if strings.Contains(strings.Replace(got[i].String(), "sandbox_app_key", "", 1), kept) {
				t.Errorf("%s: tells %s: %s", what, kept, got[i])
			}
		}
	}
}

const (
	secretIsKnown  = "ok appid and secret are known"
	tokenIsGiven   = "ok WeChat gives it to this machine, for another 2h0m0s"
	networkIsFine  = "ok for WeChat the domain of its URL is 127.0.0.1 (UNICOM), which answers pings"
	productionFits = "ok WeChat takes its signature in production (env 0)"
	sandboxFits    = "ok WeChat takes its signature in the sandbox of virtual payment (env 1)"
)

// TestWhatWeChatThinksOfAMiniProgram asks about secret, token, network and AppKeys, right and wrong.
func TestWhatWeChatThinksOfAMiniProgram(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, testPushToken)
	before := accountOf(t, s, nil)
	token, err := before.client.ServerToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	accountOf(t, s, nil).examined(t, "all right", secretIsKnown, tokenIsGiven, networkIsFine, productionFits, sandboxFits)
	if after, err := accountOf(t, s, nil).client.ServerToken(t.Context()); err != nil || after.Value != token.Value {
		t.Errorf("the token of a gateway was replaced: %v", err)
	}
	accountOf(t, s, func(c *wechat.Config) {
		c.VirtualPayment.AppKey, c.VirtualPayment.SandboxAppKey = testSandboxAppKey, ""
	}).examined(t, "the key of the other env", secretIsKnown, tokenIsGiven, networkIsFine,
		"FAIL wechat xpay/query_order: errcode 268490003: signature error, rid: ", "ok there is none, so nothing can be paid in the sandbox of virtual payment (env 1)")
	accountOf(t, s, func(c *wechat.Config) { c.Secret = "another-secret" }).examined(t, "a wrong secret",
		"copy appid and secret again", "FAIL wechat stable_token: errcode 40125", "FAIL WeChat was not asked; see the line on access_token "+testAppID,
		"FAIL WeChat was not asked; see", "FAIL WeChat was not asked; see")
	accountOf(t, s, func(c *wechat.Config) {
		c.Push, c.VirtualPayment = wechat.PushConfig{}, wechat.VirtualPaymentConfig{}
	}).examined(t, "without push and payments", secretIsKnown, tokenIsGiven)
	accountOf(t, newSandbox(t, ""), nil).examined(t, "without a URL", secretIsKnown, tokenIsGiven, "; enter URL, Token and EncodingAESKey on mp.weixin.qq.com", productionFits, sandboxFits)
}

// TestTheAddressThatWeChatSeesIsNamed where a whitelist does not have it, for logins and for the token.
func TestTheAddressThatWeChatSeesIsNamed(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, testPushToken)
	for _, api := range []string{"jscode2session", "stable_token"} {
		if err := s.Fail(sandbox.Failure{API: api, Kinds: []string{"40164"}}); err != nil {
			t.Fatal(err)
		}
	}
	const whitelist = "; add 203.0.113.7, which is this machine to WeChat, to the IP whitelist (IP白名单)"
	accountOf(t, s, nil).examined(t, "off the whitelist", whitelist, whitelist, "FAIL WeChat was not asked", "FAIL WeChat was not asked", "FAIL WeChat was not asked")
}

// TestOtherRefusalsOfWeChatHaveAdviceOfTheirOwn for quotas, frozen secrets, and APIs that the mini-program may not call.
func TestOtherRefusalsOfWeChatHaveAdviceOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, testPushToken)
	for kind, want := range map[string]string{"45009": "; try again later", "40243": "; thaw the secret", "50002": "; see the messages of", "html": "; let this machine reach"} {
		if err := s.Fail(sandbox.Failure{API: "stable_token", Kinds: []string{kind}}); err != nil {
			t.Fatal(err)
		}
		wantFinding(t, kind, accountOf(t, s, nil).tokenFinding(t.Context()), want)
	}
	s.Reset()
	for api, kinds := range map[string]string{"check": "48001", "query_order": "48001"} {
		if err := s.Fail(sandbox.Failure{API: api, Kinds: []string{kinds}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Fail(sandbox.Failure{API: "query_order", Kinds: []string{"html"}}); err != nil {
		t.Fatal(err)
	}
	wantFinding(t, "no answer", accountOf(t, s, nil).appKeyFinding(t.Context(), 0), "FAIL wechat xpay/query_order: bad response: not a JSON object; try again")
	if err := s.Fail(sandbox.Failure{API: "query_order", Kinds: []string{"48001"}}); err != nil {
		t.Fatal(err)
	}
	accountOf(t, s, nil).examined(t, "without rights", secretIsKnown, tokenIsGiven, "ok WeChat does not look at the network",
		"FAIL wechat xpay/query_order: errcode 48001", "FAIL wechat xpay/query_order: errcode 48001")
}

// TestALoginMustBeInTimeForTheDoctorToo although the doctor itself is patient.
func TestALoginMustBeInTimeForTheDoctorToo(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, testPushToken)
	s.Delay("*", time.Second/2)
	a := accountOf(t, s, func(c *wechat.Config) { c.Timeout = time.Second / 10 })
	wantFinding(t, "a slow login", a.secretFinding(t.Context()), "FAIL wechat jscode2session: no answer in time")
	wantFinding(t, "a slow check", a.networkFinding(t.Context()), networkIsFine)
}

// TestOnCloudRunThePlatformHasTheToken and nobody asks for it.
func TestOnCloudRunThePlatformHasTheToken(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, "")
	a := accountOf(t, s, func(c *wechat.Config) { c.CloudRun = true })
	wantFinding(t, "the token", a.tokenFinding(t.Context()), "ok Cloud Run's open-interface service")
	if calls := s.Stats().APIs["stable_token"].Calls; calls != 0 {
		t.Errorf("stable_token was called %d times, want 0", calls)
	}
}

// TestWhatWeChatSaysOfTheWayToAPushIsRead from answers of callback/check, and nothing that is not what it should be is printed.
func TestWhatWeChatSaysOfTheWayToAPushIsRead(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"dns":[{"ip":"203.0.113.7","real_operator":"CHINANET"},{"ip":"2001:db8::7","real_operator":"<b>\n"}],"ping":[{"ip":"203.0.113.7","package_loss":"0%"},{"ip":"2001:db8::7","package_loss":"100%"}]}`: "ok for WeChat the domain of its URL is 203.0.113.7 (CHINANET), 2001:db8::7 (another carrier); no ping comes back from 2001:db8::7: as long",
		`{"dns":[{"ip":"203.0.113.7","real_operator":"UNICOM"}]}`: "ok for WeChat the domain of its URL is 203.0.113.7 (UNICOM)",
		`{"dns":[],"ping":[]}`: "FAIL WeChat does not resolve the domain",
		`{"dns":[{"ip":"fe80::1%\n<b>","real_operator":"CAP"}]}`: "ok for WeChat the domain of its URL is fe80::1 (CAP)",
		`{"dns":[{"ip":"\nnone"}]}`:                              "FAIL WeChat's answer has no dns",
		`{"errcode":0}`:                                          "FAIL WeChat's answer has no dns",
		`{"dns":[` + strings.Repeat(`{"ip":"203.0.113.7","real_operator":"CAP"},`, 99) + `{"ip":"::1"}]}`: "and 95 more",
	} {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(answer), &members); err != nil {
			t.Fatal(err)
		}
		advice, err := networkOf(members)
		wantFinding(t, answer, Finding{Err: err, Advice: advice}, want)
	}
}

// TestAnExaminationEndsWithItsContext although WeChat answers nothing: each check still has its line.
func TestAnExaminationEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, testPushToken)
	if err := s.Fail(sandbox.Failure{API: "*", Kinds: []string{"timeout"}}); err != nil {
		t.Fatal(err)
	}
	cfg := config.DefaultConfig()
	cfg.WeChat.BaseURL, cfg.WeChat.AppID, cfg.WeChat.Secret = s.URL(), testAppID, testSecret
	cfg.Storage.Badger.Dir = t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, f := range Examine(ctx, cfg, "api.example.com") {
		if f.About == "" || f.String() == "" {
			t.Errorf("got an empty line %+v", f)
		}
	}
}
