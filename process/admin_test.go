//go:build unix

package process

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// socketPath is short enough for a socket, which the folder of a test need not be.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wxgate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "admin.sock")
}

// TestAUnixSocketIsForItsGroup: neither umask nor a moment lets others in.
func TestAUnixSocketIsForItsGroup(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	ln, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != socketMode || info.Mode().Type() != os.ModeSocket {
		t.Errorf("%v, %v, want a socket of %o", info.Mode(), err, socketMode)
	}
}

// TestASocketThatNobodyListensOnIsReplaced: a process that was killed leaves its socket behind, and one that ended too.
func TestASocketThatNobodyListensOnIsReplaced(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	for range 3 {
		ln, err := listenUnix(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := listenUnix(path); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), path) {
			t.Errorf("a second one: %v, want that %s is in use", err, path)
		}
		if conn, err := net.Dial("unix", path); err != nil {
			t.Errorf("the first one is gone: %v", err)
		} else {
			_ = conn.Close()
		}
		_ = ln.Close()
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("a successor's socket would be removed: %v", err)
		}
	}
}

// TestNoFileIsReplacedBySocket: a path that was meant otherwise.
func TestNoFileIsReplacedBySocket(t *testing.T) {
	t.Parallel()
	path := socketPath(t)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, place := range []string{path, link} {
		if _, err := listenUnix(place); err == nil || !strings.Contains(err.Error(), place) {
			t.Errorf("%s: %v", place, err)
		}
	}
	if text, err := os.ReadFile(path); string(text) != "mine" || err != nil {
		t.Errorf("the file holds %q, %v", text, err)
	}
}
