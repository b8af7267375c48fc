package e2e

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAFullDiskEndsLoginsAlone fills the disk of the data folder while wxgate runs, and starts it there once more.
func TestAFullDiskEndsLoginsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data, ballast := filepath.Join(w.dir, "data"), filepath.Join(w.dir, "data", "ballast")
	smallDisk(t, data)
	w.serve()
	token := w.login("alice")
	fillUp(t, ballast)
	w.loginsUntilRefused()
	w.want("a service while the disk is full", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	w.want("a profile while the disk is full", w.call("GET", "/api/v1/user/profile", token, ""), http.StatusOK, "")
	if series := w.metrics(); !strings.Contains(series, "wxgate_storage_writable 0") {
		t.Error("no metric says that the store takes no writes")
	}
	w.kill()
	w.serve()
	w.want("a service after a start on a full disk", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	w.loginsUntilRefused()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, func() bool {
		got, err := w.try("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, w.weChat.IssueCode("bob")))
		return err == nil && got.status == http.StatusOK
	})
}

// TestAFullDiskLosesNothing fills the disk while people log in, refresh, log out, rename themselves, are banned and are
// erased, and empties it: three times, the last time with a kill -9 in between. The process goes on.
func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), newLedger()
	data, ballast := filepath.Join(w.dir, "data"), filepath.Join(w.dir, "data", "ballast")
	smallDisk(t, data)
	w.serve()
	const rounds = 3
	for round := range rounds {
		stop := make(chan struct{})
		var clients sync.WaitGroup
		for _, a := range l.actors(8, fmt.Sprint("round ", round, ", client"), func(int) *world { return w }) {
			clients.Go(func() { keepDoing(stop, time.Millisecond, a.act) })
		}
		enough := l.acknowledged() + 200
		eventually(t, time.Minute, func() bool { return l.acknowledged() >= enough })
		fillUp(t, ballast)
		w.loginsUntilRefused()
		close(stop)
		clients.Wait()
		if w.gone() {
			t.Fatalf("the process has ended:\n%s", w.output)
		}
		if round == rounds-1 {
			w.kill()
			w.serve()
		}
		l.compareTokens(w) // also while the disk is full
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, func() bool {
			_, got, err := w.tryLogin("somebody")
			return err == nil && got.status == http.StatusOK
		})
		l.compare(w, l.everybody(), l.revocations(0))
	}
	w.kill()
	w.serve()
	l.compare(w, l.everybody(), l.revocations(0))
	l.report(t)
}

// smallDisk mounts a file system of 128 MB; storage/badger has tests with a disk that only says it is full.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128m,mode=0700"); err != nil {
		if os.Getenv("WXGATE_DISK") != "" {
			t.Fatalf("mounting a tmpfs: %v", err)
		}
		t.Skipf("NOT TESTED, a full disk below the whole gateway: mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fillUp writes a file until not a byte is left.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zeros, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	defer zeros.Close()
	if _, err := io.Copy(f, zeros); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filling the disk: got %v, want %v", err, unix.ENOSPC)
	}
}

// loginsUntilRefused logs people in until the store notices the disk; each login is whole or refused.
func (w *world) loginsUntilRefused() {
	w.t.Helper()
	eventually(w.t, 60*time.Second, func() bool {
		got := w.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, w.weChat.IssueCode("carol")))
		if got.status == http.StatusOK {
			return false
		}
		w.want("a login while the disk is full", got, http.StatusServiceUnavailable, "storage_unavailable")
		return true
	})
}
