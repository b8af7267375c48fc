package doctor

import (
	"os"
	"path/filepath"
	"testing"

	"wxgate/config"
)

// TestACacheThatIsNoFolderIsNamed before an authority has issued what could not be kept.
func TestACacheThatIsNoFolderIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "acme")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.DefaultConfig()
	cfg.Storage.Badger.Dir = t.TempDir()
	cfg.Server.TLS.ACME.Domains, cfg.Server.TLS.ACME.Cache = []string{"api.example.com"}, file
	var got []string
	for _, warning := range FolderWarnings(cfg) {
		got = append(got, warning.Error())
	}
	if want := file + " is not a folder; set server.tls.acme.cache to a folder that the user of wxgate may write to"; len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	cfg.Storage.Driver = "mysql"
	if got := cacheError(cfg); got != nil {
		t.Errorf("with a database: got %v, want no error", got)
	}
}
