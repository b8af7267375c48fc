package command

import (
	"fmt"
	"os"
	"testing"
)

// TestMain runs the tests where the pages and the fixtures are: in the root of the repository.
func TestMain(m *testing.M) {
	if err := os.Chdir(".."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}
