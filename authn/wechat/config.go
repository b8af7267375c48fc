package wechat

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"wxgate/input"
	"wxgate/secret"
)

// maxTimeout is callContainer's own limit: a mini-program on Cloud Run has given up by then (page "wx.cloud.callContainer").
const maxTimeout = 15 * time.Second

// Config is the wechat section of gateway.yaml for one mini-program.
type Config struct {
	AppID   string        `yaml:"appid"`    // of the mini-program, wx…; upper and lower case differ; WX_APPID
	Secret  secret.Text   `yaml:"secret"`   // the AppSecret beside it on mp.weixin.qq.com; WX_SECRET
	BaseURL string        `yaml:"base_url"` // https://api.weixin.qq.com; http:// only inside Cloud Run or for the sandbox
	Timeout time.Duration `yaml:"timeout"`  // for a whole call: DNS, dial, TLS and the complete answer; 3s

	Concurrency int `yaml:"concurrency"` // concurrent exchanges per mini-program; more wait for up to half of Timeout; 0: unlimited

	Apps     []App `yaml:"apps"`      // several mini-programs; then AppID and Secret stay empty
	CloudRun bool  `yaml:"cloud_run"` // trust X-WX-OPENID; only where nothing but WeChat Cloud Run can reach us

	CloudFunctionSecret secret.Text `yaml:"cloud_function_secret"` // shared with the cloud function api-proxy, whose signed openid is then trusted
	PhoneByDecryption   bool        `yaml:"phone_by_decryption"`   // accept phone numbers in encrypted data as well; they are weaker than a code
	Push                PushConfig  `yaml:"push"`                  // message push; off while empty

	VirtualPayment VirtualPaymentConfig `yaml:"virtual_payment"` // virtual payment; off while empty
	ContentCheck   ContentCheckConfig   `yaml:"content_check"`   // of what users write of themselves

	OfficialAccount WebAccount `yaml:"official_account"` // whose web pages log people in within WeChat; off while empty
	Website         WebAccount `yaml:"website"`          // whose web pages log people in by a QR code; off while empty
	OpenURL         string     `yaml:"open_url"`         // where web pages send people to log in; https://open.weixin.qq.com
}

// App is one of several mini-programs.
type App struct {
	AppID  string      `yaml:"appid"` // of the mini-program
	Secret secret.Text `yaml:"secret"`
	Push   PushConfig  `yaml:"push"`

	VirtualPayment VirtualPaymentConfig `yaml:"virtual_payment"`
}

// PushConfig is wechat.push: the settings of the page 消息推送 of mp.weixin.qq.com, and the upstream for messages.
type PushConfig struct {
	Token    secret.Text `yaml:"token"`
	AESKey   secret.Text `yaml:"aes_key"`
	Upstream string      `yaml:"upstream"` // which service gets the messages, a name of upstreams

	PlainPaymentAnswers bool `yaml:"plain_payment_answers"` // what a service answers to events of payment is not sealed
}

// Each returns the configuration of each mini-program.
func (c Config) Each() []Config {
	if len(c.Apps) == 0 {
		return []Config{c}
	}
	each := make([]Config, len(c.Apps))
	for i, app := range c.Apps {
		each[i] = c
		each[i].AppID, each[i].Secret, each[i].Push, each[i].Apps = app.AppID, app.Secret, app.Push, nil
		each[i].VirtualPayment = app.VirtualPayment
		each[i].OfficialAccount, each[i].Website = WebAccount{}, WebAccount{}
	}
	return each
}

// PushUpstreams are the upstreams that messages go to, one for each mini-program that has message push.
func (c Config) PushUpstreams() (names []string) {
	for _, each := range c.Each() {
		if each.Push.Upstream != "" {
			names = append(names, each.Push.Upstream)
		}
	}
	return names
}

// PushApps are the appids of the mini-programs that have message push.
func (c Config) PushApps() (ids []string) {
	for _, each := range c.Each() {
		if each.Push.Upstream != "" {
			ids = append(ids, each.AppID)
		}
	}
	return ids
}

// Unknown returns those appids that are of none of the mini-programs.
func (c Config) Unknown(appIDs []string) []string {
	return slices.DeleteFunc(slices.Clone(appIDs), func(id string) bool {
		return slices.ContainsFunc(c.Each(), func(each Config) bool { return each.AppID == id })
	})
}

