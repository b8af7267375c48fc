package input_test

import (
	"strings"
	"testing"

	"wxgate/authn/token"
	"wxgate/input"
	"wxgate/upstream/http1"
)

// TestAFileWithoutAnEndIsTooLarge names /dev/zero wherever an operator names a file: it took all memory.
func TestAFileWithoutAnEndIsTooLarge(t *testing.T) {
	t.Parallel()
	const zero = "/dev/zero"
	_, err := input.File(zero)
	_, ca := http1.TLS{CA: zero}.Load()
	keys := token.CheckKeys("HS256", []token.KeyConfig{{ID: "main", File: zero}})
	if len(ca) != 1 || len(keys) != 1 {
		t.Errorf("got %v and %v, want one fault each", ca, keys)
	}
	faults := []error{err, ca.Err(), keys.Err()}
	for i, fault := range faults {
		if fault == nil || !strings.Contains(fault.Error(), "/dev/zero is larger than") {
			t.Errorf("%d: got %v, want that /dev/zero is too large", i, fault)
		}
	}
}
