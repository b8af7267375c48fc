package authn

import (
	"context"
	"strings"
	"time"

	"wxgate/storage"
)

// stateStore tells what this state of the store issued from what a lost one did.
type stateStore interface {
	ID() string
	Epoch() string
	Issued(ctx context.Context, epoch string, at time.Time) (bool, error)
}

// state is the claim store of what is issued now: see stateOf.
func (a *Authn) state() string { return a.store.ID() + "." + a.store.Epoch() }

// stateOf is the claim store of a session's current token: the id of the store and, behind a dot, that of the epoch in
// which the token was issued. The same token is given again after a restart, whose own epoch may not be on the disk yet.
// Tokens from before there were epochs have the id alone.
func (a *Authn) stateOf(s storage.Session) string {
	if s.Epoch == "" {
		return a.store.ID()
	}
	return a.store.ID() + "." + s.Epoch
}

// wantOurState returns ErrTokenRevoked for a token that was issued by a state of the store that is gone: of a folder that
// was wiped, restored, or put back as it was before. The ids in it may be those of other people now.
func (a *Authn) wantOurState(ctx context.Context, c *Claims) error {
	id, epoch, _ := strings.Cut(c.Store, ".")
	if id == a.store.ID() {
		issued, err := a.store.Issued(ctx, epoch, time.Unix(c.IssuedAt, 0))
		if err != nil || issued {
			return err
		}
	}
	a.lost.Do(func() {
		a.log.WarnContext(ctx, "A TOKEN OF A LOST STATE OF THE STORE WAS REFUSED, and so are all others of it. "+
			"If the data folder was put back from a backup, see `wxgate restore`")
	})
	return ErrTokenRevoked
}
