package doctor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
)

// account is a mini-program, as WeChat knows it.
type account struct {
	cfg    wechat.Config
	client *wechat.Client
	err    error // there is no client
}

// patience is how long WeChat may take for what no login waits for: callback/check pings from afar.
const patience = 8 * time.Second

func newAccount(cfg wechat.Config) account {
	a := account{cfg: cfg}
	cfg.Timeout = max(cfg.Timeout, patience)
	a.client, a.err = wechat.New(cfg, wechat.Deps{
		Metrics: prometheus.NewRegistry(), OpenInterface: cfg.CloudRun && strings.HasPrefix(cfg.BaseURL, "http://"),
	})
	return a
}

// close waits for a token that is being fetched, which ends by itself, only as long as there is time.
func (a account) close(ctx context.Context) {
	if a.client == nil {
		return
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		a.client.Close()
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	}
}

// checks are those that ask WeChat about the mini-program.
func (a account) checks() []check {
	if a.err != nil {
		return []check{func(context.Context) Finding {
			return Finding{"WeChat " + a.cfg.AppID, a.err, "fix the wechat section of the configuration"}
		}}
	}
	checks := []check{a.secretFinding, a.tokenFinding}
	if a.cfg.Push.Token != "" {
		checks = append(checks, a.networkFinding)
	}
	if a.cfg.VirtualPayment.Enabled() {
		for _, env := range []int{0, 1} {
			checks = append(checks, func(ctx context.Context) Finding { return a.appKeyFinding(ctx, env) })
		}
	}
	return checks
}

// secretFinding sends an impossible code: WeChat must answer 40029 (it knows us), not 40013 or 40125 (it does not), and in the time
// that a login has.
func (a account) secretFinding(ctx context.Context) Finding {
	f := Finding{About: "WeChat " + a.cfg.AppID, Advice: "appid and secret are known to WeChat"}
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	_, err := a.client.Code2Session(ctx, "wxgate-doctor")
	var answer *wechat.Error
	if errors.As(err, &answer) && answer.Code == wechat.ErrCodeInvalidCode {
		return f
	}
	f.Err, f.Advice = err, a.advice(err)
	return f
}

// tokenFinding gets the access_token without forcing another one, so that no gateway loses its own.
func (a account) tokenFinding(ctx context.Context) Finding {
	f := Finding{About: "access_token " + a.cfg.AppID}
	token, err := a.client.ServerToken(ctx)
	switch {
	case errors.Is(err, wechat.ErrNoToken):
		f.Advice = "Cloud Run's open-interface service (开放接口服务) adds it to calls"
	case err != nil:
		f.Err, f.Advice = err, a.advice(err)
	default:
		f.Advice = fmt.Sprintf("WeChat gives it to this machine, for another %v", time.Until(token.Expires).Round(time.Minute))
	}
	return f
}

// advice is what to do about an error of a call that takes appid and secret.
func (a account) advice(err error) string {
	var answer *wechat.Error
	if !errors.As(err, &answer) {
		return "let this machine reach " + a.cfg.BaseURL + ", with CA certificates and DNS"
	}
	switch answer.Code {
	case wechat.ErrCodeAddressNotListed:
		seen := "the address of this machine"
		if address := answer.Address(); address.IsValid() {
			seen = address.String() + ", which is this machine to WeChat,"
		}
		return "add " + seen + " to the IP whitelist (IP白名单) on mp.weixin.qq.com (开发管理 → 开发设置); it must be an address that stays"
	case wechat.ErrCodeFrozenSecret:
		return "thaw the secret on mp.weixin.qq.com (开发管理 → 开发设置)"
	case wechat.ErrCodeBusy, wechat.ErrCodeDailyQuota, wechat.ErrCodeMinuteQuota, wechat.ErrCodeShortQuota, wechat.ErrCodeSecondQuota:
		return "try again later: WeChat is busy, or the quota is used up"
	case wechat.ErrCodeForbiddenAPI, wechat.ErrCodeUserLimited:
		return "see the messages of mp.weixin.qq.com (通知中心): WeChat has limited the mini-program"
	}
	return "copy appid and secret again from mp.weixin.qq.com (开发管理 → 开发设置)"
}

// askingError is why a call that needs the access_token said nothing about what was asked.
func (a account) askingError(ctx context.Context, err error) (advice string, reason error) {
	var answer *wechat.Error
	if _, noToken := a.client.ServerToken(ctx); noToken != nil && !errors.Is(noToken, wechat.ErrNoToken) {
		return "see the line on access_token " + a.cfg.AppID, errors.New("WeChat was not asked")
	}
	if errors.As(err, &answer) {
		return "WeChat's page of this API says what it means", err
	}
	return "try again: nothing is known of it", err
}

