package badger

import (
	"crypto/rand"
	"errors"
	"time"

	"wxgate/storage"
)

// An epoch is the time from one opening of the folder to the next. Its random id is part of every token issued in it,
// and is on disk before the first of them. So a restored folder does not know the epochs that started after it was
// copied, and it knows how far the epoch in which it was copied had come: tokens of a lost state are told from those of
// this one without asking a clock.
type epochRecord struct {
	ID      string    `json:"id"`               // "" for what schema 1 issued
	Until   time.Time `json:"until,omitzero"`   // the last moment that it can have issued a token in; zero: the newest
	Expires time.Time `json:"expires,omitzero"` // when the last of its sessions is over, or later
}

// epochLease is how far ahead Expires is noted, so that it is not written with each session.
const epochLease = 24 * time.Hour

// newEpochID has 65 random bits.
func newEpochID() string { return rand.Text()[:13] }

// EpochEnd returns when the epoch ended, or zero for an epoch of another store.
func (v *view) EpochEnd(epoch string) (time.Time, error) {
	known, err := epochsOf(v)
	return known[epoch], err
}

// epochsOf reads the epochs and when each ended; the newest by what the counters say.
func epochsOf(v *view) (map[string]time.Time, error) {
	reached, err := v.counters()
	if err != nil {
		return nil, err
	}
	known := map[string]time.Time{}
	for number := range v.numbers(prefixEpoch, 0) {
		e, err := epochOf(v, number)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if e.Until.IsZero() {
			e.Until = time.UnixMilli(reached.Latest)
		}
		known[e.ID] = e.Until
	}
	return known, nil
}

func epochOf(v *view, number uint64) (e epochRecord, err error) {
	err = v.getJSON(numbered(prefixEpoch, number), &e)
	return e, err
}

// noteEpoch makes sure that the epoch of this process is on disk together with the session of a token that it issues.
func (v *view) noteEpoch(expires time.Time) error {
	reached, newest, err := v.newestEpoch()
	if err != nil || newest.ID == v.epoch && newest.Until.IsZero() && !expires.After(newest.Expires) { // another process ends it while the folder is released
		return err
	}
	if newest.ID != v.epoch {
		if err := v.endEpoch(time.UnixMilli(reached.Latest)); err != nil {
			return err
		}
		if reached, err = v.count(func(c *counters) { c.Epochs, c.Latest = c.Epochs+1, 0 }); err != nil {
			return err
		}
	}
	return v.putJSON(numbered(prefixEpoch, reached.Epochs), epochRecord{ID: v.epoch, Expires: expires.Add(epochLease)})
}

// newestEpoch returns the counters and the newest epoch, a zero one when there is none.
func (v *view) newestEpoch() (reached counters, newest epochRecord, err error) {
	if reached, err = v.counters(); err != nil {
		return reached, newest, err
	}
	newest, err = epochOf(v, reached.Epochs)
	if errors.Is(err, storage.ErrNotFound) {
		err = nil
	}
	return reached, newest, err
}

// endEpoch ends the newest epoch at until if it is that of an earlier process. Every commit does, whatever it is of: it moves
// Latest, and what a lost state of that epoch issued until now would count as issued by this one.
func (v *view) endEpoch(until time.Time) error {
	reached, newest, err := v.newestEpoch()
	if err != nil || newest.ID == v.epoch || newest.Expires.IsZero() || !newest.Until.IsZero() {
		return err
	}
	newest.Until = until
	return v.putJSON(numbered(prefixEpoch, reached.Epochs), newest)
}
