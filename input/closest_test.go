package input

import "testing"

func TestAWordIsSuggestedWhenItIsClose(t *testing.T) {
	t.Parallel()
	known := []string{"upstream", "body_limit", "ip", "id", "login", "cors", "apps", "secret", "read_header", "read_body"}
	for name, want := range map[string]string{
		"upstraem": "upstream", "Upstream": "upstream", "upstreams": "upstream", "bodyLimit": "body_limit",
		"body-limits": "body_limit", "logni": "login", "up": "", "xy": "", "limit": "", "upst": "upstream", "loginlimit": "login", "": "",
		"port": "", "cor": "cors", "app_secret": "secret", "appsecret": "secret", "read": "", "read_head": "read_header",
	} {
		if got, _ := Closest(name, known); got != want {
			t.Errorf("got %q, want %q, for %q among %v", got, want, name, known)
		}
	}
}
