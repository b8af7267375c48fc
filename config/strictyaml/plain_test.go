package strictyaml

import (
	"fmt"
	"testing"
)

func TestAColonWithoutABlankBelongsToAnElement(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{x: {l: [http://127.0.0.1:3000]}}`:                "[http://127.0.0.1:3000]",
		`{x: {l: [http://a:1, "http://b:2", http://c:3]}}`: "[http://a:1 http://b:2 http://c:3]",
		`{x: {l: [http://a:1 , b:2 ]}}`:                    "[http://a:1 b:2]",
		`{x: {l: [2001:db8::/32, ::1, ::/0, a::]}}`:        "[2001:db8::/32 ::1 ::/0 a::]",
		`{x: {l: [a:b:c d, 12:30:45, 1:2]}}`:               "[a:b:c d 12:30:45 1:2]",
		"{x: {l: [\n  http://a:1,\n  http://b:2\n]}}":      "[http://a:1 http://b:2]",
		"x: {l: [http://a:1, http://b:2]} # [c:3]":         "[http://a:1 http://b:2]",
		"x:\n  l: [http://a:1, ::1]":                       "[http://a:1 ::1]",
		`{x: {n: http://a:1, l: [é:1, b]}}`:                "[é:1 b]",
	} {
		var into struct {
			X struct {
				N string   `yaml:"n"`
				L []string `yaml:"l"`
			} `yaml:"x"`
		}
		if _, faults := decode("f.yaml", []byte(text), testExpander(), &into); len(faults) > 0 || fmt.Sprint(into.X.L) != want {
			t.Errorf("%s: got %q, %v, want %s", text, into.X.L, faults, want)
		}
	}
}

func TestWhatIsAMapStaysOne(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{l: [{a: b}]}`, `{l: [a: b]}`, `{l: [{"a":b}]}`, `{l: ["a": b]}`, `{l: [{a:b}]}`} {
		var into struct {
			L []map[string]string `yaml:"l"`
		}
		if _, faults := decode("f.yaml", []byte(text), testExpander(), &into); len(faults) > 0 || fmt.Sprint(into.L) != "[map[a:b]]" {
			t.Errorf("%s: got %v, %v, want [map[a:b]]", text, into.L, faults)
		}
	}
}
