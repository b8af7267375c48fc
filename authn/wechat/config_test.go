package wechat_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
	"wxgate/secret"
)

const pushKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"

func TestDefaultConfigLacksOnlyAppIDAndSecret(t *testing.T) {
	t.Parallel()
	got := wechat.DefaultConfig().Validate().At("wechat").Err().Error()
	want := "wechat.appid: is empty; set it here or in WX_APPID\nwechat.secret: is empty; set it here or in WX_SECRET"
	if got != want {
		t.Errorf("Validate of the defaults: got\n%s\nwant\n%s", got, want)
	}
}

func TestValidateReportsEachFaultUnderItsPath(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		change func(*wechat.Config)
		want   string // how the one fault begins; none when empty
	}{
		{func(*wechat.Config) {}, ""},
		{func(c *wechat.Config) { c.BaseURL = "http://api.weixin.qq.com" }, ""},
		{func(c *wechat.Config) { c.BaseURL = "https://relay.example/wechat/" }, ""},
		{func(c *wechat.Config) { c.AppID = "wx 1" }, "wechat.appid: has a space"},
		{func(c *wechat.Config) { c.Secret = "密钥" }, "wechat.secret: has a space"},
		{func(c *wechat.Config) { c.Secret = plain + "\n" }, "wechat.secret: ends with a line break"},
		{func(c *wechat.Config) { c.BaseURL = "" }, "wechat.base_url: is not"},
		{func(c *wechat.Config) { c.BaseURL = "api.weixin.qq.com" }, "wechat.base_url: is not"},
		{func(c *wechat.Config) { c.BaseURL = "ftp://api.weixin.qq.com" }, "wechat.base_url: is not"},
		{func(c *wechat.Config) { c.BaseURL = "https://" }, "wechat.base_url: is not"},
		{func(c *wechat.Config) { c.BaseURL = "https://u:" + plain + "@h" }, "wechat.base_url: must have no user"},
		{func(c *wechat.Config) { c.BaseURL = "https://h?a=b" }, "wechat.base_url: must have no user"},
		{func(c *wechat.Config) { c.BaseURL = "http://h\x7f/" + plain }, "wechat.base_url: is not"},
		{func(c *wechat.Config) { c.Timeout = 0 }, "wechat.timeout: 0s is not"},
		{func(c *wechat.Config) { c.Timeout = -time.Second }, "wechat.timeout: -1s is not"},
		{func(c *wechat.Config) { c.CloudFunctionSecret = secret.Text(strings.Repeat("k", 32)) }, ""},
		{func(c *wechat.Config) { c.CloudFunctionSecret = "short" }, "wechat.cloud_function_secret: has 5 bytes"},
		{func(c *wechat.Config) { c.Timeout = time.Minute }, "wechat.timeout: 1m0s is not"},
		{func(c *wechat.Config) { c.Push = wechat.PushConfig{Token: "t", Upstream: "u", AESKey: pushKey} }, ""},
		{func(c *wechat.Config) { c.Push = wechat.PushConfig{Token: "t", Upstream: "u", AESKey: plain} }, "wechat.push.aes_key: is not 43"},
		{func(c *wechat.Config) { c.Push = wechat.PushConfig{Token: "t", Upstream: "u", AESKey: pushKey + "="} }, "wechat.push.aes_key: is not 43"},
		{func(c *wechat.Config) { c.Push = wechat.PushConfig{Token: "a b", Upstream: "u"} }, "wechat.push.token: has a space"},
	} {
		config := wechat.DefaultConfig()
		config.AppID, config.Secret = appID, plain
		row.change(&config)
		faults := config.Validate().At("wechat")
		if row.want == "" && len(faults) == 0 {
			continue
		}
		if len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), row.want) || strings.Contains(faults[0].Error(), plain) {
			t.Errorf("Validate(%+v): got %q, want one fault that begins with %q", config, faults, row.want)
		}
	}
}

func TestNewRefusesAnInvalidConfig(t *testing.T) {
	t.Parallel()
	if _, err := wechat.New(wechat.Config{}, wechat.Deps{Metrics: prometheus.NewRegistry()}); err == nil {
		t.Error("New(Config{}): got no error, want four faults")
	}
}
