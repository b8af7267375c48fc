package command

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"wxgate/authn/token"
	"wxgate/config"
	"wxgate/gateway"
	"wxgate/secret"
)

// fillSecrets gives every secret of a value a text that can be found again.
func fillSecrets(t *testing.T, v reflect.Value, path string) (filled int) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[secret.Text]():
		v.SetString("real-secret-of-" + path + "-0123456789abcdef")
		return 1
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				filled += fillSecrets(t, v.Field(i), path+"."+v.Type().Field(i).Name)
			}
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		filled += fillSecrets(t, v.Index(0), path)
	}
	return filled
}

// secretsLeft are the paths of secrets that hold a text of fillSecrets.
func secretsLeft(v reflect.Value, path string) (left []string) {
	switch {
	case v.Type() == reflect.TypeFor[secret.Text]():
		if strings.HasPrefix(v.String(), "real-secret") {
			left = append(left, path)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				left = append(left, secretsLeft(v.Field(i), path+"."+v.Type().Field(i).Name)...)
			}
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			left = append(left, secretsLeft(v.Index(i), fmt.Sprintf("%s[%d]", path, i))...)
		}
	}
	return left
}

// TestASandboxKeepsNoSecretOfTheFile meets every secret that a section has, those of keys to come too.
func TestASandboxKeepsNoSecretOfTheFile(t *testing.T) {
	t.Parallel()
	stand := newTestStandIn(t)
	cfg := config.DefaultConfig()
	if filled := fillSecrets(t, reflect.ValueOf(&cfg).Elem(), ""); filled < 7 {
		t.Fatalf("found %d secrets in the configuration, want at least 7", filled)
	}
	cfg.Authn.Keys[0] = token.KeyConfig{ID: "real", File: "real-key.pem"}
	cfg.WeChat.CloudRun, cfg.Authn.AcceptForeign, cfg.Storage.Badger.Dir = true, true, "/var/lib/wxgate"
	if err := stand.replace(&cfg); err != nil {
		t.Fatal(err)
	}
	if left := secretsLeft(reflect.ValueOf(cfg), ""); len(left) > 0 {
		t.Errorf("the sandbox works with the file's %v", left)
	}
	if cfg.WeChat.CloudRun || cfg.Authn.AcceptForeign || cfg.Authn.Issuer != sandboxIssuer || len(cfg.Authn.Keys) != 1 || cfg.Authn.Keys[0].File != "" ||
		!strings.HasPrefix(cfg.Storage.Badger.Dir, stand.dir) || cfg.WeChat.BaseURL != stand.weChat.URL() {
		t.Errorf("the sandbox works with\n%+v\n%+v\n%+v", cfg.WeChat, cfg.Authn, cfg.Storage)
	}
}

func newTestStandIn(t *testing.T) *standIn {
	t.Helper()
	stand, err := newStandIn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stand.close() })
	return stand
}

func TestASandboxNeedsNoneOfTheSecretsThatTheFileNames(t *testing.T) {
	t.Parallel()
	stand := newTestStandIn(t)
	file := filepath.Join(t.TempDir(), "my.yaml")
	text := `
server: { admin: "0.0.0.0:0", admin_token: "${ADMIN_TOKEN}", services: [ { name: recipes, token: "${RECIPES_TOKEN}", may: [wechat] } ] }
wechat: { appid: "${WX_APPID}", secret: "${file:/run/secrets/wechat}", cloud_function_secret: "${CLOUD_SECRET}" }
authn:
  keys: [ { id: main, secret: "${JWT_SECRET}" }, { id: old, secret: "${OLD_SECRET}" } ]
  issuers: [ { name: admin, secret: "${ADMIN_SECRET}", algorithms: [HS512], headers: { X-Admin-Id: sub } } ]
storage: { encryption_key: "${STORAGE_KEY}" }
upstreams: { recipes: http://127.0.0.1:3000 }
routes:
  - { path: /api/**, upstream: recipes, headers: { set: { X-Api-Key: "%s" } } }
  - { path: /pay/notify, methods: [POST], upstream: recipes, wechat_pay: { mchid: "1234567890", apiv3_key: "${PAY_KEY}", public_keys: [ { id: PUB_KEY_ID_01, file: /run/secrets/pub_key.pem } ] } }
`
	write := func(key string) {
		if err := os.WriteFile(file, fmt.Appendf(nil, text, key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	none := func(string) (string, bool) { return "", false }
	write("${WX_API_KEY}")
	if cfg, err := stand.load(file, none); err != nil || len(cfg.Routes) != 2 || cfg.Routes[1].WeChatPay.MchID != sandboxMchID || cfg.Server.Admin != "127.0.0.1:0" || len(cfg.Server.Services) > 0 {
		t.Errorf("got %v and admin %s", err, cfg.Server.Admin)
	}
	write("${SHOP_KEY}")
	if _, err := stand.load(file, none); err == nil || !strings.Contains(err.Error(), "SHOP_KEY is not set") {
		t.Errorf("a variable of one's own that is not set: got %v", err)
	}
}

func TestRoutesAreLookedAtWithoutTheKeysOfOthers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	text := `
server: { admin_token: "${ADMIN_TOKEN}", services: [ { name: recipes, token: "${RECIPES_TOKEN}", may: [wechat] }, { name: others, token: "${OTHERS_TOKEN}", may: [notify] } ] }
upstreams: { recipes: http://127.0.0.1:3000 }
routes:
  - { path: /pay/notify, methods: [POST], upstream: recipes, wechat_pay: { mchid: "1234567890", apiv3_key: "${PAY_KEY}", public_keys: [ { id: PUB_KEY_ID_01, file: /run/secrets/pub_key.pem } ] } }
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.LoadRouting(file, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if all, err := gateway.Routes(cfg.Gateway()); err != nil || !slices.ContainsFunc(all, func(r gateway.RouteInfo) bool { return r.Path == "/pay/notify" && r.Auth == gateway.AuthWeChatPay }) {
		t.Errorf("%v, got %v", err, all)
	}
}

func TestADemoWhosePortIsTakenSaysWhichOneItHas(t *testing.T) {
	t.Parallel()
	cfg := config.DefaultConfig()
	cfg.Server.Listen, cfg.Server.Admin = "127.0.0.1:0", "127.0.0.1:9090"
	s := &standIn{addresses: map[string]string{":8080": "127.0.0.1:0", "127.0.0.1:9090": "127.0.0.1:9090"}}
	const want = "It listens on 127.0.0.1:46147 instead of :8080.\n"
	if got := s.remarks(cfg, "127.0.0.1:46147"); got != want {
		t.Errorf("it says %q, want %q", got, want)
	}
}
