package strictyaml

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestAValidatorsFaultGetsThePlaceOfItsPath(t *testing.T) {
	t.Parallel()
	file := "server:\n  listen: x\nupstreams:\n  a.b: http://x\nroutes:\n  - path: /a\n  - path: /b\n"
	written, _ := decode("gateway.yaml", []byte(file), testExpander(), exampleDefaults())
	for text, want := range map[string]string{
		"server.listen: taken":            "gateway.yaml:2:3: server.listen: taken",
		"routes[1].path: bad: worse":      "gateway.yaml:7:5: routes[1].path: bad: worse",
		"routes[1]: no upstream":          "gateway.yaml:7:5: routes[1]: no upstream",
		"routes[1].headers.set: no":       "gateway.yaml:7:5: routes[1].headers.set: no",
		"upstreams.a.b.balance: no":       "gateway.yaml:4:3: upstreams.a.b.balance: no",
		"wechat.secret: missing":          "gateway.yaml: wechat.secret: missing",
		"something went wrong":            "gateway.yaml: something went wrong",
		`key "server.listen: x" was lost`: `gateway.yaml: key "server.listen: x" was lost`,
	} {
		if got := written.place(errors.New(text)).Error(); got != want {
			t.Errorf("got %s, want %s, for %q", got, want, text)
		}
	}
}

func TestAColonInASentenceMakesNoPath(t *testing.T) {
	t.Parallel()
	text := "opening the store: busy"
	if got := (positions{file: "f"}).place(errors.New(text)); got[0].Path != "" || got[0].Message != text {
		t.Errorf("got %+v, want no path, for %q", got, text)
	}
}

func TestJoinedErrorsAreTakenApartAndSorted(t *testing.T) {
	t.Parallel()
	written, _ := decode("f", []byte("server:\n  listen: x\nauthn: {}\n"), testExpander(), exampleDefaults())
	err := errors.Join(errors.New("authn: b"), errors.Join(nil, errors.New("server: a")), fmt.Errorf("wechat: %w", errors.New("c")))
	if got, want := written.place(err).Error(), "f: wechat: c\nf:1:1: server: a\nf:3:1: authn: b"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAMisreadKeyExplainsTheMissingOneAndNothingElse(t *testing.T) {
	t.Parallel()
	text := "upstreams:\n  a: { balance: p2 }\nroutes:\n  - upstraem: a\n  - path: /b\n"
	config := exampleDefaults()
	got := fmt.Sprint(faultsIn("f", []byte(text), testExpander(), config, config.validate))
	want := []string{
		`f:2:8: upstreams.a.balance: "p2" is not one of round_robin, p2c, hash(user)`,
		`f:4:5: routes[0].upstraem: unknown key; did you mean "upstream"?`,
		`f:5:5: routes[1]: names no upstream`,
	}
	if got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s\nfor\n%s", got, strings.Join(want, "\n"), text)
	}
}

func TestOneFaultExplainsAnotherWithinItsSection(t *testing.T) {
	t.Parallel()
	written := positions{at: map[string]position{"routes": {1, 1}, "routes[0]": {2, 5}, "routes[0].path": {3, 5}}}
	for _, c := range []struct {
		misread, path string
		want          bool
	}{
		{"routes", "routes[0].path", true}, // the list could not be read, so nothing about it counts
		{"routes[0].path", "routes[0].path", true},
		{"routes[0].upstraem", "routes[0]", true},
		{"routes[0].upstraem", "routes[0].upstream", true},
		{"routes[0].upstraem", "routes[0].path", false},
		{"routes[0].upstraem", "routes[1].upstream", false},
		{"routes[0].upstraem", "routes", false},
		{"rout", "routes[0]", false},
		{"wechta", "wechat.appid", true},
	} {
		if got := (Faults{{Path: c.misread}}).explain(c.path, written); got != c.want {
			t.Errorf("got %t, want %t, for a fault at %s and another at %s", got, c.want, c.misread, c.path)
		}
	}
}
