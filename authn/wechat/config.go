package wechat

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"wxgate/secret"
)

// maxTimeout is callContainer's own limit: a mini-program on Cloud Run has given up by then (page "wx.cloud.callContainer").
const maxTimeout = 15 * time.Second

// Config is the wechat section of gateway.yaml for one mini-program.
type Config struct {
	AppID   string        `yaml:"appid"`    // of the mini-program, wx…; upper and lower case differ; WX_APPID
	Secret  Secret        `yaml:"secret"`   // the AppSecret beside it on mp.weixin.qq.com; WX_SECRET
	BaseURL string        `yaml:"base_url"` // https://api.weixin.qq.com; http:// only inside Cloud Run or for the sandbox
	Timeout time.Duration `yaml:"timeout"`  // for one whole call: name, dial, TLS, answer and body; 3s

	Concurrency int `yaml:"concurrency"` // exchanges at a time, per mini-program; more wait for up to half of Timeout; 0: no bound

	Apps     []App `yaml:"apps"`      // several mini-programs; then AppID and Secret stay empty
	CloudRun bool  `yaml:"cloud_run"` // believe X-WX-OPENID; only where nothing but WeChat Cloud Run can reach us

	CloudFunctionSecret Secret     `yaml:"cloud_function_secret"` // shared with the cloud function api-proxy, whose signed openid is then believed
	PhoneByDecryption   bool       `yaml:"phone_by_decryption"`   // take a phone number from encrypted data, too; they are weaker than a code
	Push                PushConfig `yaml:"push"`                  // message push; off while empty
}

// App is one of several mini-programs.
type App struct {
	AppID  string `yaml:"appid"`
	Secret Secret `yaml:"secret"`
}

// PushConfig is wechat.push: what the page 消息推送 of mp.weixin.qq.com says, and where messages go.
type PushConfig struct {
	Token    Secret `yaml:"token"`
	AESKey   Secret `yaml:"aes_key"`
	Upstream string `yaml:"upstream"`
}

// Each is the configuration of each mini-program.
func (c Config) Each() []Config {
	if len(c.Apps) == 0 {
		return []Config{c}
	}
	each := make([]Config, len(c.Apps))
	for i, app := range c.Apps {
		each[i] = c
		each[i].AppID, each[i].Secret, each[i].Apps = app.AppID, app.Secret, nil
	}
	return each
}

// DefaultConfig returns Tencent's address and a timeout of 3 s; AppID and Secret are the operator's to fill in.
func DefaultConfig() Config {
	return Config{BaseURL: "https://api.weixin.qq.com", Timeout: 3 * time.Second, Concurrency: 64}
}

// Reload is c with what a running process takes over from next: all but the accounts and how WeChat is asked.
func (c Config) Reload(next Config) Config {
	c.CloudRun, c.CloudFunctionSecret, c.PhoneByDecryption, c.Push = next.CloudRun, next.CloudFunctionSecret, next.PhoneByDecryption, next.Push
	return c
}

// Validate reports every fault at once, each beginning with its path in gateway.yaml, and touches neither disk nor network.
func (c Config) Validate() []error {
	faults := append(c.appFaults(), baseURLFault(c.BaseURL), timeoutFault(c.Timeout), concurrencyFault(c.Concurrency), functionFault(c.CloudFunctionSecret))
	return present(append(faults, c.pushFaults()...))
}

func (c Config) appFaults() []error {
	if len(c.Apps) == 0 {
		return []error{wordFault("wechat.appid", c.AppID, "WX_APPID"), wordFault("wechat.secret", c.Secret.Reveal(), "WX_SECRET")}
	}
	var faults []error
	if c.AppID != "" || c.Secret.Reveal() != "" {
		faults = append(faults, errors.New("wechat.apps: names the mini-programs, so wechat.appid and wechat.secret must stay empty"))
	}
	seen := map[string]bool{}
	for i, app := range c.Apps {
		path := fmt.Sprintf("wechat.apps[%d]", i)
		faults = append(faults, wordFault(path+".appid", app.AppID, "no variable"), wordFault(path+".secret", app.Secret.Reveal(), "no variable"))
		if seen[app.AppID] {
			faults = append(faults, fmt.Errorf("%s.appid: %q is there twice", path, app.AppID))
		}
		seen[app.AppID] = true
	}
	return faults
}

