package header

import (
	"os"
	"strings"
	"testing"
)

// TestTheManualListsEveryClaim keeps docs/proxy.md and the list together.
func TestTheManualListsEveryClaim(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range claimRows() {
		for _, name := range row.names {
			line := ""
			for l := range strings.SplitSeq(string(text), "\n") {
				if strings.Contains(l, "`"+name+"`") && strings.HasPrefix(l, "| ") {
					line = l
				}
			}
			user := strings.HasSuffix(line, "| nobody |")
			if line == "" || user != (row.claim == IdentityClaim) {
				t.Errorf("docs/proxy.md does not list `%s`, or not with whose word it is: %q", name, line)
			}
		}
	}
}

// TestTheManualListsWhatWeChatsGatewaySays keeps docs/proxy.md and the other list together.
func TestTheManualListsWhatWeChatsGatewaySays(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n### Behind 微信网关\n")
	section, _, _ = strings.Cut(section, "\n## ")
	listed := 0
	for l := range strings.SplitSeq(section, "\n") {
		if cells := strings.Split(l, "|"); len(cells) == 4 {
			listed += strings.Count(cells[1], "`X-WX-")
		}
	}
	for _, name := range ingressNames() {
		if !strings.Contains(section, "`"+name+"`") {
			t.Errorf("docs/proxy.md does not list %s", name)
		}
	}
	if listed != len(ingressNames()) {
		t.Errorf("docs/proxy.md lists %d names, want %d", listed, len(ingressNames()))
	}
}

func BenchmarkClaims(b *testing.B) {
	c := NewClaims()
	names := [][]byte{[]byte("User-Agent"), []byte("Accept"), []byte("Accept-Encoding"), []byte("X-App-Id"), []byte("X-Device-Id"), []byte("Content-Type"), []byte("Referer")}
	b.ReportAllocs()
	for b.Loop() {
		for _, name := range names {
			if c.Of(name) != NoClaim {
				b.Fatal(string(name))
			}
		}
	}
}
