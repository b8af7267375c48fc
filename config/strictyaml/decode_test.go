package strictyaml

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"wxgate/input"
)

// testEnv is the environment that the fixtures see.
func testEnv(name string) (string, bool) {
	value, found := map[string]string{"WX_APPID": "wx123", "WX_SECRET": "hunter2", "EMPTY": "", "WEIGHT": "3"}[name]
	return value, found
}

func testExpander() expander { return expander{env: testEnv, readFile: os.ReadFile} }

// faultsIn is the error of reading data.
func faultsIn(file string, data []byte, expand expander, into any, complete func() input.Faults) error {
	_, err := parseFile(file, data, expand, into, complete)
	return err
}

// parse reads text over the example's defaults.
func parse(t *testing.T, text string) *exampleConfig {
	t.Helper()
	config := exampleDefaults()
	if err := faultsIn("gateway.yaml", []byte(text), testExpander(), config, config.validate); err != nil {
		t.Fatalf("got fault\n%v\nwant none, for\n%s", err, text)
	}
	return config
}

func TestEveryMistakeIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	fixtures, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil || len(fixtures) == 0 {
		t.Fatalf("got %d fixtures and error %v, want some", len(fixtures), err)
	}
	for _, fixture := range fixtures {
		t.Run(strings.TrimSuffix(filepath.Base(fixture), ".yaml"), func(t *testing.T) {
			t.Parallel()
			checkMistake(t, fixture)
		})
	}
}

// checkMistake compares the faults of a fixture with the text that its first lines promise after "#= ".
func checkMistake(t *testing.T, fixture string) {
	t.Helper()
	data, err := os.ReadFile(fixture)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(data)) {
		if promised, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "#= "); ok {
			want = append(want, promised)
		}
	}
	config := exampleDefaults()
	got := faultsIn("gateway.yaml", data, testExpander(), config, config.validate)
	if fmt.Sprint(got) != strings.Join(want, "\n") {
		t.Errorf("got\n%v\nwant\n%s\nfor\n%s", got, strings.Join(want, "\n"), data)
	}
}

func TestWhatTheFileLeavesOutKeepsItsDefault(t *testing.T) {
	t.Parallel()
	text := "authn:\n  token_ttl: 1h\nserver:\nwechat:\n  timeout: ~\n"
	got, want := parse(t, text), exampleDefaults()
	want.Authn.TokenTTL = time.Hour
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v, for\n%s", got, want, text)
	}
}

func TestNewEntriesBeginAtTheirDefaults(t *testing.T) {
	t.Parallel()
	text := "upstreams:\n  recipes: { timeouts: { connect: 2s }, targets: [http://a, { url: http://b, weight: 2 }] }\n"
	got := parse(t, text).Upstreams["recipes"]
	want := exampleUpstream{
		Targets:  []exampleTarget{{URL: "http://a", Weight: 1}, {URL: "http://b", Weight: 2}},
		Balance:  "p2c",
		Timeouts: exampleTimeouts{Connect: 2 * time.Second, Response: 30 * time.Second},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v, for\n%s", got, want, text)
	}
}

func TestTheShortFormIsASectionWithItsDefaults(t *testing.T) {
	t.Parallel()
	text := "upstreams:\n  recipes: http://127.0.0.1:3000\n"
	got := parse(t, text).Upstreams["recipes"]
	if len(got.Targets) != 1 || got.Targets[0].URL != "http://127.0.0.1:3000" || got.Balance != "p2c" {
		t.Errorf("got %+v, want one target http://127.0.0.1:3000 and balance p2c, for\n%s", got, text)
	}
}

