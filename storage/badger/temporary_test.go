package badger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	badgerdb "github.com/dgraph-io/badger/v4"
	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage/storagetest"
)

// TestTemporaryValuesLeaveNothing puts more than one go of forgetting deletes, some of them twice.
func TestTemporaryValuesLeaveNothing(t *testing.T) {
	t.Parallel()
	clock := storagetest.NewClock()
	s, err := open(configIn(t.TempDir()), prometheus.NewRegistry(), quiet(), clock.Now, defaultTuning())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	put := func(name string, life time.Duration) {
		t.Helper()
		if err := s.ChangeTemporary(t.Context(), name, func([]byte) ([]byte, time.Duration, error) { return []byte("v"), life, nil }); err != nil {
			t.Fatal(err)
		}
	}
	put("stays", time.Hour)
	put("was to end", time.Second)
	put("was to end", time.Hour)
	put("was to stay", time.Hour)
	put("was to stay", time.Second)
	put("dropped", time.Hour)
	put("dropped", 0)
	for i := range 3 * forgetMost {
		put(fmt.Sprint("ends ", i), time.Second)
	}
	clock.Advance(time.Minute)
	if err := s.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left []string
	err = s.driver.engine.transaction(false, func(txn *badgerdb.Txn) error {
		v := s.driver.readView(txn)
		left = append(v.keys(string(prefixTemporary), ""), v.keys(string(prefixEnd), "")...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range left {
		if key[0] == prefixEnd {
			left[i] = "z" + key[1+endSize:]
		}
	}
	slices.Sort(left)
	if want := []string{"ystays", "ywas to end", "zstays", "zwas to end"}; !slices.Equal(left, want) {
		t.Errorf("%q are left, want %q", left[:min(len(left), 10)], want)
	}
}
