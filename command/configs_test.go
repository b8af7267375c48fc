package command

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wxgate/config"
	"wxgate/config/strictyaml"
)

// fixtureEnv is the environment of a fixture: that of the manual, with its lines `#env NAME=value` over it, in which \n
// is a line break, and `#env NAME` for a variable that is not set.
func fixtureEnv(text string) strictyaml.LookupEnv {
	set := map[string]string{}
	unset := map[string]bool{}
	for line := range strings.Lines(text) {
		if words, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "#env "); ok {
			name, value, found := strings.Cut(words, "=")
			set[name], unset[name] = strings.ReplaceAll(value, `\n`, "\n"), !found
		}
	}
	return func(name string) (string, bool) {
		if value, ok := set[name]; ok {
			return value, !unset[name]
		}
		return manualEnv(name)
	}
}

// TestEveryBrokenConfigurationSaysWhatToType compares what check says of each file of testdata/config, whose name is
// the mistake, with its lines after "#= ".
func TestEveryBrokenConfigurationSaysWhatToType(t *testing.T) {
	t.Parallel()
	fixtures, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil || len(fixtures) < 30 {
		t.Fatalf("got %d fixtures and error %v, want 30 or more", len(fixtures), err)
	}
	for _, fixture := range fixtures {
		text := readPage(t, fixture)
		var want []string
		for line := range strings.Lines(text) {
			if promised, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "#= "); ok {
				want = append(want, strings.ReplaceAll(promised, "gateway.yaml:", fixture+":"))
			}
		}
		if got := said(fixture, fixtureEnv(text)); got != strings.Join(want, "\n") || got == "" {
			t.Errorf("%s: got\n%s\nwant\n%s", fixture, got, strings.Join(want, "\n"))
		}
	}
}

// TestEveryRecipeForAnswersIsAConfiguration checks the recipes of the manual, with a service for them.
func TestEveryRecipeForAnswersIsAConfiguration(t *testing.T) {
	t.Parallel()
	recipes := blocks(t, "docs/answers.md", "yaml")
	if len(recipes) < 10 {
		t.Fatalf("got %d recipes", len(recipes))
	}
	for _, recipe := range recipes {
		text := recipe + "\nupstreams: { shop: \"http://127.0.0.1:3000\" }\n"
		if !strings.Contains(recipe, "routes:") {
			text += "routes: [ { path: /api/**, upstream: shop } ]\n"
		}
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := said(file, manualEnv); got != "" {
			t.Errorf("%s\n%s", recipe, got)
		}
	}
}

// said are the faults of a file, a line each.
func said(file string, env strictyaml.LookupEnv) string {
	_, _, err := config.LoadWithFiles(file, env)
	var faults strictyaml.Faults
	switch {
	case errors.As(err, &faults):
		return faults.Error()
	case err != nil:
		return err.Error()
	}
	return ""
}

// TestNoFaultShowsASecret puts a secret that is wrong in some way into every place for one.
func TestNoFaultShowsASecret(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2"
	for _, wrong := range []string{`"` + secret + `"`, secret + "\n", " " + secret, secret + "\x01", secret + "，"} {
		for _, path := range []string{
			"wechat: { secret: %s }", "wechat: { cloud_function_secret: %s }", "wechat: { push: { token: %s, aes_key: x, upstream: y } }",
			"authn: { keys: [ { id: a, secret: %s } ] }", "server: { admin_token: %s }", "server: { services: [ { name: a, token: %s } ] }", "storage: { encryption_key: %s }",
			"storage: { driver: mysql, mysql: { dsn: %s } }", "storage:\n  driver: mysql\n  mysql:\n    dsn:%s",
			"wechat:\n  secret：%s\n  appid: x", "wechat:\n  secret: %s: x", "wechat:\n  secret:%s", "wechat:\n  secret：%s",
			"wechat:\n  secret: !%s", "wechat:\n  secret: *%s", "wechat:\n  secret: &%s", "wechat:\n  secret: @%s", "wechat:\n  secret: `%s", "wechat:\n  secret: |%s",
			"wechat:\n  secret: >%s", "wechat:\n  secret: \"x\"%s", "wechat:\n  secret = %s", "wechat:\n  secret=%s", "wechat:\n  secret: {{ %s }}",
			"wechat:\n  secret: {%s", "wechat:\n  secret: [%s", "wechat:\n  secret: - %s", "wechat:\n  secret: ? %s", "wechat:\n  secret: ]%s", "wechat:\n  secret: }%s",
			"wechat:\n  {appid:x,secret:%s}", "wechat:\n  {secret:%s}", "wechat:\n  {secret=%s}", "wechat:\n  { secret %s }", "wechat:\n  secret %s:", "wechat:\n  secret： %s: x",
			"wechat:\n  {secret：%s}", "wechat:\n  { secret: x%s, %s }", "wechat:\n  ? secret\n  : - %s", "wechat:\n  secret: x, token：%s", "secret:%s", "secret: %s", "wechat:\n  appsecret:%s",
			"wechat:\n  secret: !!%s", "wechat:\n  - secret: %s", "# secret\n// %s\nwechat: {}",
			"wechat:\n  appid: x\n  secret:%s", "authn:\n  keys:\n  - secret:%s", "authn: { keys: %s }", "authn:\n  keys:\n    secret:%s", "server:\n  admin_token:%s",
		} {
			file := filepath.Join(t.TempDir(), "gateway.yaml")
			text := strings.ReplaceAll(path, "%s", `"${file:`+file+`.secret}"`)
			if strings.Contains(path, "\n") {
				text = strings.ReplaceAll(path, "%s", secret)
			}
			err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.WriteFile(file+".secret", []byte(wrong), 0o600))
			if err != nil {
				t.Fatal(err)
			}
			if got := said(file, manualEnv); strings.Contains(got, "hunter2") || !strings.Contains(got, ": ") || strings.Contains(got, "not YAML") {
				t.Errorf("%s with %q: %s", path, wrong, got)
			}
		}
	}
}
