package mysql

import (
	"errors"
	"sync"
	"time"

	"wxgate/storage"
)

// An epoch is one opening of the database by one process. Its random id is part of every token issued in it, and is
// committed with the session of the first, together with the second in which it last issued one. So a database that was
// restored does not know the epochs that began after it was copied, and knows how far the others had come.

// epochNote is how far the epoch of this process has come.
type epochNote struct {
	latest  int64 // Unix milliseconds of the newest token
	expires int64 // when the last of its sessions is over, or later
}

// epochLease is how far ahead the expiry is noted, so that it is not written with each session.
const epochLease = 24 * time.Hour

// notedEpoch is what is committed of it.
type notedEpoch struct {
	mu   sync.Mutex
	note epochNote
}

// covers reports whether nothing has to be written: a token is of the second that is noted.
func (n *notedEpoch) covers(wanted epochNote) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return wanted.latest/1000 <= n.note.latest/1000 && wanted.expires <= n.note.expires
}

func (n *notedEpoch) raise(committed epochNote) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.note.latest, n.note.expires = max(n.note.latest, committed.latest), max(n.note.expires, committed.expires)
}

// noteEpoch makes sure that the epoch is committed together with the session of a token that it issues.
func (v *view) noteEpoch(issued, expires time.Time) {
	v.note.latest = max(v.note.latest, v.now.UnixMilli(), issued.UnixMilli())
	v.note.expires = max(v.note.expires, expires.UnixMilli())
}

// saveEpoch writes the note, at most once a second.
func (v *view) saveEpoch() error {
	if v.note == (epochNote{}) || v.driver.noted.covers(v.note) {
		v.note = epochNote{}
		return nil
	}
	v.note.expires += epochLease.Milliseconds()
	return v.exec("INSERT INTO wxgate_epochs (id, latest_ms, expires_ms) VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE "+epochReplace,
		[]byte(v.driver.epoch), v.note.latest, v.note.expires)
}

const epochReplace = "latest_ms = GREATEST(latest_ms, VALUES(latest_ms)), expires_ms = GREATEST(expires_ms, VALUES(expires_ms))"

// EpochEnd returns the last moment in which an epoch has issued a token, or zero for an epoch of another data set.
func (v *view) EpochEnd(epoch string) (time.Time, error) {
	var latest int64
	err := v.row("SELECT latest_ms FROM wxgate_epochs WHERE id = ?", []any{[]byte(epoch)}, &latest)
	if errors.Is(err, storage.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	v.driver.epochs.Store(epoch, latest)
	return time.UnixMilli(latest), nil
}

// learnEpochs notes in memory how far all epochs have come, so that tokens of other processes need no look at the
// database.
func (v *view) learnEpochs() error {
	return v.rows("SELECT id, latest_ms FROM wxgate_epochs WHERE latest_ms >= ?", []any{v.driver.newestEpoch()}, func(scan func(...any) error) error {
		var id string
		var latest int64
		err := scan(&id, &latest)
		if err == nil {
			v.driver.epochs.Store(id, latest)
		}
		return err
	})
}

// newestEpoch is how far the newest of the epochs in memory has come, less what clocks may differ by.
func (d *mysqlDriver) newestEpoch() (newest int64) {
	d.epochs.Range(func(_, latest any) bool {
		if at, ok := latest.(int64); ok {
			newest = max(newest, at)
		}
		return true
	})
	return newest - (10 * time.Second).Milliseconds()
}

// EpochEnd is how far an epoch had come when memory heard of it last.
func (d *mysqlDriver) EpochEnd(epoch string) (until time.Time, known bool) {
	latest, known := d.epochs.Load(epoch)
	if at, ok := latest.(int64); ok {
		return time.UnixMilli(at), known
	}
	return time.Time{}, false
}
