package authn

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"wxgate/authn/wechat"
	"wxgate/storage"
)

// A code may come to two gateways: a phone that resends it does not choose. Where several share a store, a login notes under
// a hash of its code who logged in, in its own transaction, and the other gateway gives the same answer.

const (
	elsewhereWait  = 2 * time.Second       // for a login whose code another gateway has just used
	elsewhereFirst = 20 * time.Millisecond // before it is looked for again; twice as long each time
)

// shares reports whether other gateways have the same store.
func (a *Authn) shares() bool { return a.others != nil }

// outcome is under which name the login of a code is found.
func (a *Authn) outcome(key codeKey) storage.Outcome {
	if !a.shares() {
		return storage.Outcome{} // codes remembers it
	}
	return storage.Outcome{Name: hex.EncodeToString(key[:]), Life: replayFor}
}

// exchange asks WeChat whose code it is, unless another gateway has just logged in with it. A store that does not answer
// ends it before the code is used up.
func (a *Authn) exchange(ctx context.Context, of *app, code string, key codeKey) (wechat.Session, *storage.LoginResult, error) {
	if in, err := a.loginElsewhere(ctx, key); in != nil || err != nil {
		return wechat.Session{}, in, err
	}
	exchanged, err := of.exchange(ctx, code)
	if errors.Is(err, ErrCodeUsed) {
		if in := a.awaitElsewhere(ctx, key); in != nil {
			return wechat.Session{}, in, nil
		}
	}
	return exchanged, nil, err
}

// loginElsewhere returns the login of another gateway with that code, nil if there is none that counts.
func (a *Authn) loginElsewhere(ctx context.Context, key codeKey) (*storage.LoginResult, error) {
	if !a.shares() {
		return nil, nil
	}
	if err := a.others.fresh(ctx); err != nil {
		return nil, err
	}
	in, err := a.store.LoginOf(ctx, a.outcome(key).Name)
	if err == nil {
		err = errors.Join(a.Users.refuseBanned(in.Account), a.Users.refuseBanned(in.User.ID))
	}
	switch {
	case errors.Is(err, storage.ErrNotFound), errors.Is(err, ErrUserBanned): // WeChat says the rest
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking for a login elsewhere: %w", err)
	}
	return &in, nil
}

// awaitElsewhere returns the login of another gateway that has used up the code. It waits for a while if there is one that may
// be about to write it down.
func (a *Authn) awaitElsewhere(ctx context.Context, key codeKey) *storage.LoginResult {
	if !a.shares() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, elsewhereWait)
	defer cancel()
	alone, err := a.store.Alone(ctx) // before the login is looked for: one that has left has written it
	for pause := elsewhereFirst; err == nil; pause *= 2 {
		var in *storage.LoginResult
		if in, err = a.loginElsewhere(ctx, key); in != nil || alone {
			return in
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
	return nil
}
