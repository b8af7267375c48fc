package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// brokenFiles are files that no reload may take over, and what the log must say of each.
func brokenFiles(whole string) map[string]struct{ text, says string } {
	at := func(old, instead string) string { return strings.Replace(whole, old, instead, 1) }
	section := func(more string) string {
		return strings.NewReplacer("recipes: http", "recipes: { "+more+", targets: [http", "\nlimits:", "] }\nlimits:").Replace(whole)
	}
	return map[string]struct{ text, says string }{
		"empty":                  {"", ":1:1: the file holds no keys"},
		"cut in the middle":      {whole[:strings.Index(whole, "path: /api")], ":9:5: a section that begins with { does not end: write }"},
		"no YAML":                {whole + "}{\n", ":11:1: not YAML"},
		"bytes":                  {whole + "log: { level: \xff }\n", ":11:15: not UTF-8"},
		"an unknown key":         {at("limits:", "limit:"), `:7:1: limit: unknown key; did you mean \"limits\"?`},
		"a key written twice":    {whole + "routes: []\n", ":11:1: routes: written twice, first on line 8"},
		"a number without unit":  {whole + "log: {}\n" + "identity: { signed: { ttl: 5 } }\n", ":12:23: identity.signed.ttl: 5 has no unit"},
		"an unset variable":      {whole + "log: { level: \"${NOBODY_SETS_THIS}\" }\n", ":11:8: log.level: "},
		"two equal routes":       {whole + "  - { path: /api/**, upstream: recipes }\n", ":11:7: routes[2].path: "},
		"a route without target": {at("upstream: recipes", "upstream: nobody"), ":9:22: routes[0].upstream: "},
		"a service of no scheme": {at("recipes: http://", "recipes: "), ":6:3: upstreams.recipes.targets[0]: "},
		"a policy that is none":  {section("balance: p2"), `:6:14: upstreams.recipes.balance: \"p2\" is not one of`},
		"a key elsewhere":        {section("weight: 2"), `:6:14: upstreams.recipes.weight: unknown key`},
		"a second document":      {whole + "---\nlog: {}\n", ":12:1: a second document"},
		"limits out of range":    {whole + "  - { path: /x, upstream: recipes, rate_limit: { per: user, rate: 0/m, burst: 0 } }\n", ":11:61: routes[2].rate_limit.rate: "},
	}
}

// TestABrokenFileChangesNothing reloads files of many kinds of brokenness. Each is refused with its place, the gauge says
// so, and the requests go on; the whole file is then taken over again.
func TestABrokenFileChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	token := w.login("alice")
	text, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	for what, broken := range brokenFiles(string(text)) {
		said := len(w.output.String())
		w.put(broken.text)
		w.signal(syscall.SIGHUP)
		refused := ""
		eventually(t, 60*time.Second, func() bool {
			_, refused, _ = strings.Cut(w.output.String()[said:], "reload refused")
			return strings.Contains(refused, "\n")
		})
		if refused, _, _ = strings.Cut(refused, "\n"); !strings.Contains(refused, "gateway.yaml"+broken.says) {
			t.Errorf("%s: the log says\n%s\nwant %s", what, refused, broken.says)
		}
		if got := w.gauge("wxgate_config_last_reload_successful"); got != "0" {
			t.Errorf("%s: the gauge is %s", what, got)
		}
		w.want(what, w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	}
	w.put(string(text) + "# whole again\n")
	w.signal(syscall.SIGHUP)
	eventually(t, 60*time.Second, func() bool { return w.gauge("wxgate_config_last_reload_successful") == "1" })
	w.want("in the end", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
}

// put exchanges the configuration for text.
func (w *world) put(text string) {
	w.t.Helper()
	if err := os.WriteFile(w.config+".new", []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.config+".new", w.config); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) signal(s syscall.Signal) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.t.Fatalf("%v\n%s", err, w.output)
	}
}

// gauge is the value of a metric without labels.
func (w *world) gauge(name string) string {
	w.t.Helper()
	resp, err := w.client.Get(w.admin + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return "none"
}

// TestTheLinkOfAConfigMapIsFollowed exchanges the folder behind the file as Kubernetes does, without a signal.
func TestTheLinkOfAConfigMapIsFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	mount := filepath.Join(w.dir, "mount")
	publish := func(version, text string) {
		folder := filepath.Join(mount, version)
		err := os.MkdirAll(folder, 0o700)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, "gateway.yaml"), []byte(text), 0o600)
		}
		if err == nil {
			err = os.Symlink(version, filepath.Join(mount, "..data_tmp"))
		}
		if err == nil {
			err = os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	publish("..1", string(text))
	w.config = filepath.Join(mount, "gateway.yaml")
	if err := os.Symlink("..data/gateway.yaml", w.config); err != nil {
		t.Fatal(err)
	}
	w.serve()
	w.want("before", w.call("GET", "/new/x", "", ""), http.StatusNotFound, "no_route")
	publish("..2", string(text)+"  - { path: /new/**, auth: none, respond: { status: 200, body: two } }\n")
	if err := os.RemoveAll(filepath.Join(mount, "..1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, func() bool { return w.call("GET", "/new/x", "", "").body == "two" })
	publish("..3", "broken")
	eventually(t, 60*time.Second, func() bool { return w.gauge("wxgate_config_last_reload_successful") == "0" })
	w.want("after a broken one", w.call("GET", "/new/x", "", ""), http.StatusOK, "")
}
