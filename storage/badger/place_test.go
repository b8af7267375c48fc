package badger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// copyOf is a copy of the folder as cp makes it.
func copyOf(t *testing.T, dir string) (copied string) {
	t.Helper()
	copied = filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(copied, os.DirFS(dir)))
	return copied
}

// copyMarks are the revocations with which copies begin.
func copyMarks(t *testing.T, s *Store) []storage.Revocation {
	t.Helper()
	all, err := s.Revocations(t.Context(), 0, 1000)
	must(t, err)
	return slices.DeleteFunc(all, func(r storage.Revocation) bool { return !isOfCopy(r) })
}

func TestACopyEndsTheTokensOfAnExistingBackendOnceAndTheOriginalDoesNot(t *testing.T) {
	t.Parallel()
	dir := usedStore(t)
	copied := copyOf(t, dir)
	for _, c := range []struct {
		what, dir string
		want      int
	}{
		{"the original", dir, 0},
		{"the copy", copied, 1},
		{"the copy again", copied, 1},
		{"another", copyOf(t, copied), 1},
		{"the original again", dir, 0},
	} {
		before := time.Now().Truncate(time.Millisecond)
		s := openIn(t, c.dir)
		marks := copyMarks(t, s)
		if len(marks) != c.want {
			t.Errorf("%s: got %v, want %d", c.what, marks, c.want)
		}
		if c.what == "the copy" && marks[0].From.Before(before) {
			t.Errorf("%s: tokens are over that were issued until %v, want until the start, %v", c.what, marks[0].From, before)
		}
		must(t, s.Close())
	}
}

// TestACopyThatWasKilledAtItsStartIsStillACopy opens a copy that noted what it ends, and was killed before it had a place.
func TestACopyThatWasKilledAtItsStartIsStillACopy(t *testing.T) {
	t.Parallel()
	copied := copyOf(t, usedStore(t))
	said, err := os.ReadFile(filepath.Join(copied, filePlace))
	must(t, err)
	must(t, openIn(t, copied).Close())
	must(t, os.WriteFile(filepath.Join(copied, filePlace), said, 0o600))
	s := openIn(t, copied)
	if marks := copyMarks(t, s); len(marks) != 2 || !marks[1].From.After(marks[0].From) {
		t.Errorf("got %v, want a second one, later", marks)
	}
}

// TestACopyWithTheClockBehindEndsTokensUntilItsLastWrite is a copy on a machine whose clock is an hour behind.
func TestACopyWithTheClockBehindEndsTokensUntilItsLastWrite(t *testing.T) {
	t.Parallel()
	latest := time.Now()
	s := openAt(t, copyOf(t, usedStore(t)), latest.Add(-time.Hour), defaultTuning())
	if marks := copyMarks(t, s); len(marks) != 1 || latest.Sub(marks[0].From) > time.Minute {
		t.Errorf("got %v, want one from %v on", marks, latest)
	}
}

func TestACopyOnAFullDiskIsRefusedAndLeftAsItIs(t *testing.T) {
	t.Parallel()
	copied := copyOf(t, usedStore(t))
	before := hashes(t, copied)
	d := &fakeDisk{}
	_, err := open(configIn(copied), prometheus.NewRegistry(), quiet(), time.Now, d.tuning())
	if text := fmt.Sprint(err); !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(text, "the folder is a copy and the disk has no room") {
		t.Errorf("opening: got %s, want %v and why", text, storage.ErrUnavailable)
	}
	if changed := hashes(t, copied); fmt.Sprint(changed) != fmt.Sprint(before) {
		t.Errorf("the refused folder changed: got %v, want %v", changed, before)
	}
	d.freeMB.Store(1000)
	if marks := copyMarks(t, d.open(t, copied)); len(marks) != 1 {
		t.Errorf("with room: got %v, want one", marks)
	}
}

// TestAPlaceThatWasNeverWrittenIsNoCopy is what a full disk or a power loss leaves of the file.
func TestAPlaceThatWasNeverWrittenIsNoCopy(t *testing.T) {
	t.Parallel()
	dir := usedStore(t)
	for range 2 {
		must(t, os.WriteFile(filepath.Join(dir, filePlace), nil, 0o600))
		s := openIn(t, dir)
		if marks := copyMarks(t, s); len(marks) != 0 {
			t.Errorf("got %v, want none", marks)
		}
		must(t, s.Close())
	}
	if said, here := disk.ReadPlace(filepath.Join(dir, filePlace)); said != here || said == "" {
		t.Errorf("the file says %q, want its place, %q", said, here)
	}
}
