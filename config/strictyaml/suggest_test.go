package strictyaml

import "testing"

func TestAKeyIsSuggestedWhenItIsClose(t *testing.T) {
	t.Parallel()
	known := []string{"upstream", "body_limit", "ip", "id", "login"}
	for name, want := range map[string]string{
		"upstraem": "upstream", "Upstream": "upstream", "upstreams": "upstream", "bodyLimit": "body_limit",
		"body-limits": "body_limit", "logni": "login", "up": "", "xy": "", "limit": "", "": "",
	} {
		if got, _ := closest(name, known); got != want {
			t.Errorf("got %q, want %q, for %q among %v", got, want, name, known)
		}
	}
}

func TestALongListOfKeysIsNotPrinted(t *testing.T) {
	t.Parallel()
	if got, want := unknownKey("q", make([]string, knownKeysListed+1)), "unknown key"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