// DefaultConfig returns Tencent's address and a timeout of 3 s; AppID and Secret are up to the operator.
func DefaultConfig() Config {
	none := WebAccount{ReturnTo: []string{}, VerifyFiles: map[string]string{}}
	return Config{
		BaseURL: "https://api.weixin.qq.com", Timeout: 3 * time.Second, Concurrency: 64,
		ContentCheck: ContentCheckConfig{OnError: OnErrorAllow}, OfficialAccount: none, Website: none, OpenURL: "https://open.weixin.qq.com",
	}
}

// VirtualPayments are the sections virtual_payment that are not empty, by appid.
func (c Config) VirtualPayments() map[string]VirtualPaymentConfig {
	all := map[string]VirtualPaymentConfig{}
	for _, each := range c.Each() {
		if each.VirtualPayment.Enabled() {
			all[each.AppID] = each.VirtualPayment
		}
	}
	return all
}

// Reload returns c with what a running process adopts from next: everything but the accounts and the connection to
// WeChat.
func (c Config) Reload(next Config) Config {
	c.CloudRun, c.CloudFunctionSecret, c.PhoneByDecryption, c.Push = next.CloudRun, next.CloudFunctionSecret, next.PhoneByDecryption, next.Push
	c.VirtualPayment, c.ContentCheck = next.VirtualPayment, next.ContentCheck
	c.OfficialAccount, c.Website, c.OpenURL = c.OfficialAccount.reload(next.OfficialAccount), c.Website.reload(next.Website), next.OpenURL
	c.Apps = slices.Clone(c.Apps)
	for i := range c.Apps {
		for _, app := range next.Apps {
			if app.AppID == c.Apps[i].AppID {
				c.Apps[i].Push, c.Apps[i].VirtualPayment = app.Push, app.VirtualPayment
			}
		}
	}
	return c
}

// Validate reports every fault of the section, and touches neither disk nor network.
func (c Config) Validate() input.Faults {
	f := c.validateApps()
	c.validateBaseURL(&f)
	if c.Timeout <= 0 || c.Timeout > maxTimeout {
		f.Add("timeout", "%s is not above 0s and at most %s", c.Timeout, maxTimeout)
	}
	input.Between(&f, "concurrency", c.Concurrency, 0, maxConcurrency)
	if mistake, n := secret.Mistake(c.CloudFunctionSecret.Reveal()), len(c.CloudFunctionSecret); mistake != "" {
		f.Add("cloud_function_secret", "%s", mistake)
	} else if n > 0 && n < minFunctionSecretBytes {
		f.Add("cloud_function_secret", "has %d bytes; %d or more are needed", n, minFunctionSecretBytes)
	}
	c.validatePush(&f)
	f = append(f, c.ContentCheck.validate().At("content_check")...)
	f = append(f, c.VirtualPayment.validate().At("virtual_payment")...)
	for i, app := range c.Apps {
		f = append(f, app.VirtualPayment.validate().At(fmt.Sprintf("apps[%d].virtual_payment", i))...)
	}
	c.validateWebs(&f)
	if len(c.Apps) > 0 && c.VirtualPayment.Enabled() {
		f.Add("virtual_payment", "belongs to one mini-program; write it into its entry of wechat.apps")
	}
	return f
}

// Warnings returns settings that are valid but may not be intended.
func (c Config) Warnings() (ws input.Warnings) {
	for i, each := range c.Each() {
		path := "appid"
		if len(c.Apps) > 0 {
			path = fmt.Sprintf("apps[%d].appid", i)
		}
		if rest, found := strings.CutPrefix(each.AppID, "wx"); !found || len(rest) != 16 || strings.Trim(rest, "0123456789abcdef") != "" {
			ws.Warn("appid-form", path, "%q is not wx and 16 of the characters 0 to 9 and a to f, as appids are", each.AppID)
		}
		if c.ContentCheck.Enabled && each.Push.Upstream == "" {
			ws.Warn("content-check-blind", strings.TrimSuffix(path, "appid")+"push", "is off, so avatars are not checked: WeChat pushes what it thinks of them")
		}
		if each.Push.Token != "" && each.Push.AESKey == "" {
			ws.Warn("push-plain", strings.TrimSuffix(path, "appid")+"push.aes_key", "is empty: in plain mode (明文模式) whoever has seen one address that WeChat called can write "+
				"messages for five minutes, so events about money are refused unless WeChat knows the order as paid; choose 安全模式 on mp.weixin.qq.com")
		}
	}
	return ws
}