// networkFinding has WeChat look at the way to the URL that it pushes to.
func (a account) networkFinding(ctx context.Context) Finding {
	f := Finding{About: "push network " + a.cfg.AppID}
	members, err := a.client.Post(ctx, "/cgi-bin/callback/check", nil, []byte(`{"action":"all","check_operator":"DEFAULT"}`))
	var answer *wechat.Error
	switch {
	case errors.As(err, &answer) && answer.Code == wechat.ErrCodeNoPushURL:
		f.Err, f.Advice = answer, "enter URL, Token and EncodingAESKey on mp.weixin.qq.com (开发管理 → 开发设置 → 消息推送)"
	case errors.As(err, &answer) && answer.Code == wechat.ErrCodeUnauthorized:
		f.Advice = "WeChat does not look at the network for this mini-program (48001)"
	case err != nil:
		f.Advice, f.Err = a.askingError(ctx, err)
	default:
		f.Advice, f.Err = networkOf(members)
	}
	return f
}

// networkOf reads an answer of callback/check.
func networkOf(members map[string]json.RawMessage) (advice string, err error) {
	var dns []struct {
		IP       netip.Addr `json:"ip"`
		Operator string     `json:"real_operator"`
	}
	var pings []struct {
		IP   netip.Addr `json:"ip"`
		Loss string     `json:"package_loss"` // of one ping: 0% or 100%
	}
	if json.Unmarshal(members["dns"], &dns) != nil || len(members["ping"]) > 0 && json.Unmarshal(members["ping"], &pings) != nil {
		return "try again later", errors.New("WeChat's answer has no dns")
	}
	if len(dns) == 0 {
		return "let a record of the DNS (A, AAAA) lead from it to this gateway", errors.New("WeChat does not resolve the domain of the URL that it pushes to")
	}
	var leads, silent []string
	for _, each := range dns {
		leads = append(leads, fmt.Sprintf("%v (%s)", each.IP.WithZone(""), operator(each.Operator)))
	}
	for _, each := range pings {
		if each.Loss != "0%" {
			silent = append(silent, each.IP.WithZone("").String())
		}
	}
	advice = "for WeChat the domain of its URL is " + few(leads, ", ")
	switch {
	case len(pings) == 0:
	case len(silent) == 0:
		advice += ", which answers pings"
	default:
		advice += "; no ping comes back from " + few(silent, ", ") + ": as long as messages arrive that is only a firewall"
	}
	return advice, nil
}

// operator is the name of a carrier, of which there are few.
func operator(name string) string {
	if name == "" || len(name) > 16 || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		return "another carrier"
	}
	return name
}

// appKeyFinding signs a question about an order that there is not, which neither changes nor tells anything.
func (a account) appKeyFinding(ctx context.Context, env int) Finding {
	name, key, where := "app_key", a.cfg.VirtualPayment.AppKey, "production (env 0)"
	if env == 1 {
		name, key, where = "sandbox_app_key", a.cfg.VirtualPayment.SandboxAppKey, "the sandbox of virtual payment (env 1)"
	}
	f := Finding{About: name + " " + a.cfg.AppID}
	if key == "" {
		f.Advice = "there is none, so nothing can be paid in " + where
		return f
	}
	err := a.queryNoOrder(ctx, env)
	var answer *wechat.Error
	switch {
	case errors.As(err, &answer) && answer.Code == wechat.ErrCodePaySignature:
		f.Err, f.Advice = answer, fmt.Sprintf("copy the AppKey of %s again from mp.weixin.qq.com (虚拟支付 → 基本配置)", where)
	case err == nil, errors.As(err, &answer) && answer.OfPayment():
		f.Advice = "WeChat takes its signature in " + where
	default:
		f.Advice, f.Err = a.askingError(ctx, err)
	}
	return f
}

// queryNoOrder asks about a made-up order of a made-up user.
func (a account) queryNoOrder(ctx context.Context, env int) error {
	const path = "/xpay/query_order"
	body, err := json.Marshal(map[string]any{"openid": "oWxgateDoctor000000000000000", "env": env, "order_id": "doctor" + rand.Text()})
	if err != nil {
		return err
	}
	call, _, err := a.cfg.VirtualPayment.SignCall(path, body)
	if err != nil {
		return err
	}
	query := url.Values{}
	call.AddTo(query, "")
	_, err = a.client.Post(ctx, path, query, body)
	return err
}

// clockFinding compares our clock with WeChat's Date.
func clockFinding(ctx context.Context, baseURL string) Finding {
	f := Finding{About: "clock", Advice: "within 5 s of WeChat's"}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, baseURL, nil)
	if err != nil {
		f.Err, f.Advice = errors.New("no request could be made"), "fix wechat.base_url"
		return f
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		f.Err, f.Advice = errors.New("WeChat was not reached"), "see the line on WeChat"
		return f
	}
	defer resp.Body.Close()
	theirs, err := http.ParseTime(resp.Header.Get("Date"))
	if skew := time.Since(theirs).Round(time.Second); err == nil && (skew > 5*time.Second || skew < -5*time.Second) {
		f.Err, f.Advice = fmt.Errorf("our clock is off by %v", skew), "run NTP (chrony, systemd-timesyncd): the lifetime of tokens depends on the clock"
	}
	return f
}
