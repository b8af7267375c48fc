package command

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wxgate/config"
)

// deployedConfigurations are the gateway.yaml of each way of running wxgate that deploy/ has, by where they are.
func deployedConfigurations(t *testing.T) map[string]string {
	t.Helper()
	manifest := readPage(t, "deploy/kubernetes/wxgate.yaml")
	block := regexp.MustCompile(`(?ms)^  gateway\.yaml: \|\n(.*?)^---$`).FindStringSubmatch(manifest)
	if block == nil {
		t.Fatal("deploy/kubernetes/wxgate.yaml has no gateway.yaml")
	}
	return map[string]string{
		"deploy/packages/gateway.yaml":  strings.Replace(readPage(t, "deploy/packages/gateway.yaml"), `appid: ""`, "appid: wx1234567890abcdef", 1),
		"deploy/compose/gateway.yaml":   readPage(t, "deploy/compose/gateway.yaml"),
		"deploy/kubernetes/wxgate.yaml": regexp.MustCompile(`(?m)^    `).ReplaceAllString(block[1], ""),
	}
}

func TestWhatIsDeployedIsAWholeConfiguration(t *testing.T) {
	t.Parallel()
	secrets := map[string]string{
		"STORAGE_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "ADMIN_TOKEN": "hX2Zt9qLw4Rk7VbN",
		"MYSQL_DSN": "wxgate:p@tcp(mariadb:3306)/wxgate",
	}
	env := func(name string) (string, bool) {
		if value, found := secrets[name]; found {
			return value, true
		}
		return manualEnv(name)
	}
	for name, text := range deployedConfigurations(t) {
		if strings.Contains(name, "compose") {
			secrets["MYSQL_ADDRESS"], secrets["MYSQL_USERNAME"], secrets["MYSQL_PASSWORD"] = "mariadb:3306", "wxgate", "p"
		} else {
			delete(secrets, "MYSQL_ADDRESS")
		}
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if cfg, err := config.Load(file, env); err != nil || len(cfg.Routes) == 0 {
			t.Errorf("%s: got %d routes and %v", name, len(cfg.Routes), err)
		}
	}
}

// TestTheUnitHandsOverEachSecretOfThePackages: a variable of gateway.yaml that the unit does not load would stop the start.
func TestTheUnitHandsOverEachSecretOfThePackages(t *testing.T) {
	t.Parallel()
	unit := readPage(t, "deploy/systemd/wxgate.service")
	named := regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(readPage(t, "deploy/packages/gateway.yaml"), -1)
	if len(named) != 2 {
		t.Fatalf("got the variables %q, want WX_SECRET and JWT_SECRET", named)
	}
	for _, m := range named {
		if line := "LoadCredential=" + m[1] + ":/etc/wxgate/secrets/" + m[1] + "\n"; !strings.Contains(unit, line) {
			t.Errorf("the unit lacks %s", line)
		}
		if !strings.Contains(readPage(t, "deploy/packages/postinstall.sh"), "$secrets/"+m[1]) {
			t.Errorf("the packages make no file %s, without which systemd does not start the unit", m[1])
		}
	}
}
