package backup

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestADraftIsLockedUntilItHasItsName asks the kernel what comes first, its end as a draft or that of its lock.
func TestADraftIsLockedUntilItHasItsName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	events, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	must(t, err)
	t.Cleanup(func() { must(t, unix.Close(events)) })
	_, err = unix.InotifyAddWatch(events, dir, unix.IN_MOVED_FROM|unix.IN_CLOSE_WRITE)
	must(t, err)
	must(t, WriteFile(filepath.Join(dir, "backup"), func(w io.Writer) error { return writeAll(w, "users") }))
	event := make([]byte, 4096)
	_, err = unix.Read(events, event)
	must(t, err)
	want(t, "the first event", binary.NativeEndian.Uint32(event[4:]), unix.IN_MOVED_FROM)
}

// TestADraftIsOpenedAsNFSWantsItForALock: a lock of flock is one of fcntl there.
func TestADraftIsOpenedAsNFSWantsItForALock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "backup.1.part")
	must(t, os.WriteFile(path, nil, 0o600))
	file, err := openDraft(path)
	must(t, err)
	defer file.Close()
	must(t, unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
}

// TestADraftThatCannotBeOpenedFailsNoBackup, and the log names it.
func TestADraftThatCannotBeOpenedFailsNoBackup(t *testing.T) {
	t.Parallel()
	f := folderOf(t, "store", 1)
	var log bytes.Buffer
	f.log = slog.New(slog.NewTextHandler(&log, nil))
	_, all := small(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	must(t, os.MkdirAll(f.Dir, 0o700))
	left := Name(at, "store") + ".123.part"
	must(t, os.WriteFile(filepath.Join(f.Dir, left), nil, 0))
	heedPermissions(t)
	path, _, err := f.write(t.Context(), all, at.Add(time.Hour))
	must(t, err)
	_, err = Verify(path)
	must(t, err)
	if said := log.String(); strings.Count(said, "cannot be deleted") != 1 || !strings.Contains(said, left+": permission denied") {
		t.Errorf("the log has\n%s\nwant the file and why", said)
	}
}

// heedPermissions lets those of files hold for the test, also if it is root.
func heedPermissions(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var was [2]unix.CapUserData
	must(t, unix.Capget(&header, &was[0]))
	is := was
	is[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	must(t, unix.Capset(&header, &is[0]))
	t.Cleanup(func() {
		must(t, unix.Capset(&header, &was[0]))
		runtime.UnlockOSThread()
	})
}
