package strictyaml

import (
	"fmt"
	"strings"
	"testing"

	"wxgate/input"
)

func TestAValidatorsFaultGetsThePlaceOfItsPath(t *testing.T) {
	t.Parallel()
	file := "server:\n  listen: x\nupstreams:\n  a.b: http://x\nroutes:\n  - path: /a\n  - path: /b\n"
	written, _ := decode("gateway.yaml", []byte(file), testExpander(), exampleDefaults())
	for fault, want := range map[input.Fault]string{
		{Path: "server.listen", Message: "taken"}:       "gateway.yaml:2:3: server.listen: taken",
		{Path: "routes[1].path", Message: "bad: worse"}: "gateway.yaml:7:5: routes[1].path: bad: worse",
		{Path: "routes[1]", Message: "no upstream"}:     "gateway.yaml:7:5: routes[1]: no upstream",
		{Path: "routes[1].headers.set", Message: "no"}:  "gateway.yaml:7:5: routes[1].headers.set: no",
		{Path: "upstreams.a.b.balance", Message: "no"}:  "gateway.yaml:4:3: upstreams.a.b.balance: no",
		{Path: "wechat.secret", Message: "missing"}:     "gateway.yaml: wechat.secret: missing",
		{Message: "something went wrong"}:               "gateway.yaml: something went wrong",
		{Message: `key "server.listen: x" was lost`}:    `gateway.yaml: key "server.listen: x" was lost`,
		{Message: "opening the store: busy"}:            "gateway.yaml: opening the store: busy",
	} {
		if got := written.place(input.Faults{fault}).Error(); got != want {
			t.Errorf("got %s, want %s, for %q", got, want, fault)
		}
	}
}

func TestFaultsAreSortedByTheirPlaces(t *testing.T) {
	t.Parallel()
	written, _ := decode("f", []byte("server:\n  listen: x\nauthn: {}\n"), testExpander(), exampleDefaults())
	faults := input.Faults{{Path: "authn", Message: "b"}, {Path: "server", Message: "a"}, {Path: "wechat", Message: "c"}}
	if got, want := written.place(faults).Error(), "f: wechat: c\nf:1:1: server: a\nf:3:1: authn: b"; got != want {
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
		if got := (Faults{{Fault: input.Fault{Path: c.misread}}}).explain(c.path, written); got != c.want {
			t.Errorf("got %t, want %t, for a fault at %s and another at %s", got, c.want, c.misread, c.path)
		}
	}
}
