package wechat_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
)

const plain = "0123456789abcdef0123456789abcdef"

func TestSecretPrintsStarsInEveryVerb(t *testing.T) {
	t.Parallel()
	config := wechat.Config{Secret: plain}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%T %v"} {
		for name, value := range map[string]any{"secret": wechat.Secret(plain), "config": config, "pointer": &config, "slice": []wechat.Secret{plain}} {
			got := fmt.Sprintf(verb, value)
			if strings.Contains(got, plain) || strings.Contains(got, fmt.Sprintf("%x", plain)) {
				t.Errorf("Sprintf(%q, %s): got %s, want no secret in it", verb, name, got)
			}
		}
	}
}

func TestSecretMarshalsToStars(t *testing.T) {
	t.Parallel()
	value := []any{wechat.Secret(plain), wechat.Config{Secret: plain}, map[string]wechat.Secret{"a": plain}}
	asJSON, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(wechat.Config{Secret: plain})
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{"json": asJSON, "yaml": asYAML} {
		if bytes.Contains(got, []byte(plain)) || !bytes.Contains(got, []byte("***")) {
			t.Errorf("%s: got %s, want *** and no secret", name, got)
		}
	}
}

func TestSecretIsDecodedFromYAMLAndRevealed(t *testing.T) {
	t.Parallel()
	var config wechat.Config
	text := "secret: " + "\"" + plain + "\"\ntimeout: 2s\n"
	if err := yaml.Unmarshal([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	if got := config.Secret.Reveal(); got != plain {
		t.Errorf("Reveal after decoding %s: got %s, want %s", text, got, plain)
	}
}

func TestSecretLogsStars(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("event", "secret", wechat.Secret(plain), "config", wechat.Config{Secret: plain}, "session", wechat.Session{SessionKey: plain})
	}
	if strings.Contains(out.String(), plain) {
		t.Errorf("log: got %s, want no secret in it", out.String())
	}
}

func TestAPrintedClientHoldsNoSecret(t *testing.T) {
	t.Parallel()
	config := wechat.DefaultConfig()
	config.AppID, config.Secret = appID, plain
	client, err := wechat.New(config, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		if got := fmt.Sprintf(verb, client) + fmt.Sprintf(verb, *client); strings.Contains(got, plain) {
			t.Errorf("Sprintf(%q, client): got %s, want no secret in it", verb, got)
		}
	}
}

func TestAPrintedSessionShowsNothing(t *testing.T) {
	t.Parallel()
	session := wechat.Session{OpenID: "oAlice", SessionKey: "key"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(verb, session); got != "***" {
			t.Errorf("Sprintf(%q, session): got %s, want ***", verb, got)
		}
	}
}
