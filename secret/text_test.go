package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"wxgate/secret"
)

// config is a section with a secret in it.
type config struct {
	Secret  secret.Text   `yaml:"secret"`
	Timeout time.Duration `yaml:"timeout"`
}

const plain = "0123456789abcdef0123456789abcdef"

func TestSecretPrintsStarsInEveryVerb(t *testing.T) {
	t.Parallel()
	section := config{Secret: plain}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10s", "%T %v"} {
		for name, value := range map[string]any{"secret": secret.Text(plain), "config": section, "pointer": &section, "slice": []secret.Text{plain}} {
			got := fmt.Sprintf(verb, value)
			if strings.Contains(got, plain) || strings.Contains(got, fmt.Sprintf("%x", plain)) {
				t.Errorf("Sprintf(%q, %s): got %s, want no secret in it", verb, name, got)
			}
		}
	}
}

func TestSecretMarshalsToStars(t *testing.T) {
	t.Parallel()
	value := []any{secret.Text(plain), config{Secret: plain}, map[string]secret.Text{"a": plain}}
	asJSON, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(config{Secret: plain})
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
	var section config
	text := "secret: " + "\"" + plain + "\"\ntimeout: 2s\n"
	if err := yaml.Unmarshal([]byte(text), &section); err != nil {
		t.Fatal(err)
	}
	if got := section.Secret.Reveal(); got != plain {
		t.Errorf("Reveal after decoding %s: got %s, want %s", text, got, plain)
	}
}

func TestSecretLogsStars(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("event", "secret", secret.Text(plain), "config", config{Secret: plain})
	}
	if strings.Contains(out.String(), plain) {
		t.Errorf("log: got %s, want no secret in it", out.String())
	}
}
