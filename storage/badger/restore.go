package badger

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// Restored is what a restore found and did.
type Restored struct {
	Latest time.Time // the last write of the backup: what happened later is not in it
	Users  uint64    // the next new user gets an id above it
	Ended  int       // sessions
	Banned []string  // the ids of users who are banned, as of the backup
	ID     string    // of the data set, which tokens name from now on
}

// Restore makes a folder that was put back from a backup safe to serve: it ends every session and gives the data set a new
// id, so that no token from before is taken. New users get ids from nextUserID on, when that is above those of the backup.
// Bans stay those of the backup. The folder must not be in use. A restore that was cut off leaves a folder that is refused
// until it is done again.
func Restore(dir string, nextUserID uint64, log *slog.Logger, now func() time.Time) (Restored, error) {
	s := newStore(dir, prometheus.NewRegistry(), log, now, defaultTuning())
	done, err := s.restore(nextUserID)
	if err = errors.Join(err, s.release()); err != nil {
		return Restored{}, openError(dir, err)
	}
	return done, nil
}

func (s *Store) restore(nextUserID uint64) (done Restored, err error) {
	if !disk.Exists(s.path(fileSentinel)) {
		return done, fmt.Errorf("%s is not there: this is no data folder", s.path(fileSentinel))
	}
	if s.lock, err = disk.Acquire(s.dir); err != nil {
		return done, err
	}
	if err := s.watch(); err != nil {
		return done, err
	}
	known, err := disk.ReadSentinel(s.path(fileSentinel))
	if err != nil && !errors.Is(err, disk.ErrHalfRestored) {
		return done, err
	}
	if done.Latest, err = s.openRestored(known); err != nil {
		return done, err
	}
	known.Schema, known.Migrating = disk.Schema, 0
	done.ID = disk.NewSentinel("", stamp(s.now())).ID
	if known.NextID != "" {
		done.ID = known.NextID
	}
	known.NextID = done.ID // from here on the folder is refused until all of this is done
	if err := known.Write(s.path(fileSentinel)); err != nil {
		return done, err
	}
	if err := s.restoreRecords(&done, nextUserID); err != nil {
		return done, err
	}
	known.ID, known.NextID = done.ID, ""
	disk.NotePlace(s.path(filePlace))
	return done, known.Write(s.path(fileSentinel))
}

// openRestored verifies and opens the folder, which may have either id, and says when it was written last.
func (s *Store) openRestored(known disk.Sentinel) (latest time.Time, err error) {
	s.id, s.nextID = known.ID, known.NextID
	if err := s.wantRoom(); err != nil {
		return latest, err
	}
	if err := s.openVerified(); err != nil {
		return latest, err
	}
	s.lock.Sign()
	if err := s.migrate(known); err != nil {
		return latest, err
	}
	reached, err := s.reached()
	if err != nil {
		return latest, err
	}
	s.forgetting.horizon = reached.horizon(s.now()) // a wrong clock is not believed here either
	return time.UnixMilli(reached.Latest).UTC(), nil
}

// restoreRecords ends the sessions, and then gives the data set its new id.
func (s *Store) restoreRecords(done *Restored, nextUserID uint64) error {
	for next := string(prefixSession); next != ""; {
		var err error
		if next, err = s.migrateSome(prefixSession, next, done.endSession); err != nil {
			return err
		}
		s.tuning.migrated()
	}
	err := s.update(func(v *view) error {
		reached, err := v.count(func(c *counters) { c.Users = max(c.Users, nextUserID-min(nextUserID, 1)) })
		if err != nil {
			return err
		}
		done.Users = reached.Users
		if done.Banned, err = bannedUsers(v); err != nil {
			return err
		}
		if err := endForeign(v, done.Latest); err != nil {
			return err
		}
		return v.put(keyStoreID, []byte(done.ID))
	})
	s.tuning.migrated()
	return err
}

// endSession makes a marker of a session that lives.
func (done *Restored) endSession(v *view, key string, _ []byte) error {
	record, err := sessionRecordOf(v, key[1:])
	if err != nil || record.Ended {
		return err
	}
	done.Ended++
	v.delete(deviceKey(record.UserID, record.ID))
	record.forgetRotation(v)
	marker := storage.Session{ID: record.ID, UserID: record.UserID, ExpiresAt: record.ExpiresAt}
	return v.putJSON(key, sessionRecord{Session: marker, Ended: true})
}

// bannedUsers returns the ids of the users whose last word is a ban that lasts.
func bannedUsers(v *view) ([]string, error) {
	all, err := revocationsAfter(v, 0)
	if err != nil {
		return nil, err
	}
	last, order := map[string]storage.Revocation{}, []string{}
	for _, r := range all {
		if r.Scope != storage.ScopeUser {
			continue
		}
		if _, known := last[r.ID]; !known {
			order = append(order, r.ID)
		}
		last[r.ID] = r
	}
	var banned []string
	for _, id := range order {
		number, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			continue
		}
		_, err = user(v, number) // an erased one is revoked as well
		if r := last[id]; err == nil && r.From.Before(r.Until) && r.Until.After(v.now) {
			banned = append(banned, id)
		}
	}
	return banned, nil
}
