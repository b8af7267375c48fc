package disk

import (
	"bytes"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4/y"

	"wxgate/storage"
)

// A table that the MANIFEST does not name is normal after a kill: a flush or a compaction had written it but not noted it
// yet, or noted its deletion but not deleted it yet. All it holds is then elsewhere too, at the same or a newer version. A
// table that holds something found nowhere else was named by a MANIFEST that has been cut.
const bitDelete = 1 // of the meta byte of an entry

// findLost returns ErrDamaged if a record lies in orphans alone.
func findLost(orphans, tables []tableFile, logs []walFile, known Records) error {
	for _, orphan := range orphans {
		it := orphan.NewIterator(0)
		for it.Rewind(); it.Valid(); it.Next() {
			key, version := y.ParseKey(it.Key()), y.ParseTs(it.Key())
			if isGone(key, it.Value()) || known.Deletable(key) || isKnown(key, version, tables, logs) {
				continue
			}
			_ = it.Close()
			return fmt.Errorf("MANIFEST is truncated: it does not name %s: %w",
				orphan.Filename(), storage.ErrDamaged)
		}
		_ = it.Close()
	}
	return nil
}

// isGone reports whether compaction was free to drop the entry: a deletion, and what schema 1 wrote with a TTL, once that
// is over by Badger's clock.
func isGone(key []byte, value y.ValueStruct) bool {
	expired := value.ExpiresAt != 0 && value.ExpiresAt <= uint64(time.Now().Unix())
	return expired || value.Meta&bitDelete != 0 || bytes.HasPrefix(key, []byte("!badger!"))
}

// isKnown reports whether a table or a log holds the key at that version or a newer one.
func isKnown(key []byte, version uint64, tables []tableFile, logs []walFile) bool {
	for _, l := range logs {
		if l.newest[string(key)] >= version {
			return true
		}
	}
	for _, t := range tables {
		if newest, _ := t.newest(key); newest >= version {
			return true
		}
	}
	return false
}
