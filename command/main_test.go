package command

import (
	"fmt"
	"os"
	"testing"
)

// TestMain runs the tests where the pages and the fixtures are: in the root of the repository. With WXGATE_PROGRAM it is
// wxgate itself, for shells and terminals.
func TestMain(m *testing.M) {
	if os.Getenv("WXGATE_PROGRAM") != "" {
		os.Exit(Run())
	}
	if err := os.Chdir(".."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
