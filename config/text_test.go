package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"wxgate/config"
	"wxgate/config/strictyaml"
	"wxgate/input"
	"wxgate/secret"
)

// planter fills every key of a configuration, those in entries of lists and maps too.
type planter struct {
	secrets int // keys whose type is that of a secret
	texts   int
}

const planted = "planted-"

func (p *planter) fill(v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[secret.Text]():
		p.secrets++
		v.SetString(fmt.Sprintf("%s%d", planted, p.secrets))
	case v.Kind() == reflect.String:
		p.texts++
		v.SetString(fmt.Sprintf("text-%d", p.texts))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		p.fill(v.Elem())
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		p.fill(v.Index(0))
	case v.Kind() == reflect.Map:
		entry := reflect.New(v.Type().Elem()).Elem()
		p.fill(entry)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("name").Convert(v.Type().Key()), entry)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if tag := v.Type().Field(i).Tag.Get("yaml"); tag != "" && tag != "-" {
				p.fill(v.Field(i))
			}
		}
	}
}

// full is a configuration that has every key, and each secret in it begins with planted.
func full(t *testing.T) config.Config {
	t.Helper()
	var cfg config.Config
	var p planter
	p.fill(reflect.ValueOf(&cfg).Elem())
	if p.secrets < 20 || p.texts < 100 {
		t.Fatalf("the full configuration has %d secrets and %d texts, want all of them", p.secrets, p.texts)
	}
	return cfg
}

func TestNoSecretIsInTheTextOfAConfiguration(t *testing.T) {
	t.Parallel()
	got := full(t).Text()
	if strings.Contains(got, planted) {
		t.Errorf("a secret is shown:\n%s", got)
	}
	if n := strings.Count(got, `"***"`); n < 20 {
		t.Errorf("%d secrets are masked in\n%s", n, got)
	}
	for _, want := range []string{"admin_token: \"***\"\n", "dsn: \"***\"\n", "apiv3_key: \"***\"\n", "encryption_key:\n    - \"***\"\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %q in\n%s", want, got)
		}
	}
}

// TestNothingOfTheEnvironmentIsInTheTextOfAConfiguration has a reference in the place of every value.
func TestNothingOfTheEnvironmentIsInTheTextOfAConfiguration(t *testing.T) {
	t.Parallel()
	references := 0
	text := regexp.MustCompile(`(?m)(: |- )("[^"\n]*"|[^\s:{}\[\]"-][^\n:]*)$`).ReplaceAllStringFunc(full(t).Text(), func(value string) string {
		references++
		return value[:2] + fmt.Sprintf(`"a${R%d}"`, references)
	})
	got := read(t, text).Text()
	if strings.Contains(got, planted) {
		t.Errorf("a value of the environment is shown:\n%s", got)
	}
	shown := len(regexp.MustCompile(`"a\$\{R\d+\}"`).FindAllString(got, -1))
	if references < 150 || shown < references*9/10 { // a section of one value is shown as its reference
		t.Errorf("%d of %d references are shown in\n%s", shown, references, got)
	}
}

// read reads a text in which R1, R2 and so on are planted, whatever is wrong with it.
func read(t *testing.T, text string) config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reader := strictyaml.Reader{Env: func(name string) (string, bool) { return planted + name, true }}
	cfg, _, _ := config.Read(file, reader, func(*config.Config) input.Faults { return nil })
	return cfg
}

func TestCredentialsAreMaskedWhereverTheyStand(t *testing.T) {
	t.Parallel()
	got := read(t, `
upstreams:
  short: http://operator:planted-1@10.0.0.1:3000
  one: "${ONE}"
  long: { targets: [ "http://planted-2@10.0.0.1:3000", { url: "${TWO}", weight: 2 } ], host: "${HOST}" }
routes:
  - path: /a
    upstream: short
    headers: { set: { X-Api-Key: planted-3, X-Other: "${KEY}" } }
    response_headers: { set: { X-Secret: planted-4 } }
`).Text()
	if strings.Contains(got, planted) {
		t.Errorf("a credential is shown:\n%s", got)
	}
	for _, want := range []string{
		`url: "http://***@10.0.0.1:3000"`, `one: "${ONE}"`, `url: "${TWO}"`, `host: "${HOST}"`, `X-Api-Key: "***"`, `X-Other: "${KEY}"`, `X-Secret: "***"`, "weight: 2",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %s in\n%s", want, got)
		}
	}
}

func TestAReloadKeepsTheReferencesOfWhatItKeeps(t *testing.T) {
	t.Parallel()
	const routes = "\nupstreams: { a: http://127.0.0.1:1 }\nroutes: [ { path: /a, upstream: a } ]\n"
	before := read(t, "storage: { badger: { dir: \"${DIR}\" } }\nlog: { level: \"${LEVEL}\" }"+routes)
	got := before.Reload(read(t, "storage: { badger: { dir: ./other } }\nlog: { format: \"${FORMAT}\" }"+routes)).Text()
	if strings.Contains(got, planted) || strings.Contains(got, "./other") || strings.Contains(got, "${LEVEL}") {
		t.Errorf("got what another configuration says, in\n%s", got)
	}
	for _, want := range []string{`dir: "${DIR}"`, `format: "${FORMAT}"`, "level: info"} {
		if !strings.Contains(got, want) {
			t.Errorf("got no %s in\n%s", want, got)
		}
	}
}

// TestTheTextOfAConfigurationIsReadAgain also holds its form: what is printed is YAML with the same meaning.
func TestTheTextOfAConfigurationIsReadAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "gateway.yaml")
	env := func(string) (string, bool) { return "0123456789abcdef0123456789abcdef", true }
	cfg, _, err := config.Read(file, strictyaml.Reader{Env: env}, func(*config.Config) input.Faults { return nil })
	if err != nil {
		t.Fatal(err)
	}
	cfg.Routes[0].Path, cfg.Routes[0].Rewrite = "/a: #b $x ${x} $$ \u2028\"'\t", "on"
	cfg.Server.Timeouts.Drain = 0
	want := cfg.Text()
	copied := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(copied, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	again, _, err := config.Read(copied, strictyaml.Reader{Env: env}, func(*config.Config) input.Faults { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Text(); got != want {
		for i, line := range strings.Split(got, "\n") {
			if was := strings.Split(want, "\n"); i < len(was) && line != was[i] {
				t.Errorf("got, after reading it again, line %d: %s, want %s", i+1, line, was[i])
			}
		}
	}
	if got, want := again.Routes[0], cfg.Routes[0]; got.Path != want.Path || got.Rewrite != want.Rewrite || again.Server.Timeouts != cfg.Server.Timeouts {
		t.Errorf("got %+v\n%+v, want %+v\n%+v", got, again.Server.Timeouts, want, cfg.Server.Timeouts)
	}
}