func TestAListOrMapReplacesItsDefault(t *testing.T) {
	t.Parallel()
	config := exampleDefaults()
	config.Routes = []exampleRoute{{Path: "/default"}, {Path: "/other"}}
	text := "identity:\n  headers: { X-Uid: id }\nroutes: [{ path: /a }]\n"
	if _, faults := decode("gateway.yaml", []byte(text), testExpander(), config); len(faults) > 0 {
		t.Fatal(faults)
	}
	if got, want := config.Identity.Headers, map[string]string{"X-Uid": "id"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v, for\n%s", got, want, text)
	}
	if got, want := config.Routes, []exampleRoute{{Path: "/a"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v, for\n%s", got, want, text)
	}
}

func TestALongFileIsNotADeepOne(t *testing.T) {
	t.Parallel()
	text := "%YAML 1.2\n---\nroutes:\n" + strings.Repeat("- methods: [GET]\n  upstream: a\n", 1000)
	if got := len(parse(t, text).Routes); got != 1000 {
		t.Errorf("got %d routes, want 1000", got)
	}
}

func TestAFileThatUnfoldsWithoutEndIsOneFault(t *testing.T) {
	t.Parallel()
	_, faults := decode("gateway.yaml", []byte(sharedApps(6)), testExpander(), exampleDefaults())
	if len(faults) != 1 {
		t.Errorf("got %d faults, want 1, such as %v", len(faults), faults[:min(3, len(faults))])
	}
}

func TestASectionBehindAPointerIsMadeWhenItIsNamed(t *testing.T) {
	t.Parallel()
	if got := parse(t, "authn: {}").Tracing; got != nil {
		t.Errorf("got %+v, want none while the file names no tracing", got)
	}
	got := parse(t, "tracing: { otlp: localhost }").Tracing
	if want := (&exampleTracing{OTLP: "localhost", Sample: 0.05}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTypesReadTheirOwnText(t *testing.T) {
	t.Parallel()
	if got, want := parse(t, "server: { body_limit: 8MiB }").Server.BodyLimit, exampleSize(8<<20); got != want {
		t.Errorf("got %d, want %d, for body_limit 8MiB", got, want)
	}
}

func TestTextMayLookLikeSomethingElse(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"12345": "12345", "true": "true", "1.50": "1.50", "2026-11-20": "2026-11-20", `"a\tb"`: "a\tb", "'it''s'": "it's",
		"|\n    a\n    b": "a\nb", "红烧肉": "红烧肉", `""`: "", "a b # c": "a b",
	} {
		if got := parse(t, "wechat:\n  appid: "+written).WeChat.AppID; got != want {
			t.Errorf("got %q, want %q, for %s", got, want, written)
		}
	}
}

func TestASectionIsReusedThroughAnAlias(t *testing.T) {
	t.Parallel()
	text := "upstreams:\n  a: &a { balance: round_robin, targets: [http://a] }\n  b: *a\n  c:\n    <<: *a\n    targets: [http://c]\n"
	got := parse(t, text).Upstreams
	if !reflect.DeepEqual(got["a"], got["b"]) {
		t.Errorf("got b %+v, want it equal to a %+v, for\n%s", got["b"], got["a"], text)
	}
	if c := got["c"]; c.Balance != "round_robin" || c.Targets[0].URL != "http://c" {
		t.Errorf("got c %+v, want the balance of a and the target http://c, for\n%s", c, text)
	}
}

func TestAliasesCannotUnfoldWithoutEnd(t *testing.T) {
	t.Parallel()
	bomb := "routes:\n  - methods: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for name := 'b'; name < 'i'; name++ {
		list := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", name-1), 10), ", ")
		bomb += fmt.Sprintf("  - methods: &%c [%s]\n", name, list)
	}
	for text, want := range map[string]string{
		"wechat: &w { apps: [*w] }":            "nested too deep",
		bomb:                                   "wants text, not a list",
		sharedApps(8):                          "unfold to more than 200000 values",
		"a: " + strings.Repeat("[", 200):       "nested too deep",
		"a:\n  " + strings.Repeat("- ", 200):   "nested too deep",
		"a: " + strings.Repeat("{a: ", 10_000): "nested too deep",
	} {
		config := exampleDefaults()
		err := faultsIn("gateway.yaml", []byte(text), testExpander(), config, config.validate)
		if !strings.Contains(fmt.Sprint(err), want) { // unbounded, 10^8 values would never end
			t.Errorf("got %.200v, want %q, for\n%.200s", err, want, text)
		}
	}
}

// sharedApps is a file of one page that unfolds to 10^levels apps.
func sharedApps(levels int) string {
	text := "wechat:\n  apps:\n  - &a0 { appid: x }\n"
	for level := range levels {
		list := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", level), 10), ", ")
		text += fmt.Sprintf("  - &a%d { apps: [%s] }\n", level+1, list)
	}
	return text
}

func TestEditorsOfWindowsChangeNothing(t *testing.T) {
	t.Parallel()
	text := "\uFEFFwechat:\r\n  appid: wx1\r\n"
	if got := parse(t, text).WeChat.AppID; got != "wx1" {
		t.Errorf("got %q, want wx1, for %q", got, text)
	}
}

func TestATypeThatNoFileCanHoldIsAFault(t *testing.T) {
	t.Parallel()
	var into struct {
		Hook func() `yaml:"hook"`
	}
	_, faults := decode("gateway.yaml", []byte("hook: x"), testExpander(), &into)
	if want := `gateway.yaml:1:1: hook: wants something that a file can hold, not "x"`; faults.Error() != want {
		t.Errorf("got %v, want %s", faults, want)
	}
}
