package badger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
)

// silent does not want to know how far a restore is.
func silent(int64, int64) {}

func TestARestoreEndsAllSessionsAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	dir, end := unpack(t, "schema-1-killed"), schema1End("killed")
	done, err := Restore(dir, 100, quiet(), func() time.Time { return end }, silent)
	must(t, err)
	if done.Ended != 27 || !slices.Equal(done.Banned, []string{"2", "3"}) || done.Users != 99 || done.Latest.Before(end) {
		t.Errorf("got %+v, want 27 sessions ended, the users 2 and 3 banned, the next id 100, and when it was written last", done)
	}
	s := openAt(t, dir, end, defaultTuning())
	if s.ID() != done.ID || s.ID() == "T52PHTCYCURUBFX46TBAPWWI27" {
		t.Errorf("the data set has the id %s, want the new one, %s", s.ID(), done.ID)
	}
	for id := int64(1); id <= schema1People; id++ {
		if living, err := s.Sessions(t.Context(), id, storage.SessionCursor{}, 100); len(living) > 0 || err != nil {
			t.Errorf("user %d has the sessions %v, %v; want none", id, living, err)
		}
	}
	wantSchema1Bans(t, s, end)
	if u := login(t, s, "oNew", "again"); u.ID != 100 {
		t.Errorf("a new user got id %d, want 100", u.ID)
	}
}

func TestARestoreThatIsKilledIsRefusedUntilItIsDoneAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir)
	for i := range 30 {
		login(t, s, fmt.Sprint("o-", i%5), fmt.Sprint("s-", i))
	}
	must(t, s.Close())
	var images []string
	tuned := defaultTuning()
	tuned.migrateBatch = 10
	tuned.migrated = func() { images = append(images, imageOf(t, dir)) }
	d := newDatabase(dir, prometheus.NewRegistry(), quiet(), time.Now, tuned)
	var told []string
	_, err := d.restore(0, func(done, all int64) { told = append(told, fmt.Sprintf("%d of %d", done, all)) })
	must(t, errors.Join(err, d.release()))
	if want := []string{"5 of 30", "10 of 30", "15 of 30", "20 of 30", "25 of 30", "30 of 30"}; !slices.Equal(told, want) {
		t.Errorf("it tells %q, want %q", told, want)
	}
	if len(images) < 4 {
		t.Fatalf("got %d steps, want at least 4", len(images))
	}
	for i, image := range images {
		_, err := Open(configIn(image), prometheus.NewRegistry(), quiet(), time.Now)
		if text := fmt.Sprint(err); !strings.Contains(text, "a restore was cut off, run `wxgate restore "+image+"` again") {
			t.Errorf("step %d: opening says %s, want that the restore was cut off", i, text)
		}
		done, err := Restore(image, 0, quiet(), time.Now, silent)
		must(t, err)
		again := openIn(t, image)
		if living, err := again.Sessions(t.Context(), 1, storage.SessionCursor{}, 100); len(living) > 0 || err != nil || again.ID() != done.ID {
			t.Errorf("step %d: %d sessions, %v, id %s; want none, and the id %s", i, len(living), err, again.ID(), done.ID)
		}
	}
}

func TestARestoreOfWhatIsNoDataFolderTouchesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := Restore(dir, 0, quiet(), time.Now, silent)
	if text := fmt.Sprint(err); !strings.Contains(text, "this is not a data folder") || len(filesBelow(t, dir)) > 0 {
		t.Errorf("got %s and the files %v, want a refusal and none", text, filesBelow(t, dir))
	}
	used := usedStore(t)
	openIn(t, used)
	if _, err := Restore(used, 0, quiet(), time.Now, silent); !errors.Is(err, storage.ErrLocked) {
		t.Errorf("a folder that is in use: got %v, want %v", err, storage.ErrLocked)
	}
}

// TestARestoreByAClockThatIsAheadSaysAndBelievesWhatTheBackupDoes restores with a clock that is eight days ahead.
func TestARestoreByAClockThatIsAheadSaysAndBelievesWhatTheBackupDoes(t *testing.T) {
	t.Parallel()
	dir := usedStore(t)
	written := time.Now()
	wrong := written.Add(8 * 24 * time.Hour)
	done, err := Restore(dir, 0, quiet(), func() time.Time { return wrong }, silent)
	must(t, err)
	if done.Latest.After(written) || written.Sub(done.Latest) > time.Minute {
		t.Errorf("the backup is said to be of %v, want just before %v", done.Latest, written)
	}
	if s := openAt(t, dir, wrong, defaultTuning()); s.Past().After(written) {
		t.Errorf("what ended before %v is forgotten, and the backup is of %v", s.Past(), written)
	}
}
