package badger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of 128 MB. Where that is not permitted the test is skipped by name and reason; the tests
// with a disk that only says it is full are the ones that always run.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128m"); err != nil {
		if os.Getenv("WXGATE_DISK") != "" {
			t.Fatalf("mounting a tmpfs: %v", err)
		}
		t.Skipf("NOT TESTED, a really full disk: mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillUp writes a file until not a byte is left.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, chunk := range []int64{1 << 20, 4096, 1} {
		for err = nil; err == nil; {
			_, err = io.CopyN(f, zeros{}, chunk)
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filling the disk: got %v, want %v", err, unix.ENOSPC)
	}
	_ = f.Close()
}

// zeros is an endless file of zeros.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// expectLine reads what the child says until a line begins with want; logins that were acknowledged may come before.
func expectLine(t *testing.T, child *child, want string) {
	t.Helper()
	for child.lines.Scan() {
		if strings.HasPrefix(child.lines.Text(), want) {
			return
		}
	}
	t.Fatalf("child: got its end (%v), want a line %q", child.cmd.Wait(), want)
}

func TestAReallyFullDiskKillsNothing(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	dir, ballast := filepath.Join(disk, "data"), filepath.Join(disk, "ballast")
	for round := range 3 {
		busy := newChild(t, "logs-in", dir)
		expectLine(t, busy, "o-")
		fillUp(t, ballast)
		expectLine(t, busy, "error logging in: the disk of")
		busy.kill()
		restarted := newChild(t, "logs-in", dir)
		expectLine(t, restarted, "error logging in: the disk of")
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		expectLine(t, restarted, "o-")
		restarted.kill()
		t.Log(fmt.Sprint("round ", round, " survived"))
	}
	s := openIn(t, dir)
	if u, err := s.User(t.Context(), 1); err != nil || u.ID != 1 {
		t.Errorf("user 1: got %+v, %v", u, err)
	}
}
