package input_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"wxgate/input"
)

// TestANamedPipeIsReadAndDoesNotHang has one that nobody writes into, for which a start waited, and one of a shell's
// <(command).
func TestANamedPipeIsReadAndDoesNotHang(t *testing.T) {
	t.Parallel()
	silent := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(silent, 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := input.File(silent); len(data) > 0 || err != nil {
		t.Errorf("nobody writes: got %q, %v", data, err)
	}
	const text = "server:\n"
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if _, err := to.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := input.File(fmt.Sprintf("/dev/fd/%d", from.Fd())); string(data) != text || err != nil {
		t.Errorf("a shell's pipe: got %q, %v, want %q", data, err, text)
	}
}
