package authn

import (
	"context"
	"fmt"

	"wxgate/storage"
)

// CheckSessionKey reports whether WeChat still holds the user's newest session_key (page checkSessionKey). It is for
// operators: logins and decryption do without it.
func (a *Authn) CheckSessionKey(ctx context.Context, userID int64) (bool, error) {
	of, user, key, err := a.newestKey(ctx, userID)
	if err != nil {
		return false, err
	}
	valid, err := of.client.CheckSession(ctx, user.OpenID, key)
	if err != nil {
		return false, weChatError(err)
	}
	return valid, nil
}

// ResetSessionKey has WeChat replace the user's session_key and remembers the new one (page resetUserSessionKey): what
// to do when a key may have leaked.
func (a *Authn) ResetSessionKey(ctx context.Context, userID int64) error {
	of, user, key, err := a.newestKey(ctx, userID)
	if err != nil {
		return err
	}
	begun := a.now()
	reset, err := of.client.ResetSessionKey(ctx, user.OpenID, key)
	if err != nil {
		return weChatError(err)
	}
	_, err = a.store.Login(context.WithoutCancel(ctx), storage.Login{
		AppID: user.AppID, OpenID: user.OpenID, SessionKey: storage.SessionKey{Key: reset.SessionKey, At: begun},
	})
	if err != nil {
		return fmt.Errorf("remembering a session_key: %w", err)
	}
	return nil
}

// newestKey is the user's newest session_key and the mini-program it is of; ErrSessionKeyStale when there is none.
func (a *Authn) newestKey(ctx context.Context, userID int64) (of *app, user storage.User, key string, err error) {
	if user, err = a.store.User(ctx, userID); err != nil {
		return nil, user, "", err
	}
	if of, err = a.appOf(user.AppID); err != nil {
		return nil, user, "", err
	}
	keys, err := a.store.SessionKeys(ctx, userID)
	if err != nil {
		return nil, user, "", fmt.Errorf("reading session_keys: %w", err)
	}
	if len(keys) == 0 {
		return nil, user, "", ErrSessionKeyStale
	}
	return of, user, keys[0].Key, nil
}
