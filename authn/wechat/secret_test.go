package wechat_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
)

const plain = "0123456789abcdef0123456789abcdef"

func TestAConfigPrintsAndLogsNoSecret(t *testing.T) {
	t.Parallel()
	config := wechat.Config{Secret: plain}
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("event", "config", config, "session", wechat.Session{SessionKey: plain})
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%T %v"} {
		_, _ = fmt.Fprintf(&out, verb, config)
		_, _ = fmt.Fprintf(&out, verb, &config)
	}
	if got := out.String(); strings.Contains(got, plain) || strings.Contains(got, fmt.Sprintf("%x", plain)) {
		t.Errorf("got %s, want no secret in it", got)
	}
}

func TestAPrintedClientHoldsNoSecret(t *testing.T) {
	t.Parallel()
	config := wechat.DefaultConfig()
	config.AppID, config.Secret = appID, plain
	client, err := wechat.New(config, wechat.Deps{Metrics: prometheus.NewRegistry()})
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
