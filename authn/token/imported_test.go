package token

import (
	"os"
	"strings"
	"testing"
)

func TestTheManualNamesEveryWordOfATokensPurpose(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "### The purpose of a token")
	for begin, words := range map[string][]string{
		"| claims that state the purpose |": purposeClaims(), "| values that mean access |": accessPurposes(), "| claims that mean another purpose": purposeFlags(),
	} {
		_, row, _ := strings.Cut(section, begin)
		row, _, _ = strings.Cut(row, "\n")
		if want := "`" + strings.Join(words, "`, `") + "`"; !strings.Contains(row, want) {
			t.Errorf("docs/migration.md has the row\n%s%s\nwant %s", begin, row, want)
		}
	}
}
