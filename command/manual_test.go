package command

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wxgate/config"
)

// TestTheManualHasEveryValueOfAKeyThatHasFew asks Validate which values a key may have.
func TestTheManualHasEveryValueOfAKeyThatHasFew(t *testing.T) {
	t.Parallel()
	cfg := demoConfig(t.TempDir(), "127.0.0.1:0", "http://127.0.0.1:1", "http://127.0.0.1:1")
	cfg.Routes[0].Auth, cfg.Log.Level, cfg.Log.Format, cfg.Authn.Algorithm, cfg.Storage.Driver = "?", "?", "?", "?", "?"
	recipes := cfg.Upstreams["recipes"]
	recipes.Balance = "?"
	cfg.Upstreams["recipes"] = recipes
	documented, found := tableRows(t, "docs/configuration.md"), 0
	key := strings.NewReplacer("routes[0]", "routes[]", "upstreams.recipes", "upstreams.<name>")
	for _, fault := range cfg.Validate() {
		path, values, listed := strings.Cut(fault.Error(), `: "?" is not one of `)
		if !listed {
			continue
		}
		found++
		row := strings.Join(documented[key.Replace(path)], " ")
		for _, value := range regexp.MustCompile(`[\w()]+`).FindAllString(values, -1) {
			if !strings.Contains(row, value) {
				t.Errorf("docs/configuration.md does not explain %s of %s: %q", value, path, row)
			}
		}
	}
	if found < 4 {
		t.Errorf("found %d keys with few values in %v, want more", found, cfg.Validate())
	}
}

// TestTheGatewaysOfTheTLSPageAreValid reads each example beside the minimum of the README.
func TestTheGatewaysOfTheTLSPageAreValid(t *testing.T) {
	t.Parallel()
	minimum := blocks(t, "README.md", "yaml")[0]
	for _, example := range blocks(t, "docs/tls.md", "yaml") {
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		if err := os.WriteFile(file, []byte(minimum+example), 0o600); err != nil {
			t.Fatal(err)
		}
		if cfg, err := config.Load(file, manualEnv); err != nil || (len(cfg.Server.TrustedProxies) == 1) == cfg.Server.TLS.Enabled() {
			t.Errorf("%v, %d trusted proxies, in\n%s", err, len(cfg.Server.TrustedProxies), example)
		}
	}
}
