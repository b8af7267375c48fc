package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"wxgate/authn/token"
	"wxgate/storage"
)

// deletionStore stores who asked to be erased.
type deletionStore interface {
	PutDeletion(ctx context.Context, d storage.Deletion) (at time.Time, err error)
	Deletion(ctx context.Context, userID int64) (time.Time, error)
	Deletions(ctx context.Context, after int64, limit int) ([]storage.Deletion, error)
	EraseDeleted(ctx context.Context, id int64, from, until time.Time) ([]storage.Revocation, error)
}

// ErrLoginTooOld refuses what a stolen token must not do alone: only a login proves that the person is there.
var ErrLoginTooOld = errors.New("the login is too old")

const (
	freshLogin       = 5 * time.Minute // how old a login may be that proves it
	deletionLook     = time.Minute     // between two looks for those that are due
	deletionsPerRead = 500
)

// Deletions erases users who ask for it, at once or after authn.deletion_grace.
type Deletions struct {
	cfg      Config
	store    Store
	users    *Users
	sessions *Sessions
	metrics  *metrics
	log      *slog.Logger
	now      func() time.Time
}

// Request erases the subject's user, and returns the zero time; or, with a grace, ends the sessions and returns when the user
// will be erased, unless they log in before. A login of more than five minutes ago is ErrLoginTooOld.
func (d *Deletions) Request(ctx context.Context, s Subject) (at time.Time, err error) {
	if err := d.sessions.RequireFresh(ctx, s); err != nil {
		return time.Time{}, err
	}
	if d.cfg.DeletionGrace == 0 {
		if err := d.users.Erase(ctx, s.UserID); err != nil {
			return time.Time{}, err
		}
		d.noteErased(ctx, s.UserID)
		return time.Time{}, nil
	}
	at, err = d.store.PutDeletion(context.WithoutCancel(ctx), storage.Deletion{UserID: s.UserID, At: d.now().Add(d.cfg.DeletionGrace)})
	if err != nil {
		return time.Time{}, fmt.Errorf("recording a deletion: %w", err)
	}
	if err := d.sessions.LogoutAll(ctx, s); err != nil {
		return time.Time{}, err
	}
	d.metrics.deletionsRequested.Inc()
	d.log.InfoContext(ctx, "a user asked to be erased", "user", s.UserID, "at", at)
	return at, nil
}

// Of returns when a user will be erased at their own request, or storage.ErrNotFound.
func (d *Deletions) Of(ctx context.Context, userID int64) (time.Time, error) {
	return d.store.Deletion(ctx, userID)
}

// refuse returns token.ErrRevoked for a user who asked to be erased: a login takes that back, and nothing else acts for them.
func (d *Deletions) refuse(ctx context.Context, userID int64) error {
	if d.cfg.DeletionGrace == 0 {
		return nil
	}
	_, err := d.store.Deletion(ctx, userID)
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("looking for a deletion: %w", err)
	}
	return token.ErrRevoked
}

// Run erases the users whose time has come, until ctx ends.
func (d *Deletions) Run(ctx context.Context) {
	ticker := time.NewTicker(deletionLook)
	defer ticker.Stop()
	for {
		if err := d.eraseDue(ctx); err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "users who asked for it were not erased; it is tried again in a minute", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// eraseDue erases those whose time has come. Another gateway may be first.
func (d *Deletions) eraseDue(ctx context.Context) error {
	for after := int64(0); ; {
		some, err := d.store.Deletions(ctx, after, deletionsPerRead)
		if err != nil {
			return err
		}
		for _, each := range some {
			after = each.UserID
			if each.At.After(d.now()) {
				continue
			}
			if err := d.erase(ctx, each.UserID); err != nil {
				return err
			}
		}
		if len(some) < deletionsPerRead {
			return nil
		}
	}
}

func (d *Deletions) erase(ctx context.Context, userID int64) error {
	err := d.users.eraseBy(ctx, userID, d.store.EraseDeleted)
	if errors.Is(err, storage.ErrNotFound) {
		return nil // taken back, or erased by somebody else
	}
	if err != nil {
		return err
	}
	d.noteErased(ctx, userID)
	return nil
}

func (d *Deletions) noteErased(ctx context.Context, userID int64) {
	d.metrics.erasedOwn.Inc()
	d.log.InfoContext(ctx, "a user was erased at their own request", "user", userID)
}
