package token

import (
	"strings"
	"testing"
)

// TestAKeyWithoutItsFileIsNotToldToChangeItsAlgorithm: the advice hid the fault, which was the missing file.
func TestAKeyWithoutItsFileIsNotToldToChangeItsAlgorithm(t *testing.T) {
	t.Parallel()
	const secret = "main0123456789abcdefghijklmnopqrstuvwxyz"
	for _, row := range []struct {
		algorithm string
		key       KeyConfig
		says      string
	}{
		{"RS256", KeyConfig{ID: "main"}, ""},
		{"abc", KeyConfig{ID: "main", Secret: secret}, ""},
		{"", KeyConfig{ID: "main", Secret: secret}, ""},
		{"RS256", KeyConfig{ID: "main", Secret: secret}, "keys[0]: is a key for HS256, but authn.algorithm is RS256"},
	} {
		faults := CheckKeys(row.algorithm, []KeyConfig{row.key})
		if err := faults.Err(); (err == nil) != (row.says == "") || err != nil && !strings.Contains(err.Error(), row.says) {
			t.Errorf("%q and %+v: got %v, want %q", row.algorithm, row.key, err, row.says)
		}
	}
}