// pushFaults wants all of wechat.push or nothing: a message that nobody verifies or receives is lost without a sound.
func (c Config) pushFaults() []error {
	p := c.Push
	if p == (PushConfig{}) {
		return nil
	}
	var faults []error
	for path, value := range map[string]string{"token": p.Token.Reveal(), "aes_key": p.AESKey.Reveal(), "upstream": p.Upstream} {
		if value == "" {
			faults = append(faults, fmt.Errorf("wechat.push.%s: is empty, but the rest of wechat.push is not", path))
		}
		if mistake := secret.Mistake(value); mistake != "" {
			faults = append(faults, fmt.Errorf("wechat.push.%s: %s", path, mistake))
		}
	}
	if len(c.Apps) > 0 {
		faults = append(faults, errors.New("wechat.push: works with one mini-program; wechat.apps names several"))
	}
	return faults
}

// wordFault wants one word of visible ASCII: a pasted space or newline is the usual reason for errcode 40013 and 40125.
func wordFault(path, value, env string) error {
	if value == "" {
		return fmt.Errorf("%s: is empty; set it here or in %s", path, env)
	}
	if mistake := secret.Mistake(value); mistake != "" {
		return fmt.Errorf("%s: %s", path, mistake)
	}
	if !visibleASCII(value) {
		return fmt.Errorf("%s: has a space, a line break or a character outside ASCII; copy it again from mp.weixin.qq.com", path)
	}
	return nil
}

// LooksLikeAppID reports whether an appid has the form of those that mp.weixin.qq.com gives: wx and 16 hexadecimal digits.
func LooksLikeAppID(appID string) bool {
	rest, found := strings.CutPrefix(appID, "wx")
	return found && len(rest) == 16 && strings.Trim(rest, "0123456789abcdef") == ""
}

// baseURLFault never quotes the value: a URL may carry a password.
func baseURLFault(value string) error {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return errors.New("wechat.base_url: is not an http:// or https:// URL with a host")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("wechat.base_url: must have no user, query or fragment")
	}
	return nil
}

func timeoutFault(d time.Duration) error {
	if d <= 0 || d > maxTimeout {
		return fmt.Errorf("wechat.timeout: %s is not above 0s and at most %s", d, maxTimeout)
	}
	return nil
}

// maxConcurrency is far beyond what a process has descriptors for.
const maxConcurrency = 10_000

func concurrencyFault(n int) error {
	if n < 0 || n > maxConcurrency {
		return fmt.Errorf("wechat.concurrency: %d is not between 0 and %d", n, maxConcurrency)
	}
	return nil
}

// present keeps the faults that are there.
func present(faults []error) []error {
	var found []error
	for _, fault := range faults {
		if fault != nil {
			found = append(found, fault)
		}
	}
	return found
}

// minFunctionSecretBytes is what HMAC-SHA256 asks for: a key as long as the hash (RFC 2104 §3).
const minFunctionSecretBytes = 32

func functionFault(key Secret) error {
	if mistake := secret.Mistake(key.Reveal()); mistake != "" {
		return fmt.Errorf("wechat.cloud_function_secret: %s", mistake)
	}
	if n := len(key); n > 0 && n < minFunctionSecretBytes {
		return fmt.Errorf("wechat.cloud_function_secret: has %d bytes; %d or more are needed", n, minFunctionSecretBytes)
	}
	return nil
}

// visibleASCII reports whether s has only the characters ! to ~, so that it is safe in a header, a log and a column.
func visibleASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