func (c Config) validateApps() (f input.Faults) {
	if len(c.Apps) == 0 {
		validateWord(&f, "appid", c.AppID, "WX_APPID")
		validateWord(&f, "secret", c.Secret.Reveal(), "WX_SECRET")
		return f
	}
	if c.AppID != "" || c.Secret.Reveal() != "" {
		f.Add("apps", "names the mini-programs, so wechat.appid and wechat.secret must stay empty")
	}
	seen := map[string]bool{}
	for i, app := range c.Apps {
		path := fmt.Sprintf("apps[%d]", i)
		validateWord(&f, path+".appid", app.AppID, "no variable")
		validateWord(&f, path+".secret", app.Secret.Reveal(), "no variable")
		if seen[app.AppID] {
			f.Add(path+".appid", "%q is listed twice", app.AppID)
		}
		seen[app.AppID] = true
	}
	return f
}

// validatePush wants all of push or nothing, of each mini-program: a message that nobody verifies or receives is lost without a
// sound. What tells one in plain mode from another is the Token alone.
func (c Config) validatePush(f *input.Faults) {
	if len(c.Apps) == 0 {
		*f = append(*f, c.Push.validate(c.CloudRun).At("push")...)
		return
	}
	if c.Push != (PushConfig{}) {
		f.Add("push", "must stay empty beside wechat.apps; each of them has a push of its own")
	}
	known := map[secret.Text]int{}
	for i, app := range c.Apps {
		path := fmt.Sprintf("apps[%d].push", i)
		*f = append(*f, app.Push.validate(c.CloudRun).At(path)...)
		other, taken := known[app.Push.Token]
		if app.Push.Token != "" && taken && (app.Push.AESKey == "" || c.Apps[other].Push.AESKey == "") {
			f.Add(path+".token", "is that of apps[%d], and where aes_key is empty nothing else tells their messages apart", other)
		}
		known[app.Push.Token] = i
	}
}

// validate wants a Token, unless all messages come from within WeChat.
func (p PushConfig) validate(cloudRun bool) (f input.Faults) {
	if p == (PushConfig{}) {
		return nil
	}
	if p.Upstream == "" {
		f.Add("upstream", "is empty, but the rest is not")
	}
	if p.Token.Reveal() == "" && (!cloudRun || p.AESKey.Reveal() != "") {
		f.Add("token", "is empty, but the rest is not")
	}
	for path, value := range map[string]string{"token": p.Token.Reveal(), "aes_key": p.AESKey.Reveal(), "upstream": p.Upstream} {
		_, err := decodeAESKey(value)
		switch mistake := secret.Mistake(value); {
		case mistake != "":
			f.Add(path, "%s", mistake)
		case path == "token" && !visibleASCII(value):
			f.Add(path, "has a space or a character outside ASCII; copy it again from mp.weixin.qq.com")
		case path == "aes_key" && value != "" && err != nil:
			f.Add(path, "is not 43 letters and digits, as an EncodingAESKey of mp.weixin.qq.com is")
		}
	}
	return f
}

// validateWord wants one word of visible ASCII: a pasted space or newline is the usual reason for errcode 40013 and 40125.
func validateWord(f *input.Faults, path, value, env string) {
	mistake := secret.Mistake(value)
	switch {
	case value == "":
		f.Add(path, "is empty; set it here or in %s", env)
	case mistake != "":
		f.Add(path, "%s", mistake)
	case !visibleASCII(value):
		f.Add(path, "has a space, a line break or a character outside ASCII; copy it again from mp.weixin.qq.com")
	}
}

// validateBaseURL never quotes the value: a URL may carry a password.
func (c Config) validateBaseURL(f *input.Faults) {
	if fault := faultOfBaseURL(c.BaseURL); fault != "" {
		f.Add("base_url", "%s", fault)
	}
}

// faultOfBaseURL says why a text cannot be the address of a server of WeChat, "" if it can.
func faultOfBaseURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil || !input.IsHost(u.Hostname()) || (u.Scheme != "https" && u.Scheme != "http"):
		return "is not an http:// or https:// URL with a host"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "must have no user, query or fragment"
	}
	return ""
}

// maxConcurrency is far beyond what a process has descriptors for.
const maxConcurrency = 10_000

// minFunctionSecretBytes is what HMAC-SHA256 asks for: a key as long as the hash (RFC 2104 §3).
const minFunctionSecretBytes = 32

// visibleASCII reports whether s has only the characters ! to ~, so that it is safe in a header, a log and a column.
func visibleASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
