package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"wxgate/storage"
)

// Restored is the result of a restore.
type Restored struct {
	Summary
	ID     string   // of the data set, which tokens name from now on
	Users  uint64   // the next new user gets an id above it
	Ended  int      // sessions
	Banned []string // the ids of users who are banned, as of the backup
}

// Restore fills an open store with a backup that was verified, and gives the data set a new id, so that no earlier token
// is accepted. Every session ends, tokens of an existing backend that were issued until now are refused, and new users get
// ids from nextUserID on, if that is above those of the backup. Bans stay as in the backup. What was interrupted goes on
// when it is done again.
func Restore(ctx context.Context, to *storage.Store, verified Summary, from io.Reader, nextUserID uint64, now time.Time) (Restored, error) {
	r := restore{to: to, nextUserID: nextUserID, now: now}
	fill, err := storage.BeginFill(ctx, to, "backup "+verified.SHA256)
	if err != nil {
		return r.done, err
	}
	defer fill.Stop()
	if r.done.Summary, err = Read(from, func(record storage.Record) error { return r.take(ctx, record) }); err != nil {
		return r.done, err
	}
	if err := r.load(ctx); err != nil {
		return r.done, err
	}
	if err := r.listBanned(ctx); err != nil {
		return r.done, err
	}
	if _, err := to.Revoke(ctx, storage.EndOfForeign(now)); err != nil {
		return r.done, err
	}
	r.done.ID = rand.Text()
	return r.done, fill.End(ctx, r.done.ID)
}

// restore is one that is under way.
type restore struct {
	to         *storage.Store
	nextUserID uint64
	now        time.Time
	waiting    storage.Batch
	bans       storage.Bans
	done       Restored
}

// take changes what a restore changes, and loads the record with others.
func (r *restore) take(ctx context.Context, record storage.Record) (err error) {
	keep := true
	switch record.Kind {
	case storage.KindHeader:
		record, err = changed(record, r.header)
	case storage.KindSession:
		record, err = changed(record, r.endSession)
	case storage.KindRevocation:
		keep, err = r.revocation(record)
	case storage.KindEpoch: // of tokens that name another data set
		keep = false
	}
	if err != nil || !keep {
		return err
	}
	record.Data = bytes.Clone(record.Data)
	if !r.waiting.Add(record) {
		return nil
	}
	return r.load(ctx)
}

func (r *restore) load(ctx context.Context) error {
	err := r.to.Load(ctx, r.waiting.Records)
	r.waiting.Clear()
	return err
}

// changed is the record after a change of its value.
func changed[T any](record storage.Record, change func(*T)) (storage.Record, error) {
	var value T
	if err := record.Decode(&value); err != nil {
		return record, err
	}
	change(&value)
	return storage.NewRecord(record.Kind, value)
}

func (r *restore) header(h *storage.Header) {
	h.Users = max(h.Users, r.nextUserID-min(r.nextUserID, 1))
	r.done.Users = h.Users
}

// endSession turns a living session into a marker.
func (r *restore) endSession(s *storage.SessionRecord) {
	if s.Ended {
		return
	}
	r.done.Ended++
	*s = s.Marker()
}

// revocation notes bans, and leaves out what refuses tokens that a refresh replaced: their sessions have ended.
func (r *restore) revocation(record storage.Record) (keep bool, err error) {
	var v storage.Revocation
	if err := record.Decode(&v); err != nil {
		return false, err
	}
	r.bans.Add(v)
	return v.Before.IsZero(), nil
}

// listBanned lists who is banned.
func (r *restore) listBanned(ctx context.Context) (err error) {
	r.done.Banned, err = r.bans.At(r.now, func(id int64) (bool, error) {
		_, err := r.to.User(ctx, id)
		if errors.Is(err, storage.ErrNotFound) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("listing the banned: %w", err)
	}
	return nil
}
