package strictyaml

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"wxgate/input"
)

func TestReferencesStandForTheirValues(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"${WX_APPID}":              "wx123",
		"a-${WX_APPID}-${WEIGHT}b": "a-wx123-3b",
		"${GONE:-fallback}":        "fallback",
		"${GONE:-}":                "",
		"${EMPTY:-fallback}":       "fallback",
		"${EMPTY}":                 "",
		"${GONE:-a:-b}":            "a:-b",
		"$${WX_APPID}":             "${WX_APPID}",
		"$$$$":                     "$$",
		"^/api/[0-9]+$":            "^/api/[0-9]+$",
		"pa$word":                  "pa$word",
		"红$$烧":                     "红$烧",
		"}":                        "}",
	} {
		if got, err := testExpander().expand(written); got != want || err != nil {
			t.Errorf("got %q and error %v, want %q, for %s", got, err, want, written)
		}
	}
}

func TestAValueIsNotExpandedAgain(t *testing.T) {
	t.Parallel()
	nested := expander{env: func(string) (string, bool) { return "${OTHER}$$", true }}
	if got, err := nested.expand("${A}"); got != "${OTHER}$$" || err != nil {
		t.Errorf("got %q and error %v, want the value of A as it is: ${OTHER}$$", got, err)
	}
}

func TestASecretFileLosesOneNewline(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{"s3cret\n": "s3cret", "s3cret\r\n": "s3cret", "a\n\n": "a\n", "": ""} {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := testExpander().expand("${file:" + path + "}"); got != want || err != nil {
			t.Errorf("got %q and error %v, want %q, for a file of %q", got, err, want, content)
		}
	}
}

func TestAVariableThatIsNotSetIsTheFileOfItsName(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "JWT_SECRET"), []byte("of-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"CREDENTIALS_DIRECTORY": folder, "WX_SECRET": "of-the-environment", "EMPTY": ""}
	reader := expander{env: WithCredentials(func(name string) (string, bool) {
		value, found := variables[name]
		return value, found
	}, os.ReadFile)}
	for written, want := range map[string]string{"${JWT_SECRET}": "of-the-file", "${WX_SECRET}": "of-the-environment", "${EMPTY}": "", "${GONE:-x}": "x"} {
		if got, err := reader.expand(written); got != want || err != nil {
			t.Errorf("got %q and error %v, want %q, for %s", got, err, want, written)
		}
	}
	if _, err := reader.expand("${GONE}"); err == nil || !strings.Contains(err.Error(), folder+" has no readable file of that name") {
		t.Errorf("got %v, want an error that names the folder", err)
	}
	delete(variables, "CREDENTIALS_DIRECTORY")
	if _, err := reader.expand("${JWT_SECRET}"); err == nil {
		t.Error("without CREDENTIALS_DIRECTORY, JWT_SECRET was found")
	}
}

func TestNoFaultShowsWhatAReferenceStandsFor(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		"server: { body_limit: %s }", "server: { compress: %s }", "authn: { leeway: %s }", "server: %s", "routes: %s",
		"upstreams: { a: %s }", "tracing: { sample: %s }", "upstreams: { a: { retries: { attempts: %s } } }",
	} {
		text := fmt.Sprintf(key, `"x${WX_SECRET}"`)
		err := faultsIn("gateway.yaml", []byte(text), testExpander(), exampleDefaults(), func() input.Faults { return nil })
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "${WX_SECRET}") {
			t.Errorf("got %v, want a fault that says ${WX_SECRET} and not its value, for %s", err, text)
		}
	}
}

func TestAReferenceMayStandForANumber(t *testing.T) {
	t.Parallel()
	text := `upstreams: { a: { targets: [ { url: "http://a", weight: "${WEIGHT}" } ] } }`
	if got := parse(t, text).Upstreams["a"].Targets[0].Weight; got != 3 {
		t.Errorf("got %d, want 3, for %s", got, text)
	}
}
