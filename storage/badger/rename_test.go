package badger

import (
	"errors"
	"testing"
	"time"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// TestARenameThatIsCutOffIsFinished has a kill before the database got its next id, and one behind it.
func TestARenameThatIsCutOffIsFinished(t *testing.T) {
	t.Parallel()
	for name, reached := range map[string]bool{"before the database": false, "behind it": true} {
		dir := usedStore(t)
		s := openIn(t, dir)
		if reached {
			must(t, s.driver.write(t.Context(), func(v *view) error { return v.put(keyStoreID, []byte("next")) }))
		}
		must(t, s.Close())
		path := dir + "/" + fileSentinel
		known, err := disk.ReadSentinel(path)
		must(t, err)
		known.NextID, known.Renamed = "next", true
		must(t, known.Write(path))
		for range 2 {
			s := openIn(t, dir)
			if s.ID() != "next" {
				t.Errorf("%s: the id is %s, want next", name, s.ID())
			}
			if _, err := s.User(t.Context(), 1); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			must(t, s.Close())
		}
	}
}

// TestARestoreDoesNotMakeAPartOfACopyServe would give it a new id.
func TestARestoreDoesNotMakeAPartOfACopyServe(t *testing.T) {
	t.Parallel()
	dir := usedStore(t)
	s := openIn(t, dir)
	must(t, s.driver.SetID(t.Context(), "filling-store x"))
	if err := s.Complete(); !errors.Is(err, storage.ErrIncomplete) {
		t.Errorf("serving it: got %v, want that it is incomplete", err)
	}
	must(t, s.Close())
	if _, err := Restore(dir, 0, quiet(), time.Now, silent); !errors.Is(err, storage.ErrIncomplete) {
		t.Errorf("restoring it: got %v, want that it is incomplete", err)
	}
}
