package command

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wxgate/command/firstfile"
	"wxgate/config"
	"wxgate/config/audit"
	"wxgate/config/schema"
)

// typed runs a command line with what a person types, in a folder of its own where gateway.yaml is.
func typed(ctx context.Context, t *testing.T, file, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	w := &env{lookup: func(string) (string, bool) { return "", false }, stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs}
	code = runCommand(ctx, append([]string{"-c", file}, args...), w)
	return code, out.String(), errs.String()
}

// wantClean checks a file that init has written: valid, nothing to warn about, no secret in it.
func wantClean(t *testing.T, file string) config.Config {
	t.Helper()
	env := func(name string) (string, bool) {
		if strings.HasPrefix(name, "MYSQL_") && strings.Contains(readPage(t, file), "mysql") {
			return "wxgate", true
		}
		if name == "STORAGE_KEY" {
			return "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=", true
		}
		return manualEnv(name)
	}
	cfg, origin, err := config.LoadWithFiles(file, env)
	if err != nil {
		t.Fatalf("%v in\n%s", err, readPage(t, file))
	}
	for _, f := range audit.Settings(cfg, origin) {
		if f.Severity.AtLeast(audit.Warning) {
			t.Errorf("check says %v [%s] of\n%s", f, f.ID, readPage(t, file))
		}
	}
	return cfg
}

func TestInitAsksFourQuestions(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	code, stdout, stderr := typed(t.Context(), t, file, "wx1234567890abcdef\n\n/api/**, /v2/orders\n10.0.0.5\n", "init")
	if code != 0 || strings.Count(stderr, ": ") < 4 || strings.Count(stdout, "\n") != 4 || !strings.Contains(stdout, "export WX_SECRET=") {
		t.Errorf("exit %d\n%s%s", code, stderr, stdout)
	}
	if beside := readPage(t, filepath.Join(filepath.Dir(file), "gateway.schema.json")); beside != string(schema.JSON()) ||
		!strings.HasPrefix(readPage(t, file), "# yaml-language-server: $schema=gateway.schema.json\n") {
		t.Error("editors find no schema of the file")
	}
	cfg := wantClean(t, file)
	if cfg.WeChat.AppID != "wx1234567890abcdef" || len(cfg.Routes) != 2 || cfg.Routes[1].Path != "/v2/orders" || cfg.Upstreams["backend"].Targets[0].URL != "http://127.0.0.1:3000" ||
		cfg.Server.TrustedProxies[0].String() != "10.0.0.5/32" {
		t.Errorf("got\n%s", readPage(t, file))
	}
}

// TestInitAsksAgainWhenAnAnswerIsOfNoUse types what check would have something against.
func TestInitAsksAgainWhenAnAnswerIsOfNoUse(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	answers := []string{
		"", "wx12", "wx1234567890abcdef", // no appid, half of one
		"ftp://127.0.0.1", "http://example.com", "127.0.0.1:3000", "http://127.0.0.1:3000", // no URL, plain over the internet
		"api", "/api/**/x", "/api/**",
		"0.0.0.0/0", "my_domain", "https://api.example.com/",
	}
	code, _, stderr := typed(t.Context(), t, file, strings.Join(answers, "\n")+"\n", "init")
	if again := strings.Count(stderr, "Again, please:"); code != 0 || again != 9 {
		t.Errorf("exit %d, asked again %d times, want 9\n%s", code, again, stderr)
	}
	cfg := wantClean(t, file)
	if d := cfg.Server.TLS.ACME.Domains; len(d) != 1 || d[0] != "api.example.com" {
		t.Errorf("got the domains %v", d)
	}
}

// TestInitSaysInChineseWhatToAnswer types a port alone, and a path without a slash.
func TestInitSaysInChineseWhatToAnswer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	code, _, stderr := typed(t.Context(), t, file, "wx1\nwx1234567890abcdef\n3000\n\napi\n\nhttp://\n\n", "init", "--lang", "zh")
	for _, want := range []string{
		"请重新输入： wx 加 16 位", "请重新输入： 像 http://127.0.0.1:3000 这样的地址", "请重新输入： 以 / 开头的路径", "请重新输入： 域名（例如",
	} {
		if code != 0 || !strings.Contains(stderr, want) {
			t.Errorf("exit %d, want %q in\n%s", code, want, stderr)
		}
	}
}

// TestInitTakesFlagsForAnswers and asks nothing with --yes, in either language, for every kind of front.
func TestInitTakesFlagsForAnswers(t *testing.T) {
	t.Parallel()
	for _, front := range []string{"", "api.example.com", "127.0.0.1,::1", "10.0.0.0/24", "cloudrun"} {
		for _, lang := range []string{"en", "zh"} {
			file := filepath.Join(t.TempDir(), "gateway.yaml")
			args := []string{"init", "--yes", "--lang", lang, "--appid", "wx1234567890abcdef", "--open", "/public/**"}
			if front != "" {
				args = append(args, "--front", front)
			}
			code, stdout, stderr := typed(t.Context(), t, file, "", args...)
			if code != 0 || stderr != "" || strings.Count(stdout, "\n") != 4 {
				t.Errorf("%s: exit %d\n%s%s", front, code, stderr, stdout)
				continue
			}
			wantClean(t, file)
			if text := readPage(t, file); strings.Contains(text, "小程序") != (lang == "zh") {
				t.Errorf("--lang %s writes\n%s", lang, text)
			}
		}
	}
}

func TestInitLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := typed(t.Context(), t, file, "", "init", "--yes", "--appid", "wx1234567890abcdef")
	if code != 1 || !strings.Contains(stderr, "exists already") || readPage(t, file) != "mine" {
		t.Errorf("exit %d, %s, %s", code, stderr, readPage(t, file))
	}
	if code, _, stderr = typed(t.Context(), t, file, "", "init", "--yes", "--force", "--appid", "wx1234567890abcdef"); code != 0 {
		t.Errorf("--force: exit %d, %s", code, stderr)
	}
	wantClean(t, file)
}

func TestInitWritesNothingWithoutAnswers(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for want, row := range map[string]struct {
		ctx  context.Context
		in   string
		args []string
	}{
		"give it as --upstream": {t.Context(), "wx1234567890abcdef\n", []string{"init"}},
		"--appid: want wx":      {t.Context(), "", []string{"init", "--yes"}},
		"--front: ":             {t.Context(), "", []string{"init", "--yes", "--appid", "wx1234567890abcdef", "--front", "-"}},
		"nothing is written":    {ended, "", []string{"init"}},
	} {
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		code, _, stderr := typed(row.ctx, t, file, row.in, row.args...)
		if _, err := os.Stat(file); code != 1 || err == nil || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit %d, %v, %q, want %q", row.args, code, err, stderr, want)
		}
	}
}

func TestTheLanguageIsThatOfTheLocale(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		env  map[string]string
		want string
	}{
		{nil, "en"},
		{map[string]string{"LANG": "zh_CN.UTF-8"}, "zh"},
		{map[string]string{"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"},
		{map[string]string{"LC_MESSAGES": "zh_TW.UTF-8", "LANG": "de_DE.UTF-8"}, "zh"},
	} {
		if got := firstfile.LanguageOf(func(name string) (string, bool) { v, ok := row.env[name]; return v, ok }); got != row.want {
			t.Errorf("%v: got %s, want %s", row.env, got, row.want)
		}
	}
}
