package authn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"wxgate/authn/wechat"
	"wxgate/secret"
	"wxgate/storage"
)

// ErrSigningKeyStale is an ErrSessionKeyStale without data: there is no session_key to sign with, or WeChat has refused the
// newest one. The remedy is one wx.login and a login with its code, and then the same request again.
var ErrSigningKeyStale = fmt.Errorf("%w: and none signs for the user any more", ErrSessionKeyStale)

// staleKeyLife is how long a refused session_key is remembered. WeChat's own die within days.
const staleKeyLife = 7 * 24 * time.Hour

// temporaryStore remembers for a while.
type temporaryStore interface {
	Temporary(ctx context.Context, name string) ([]byte, error)
	ChangeTemporary(ctx context.Context, name string, change func(value []byte) (next []byte, life time.Duration, err error)) error
}

// SigningKey is a user's newest session_key, which signs what WeChat checks against the user's login.
type SigningKey struct{ key *secret.Text } // behind a pointer, so that a struct printed with one in it shows no key

// Sign returns the login-state signature of data, byte for byte: wechat.HMACSignature.
func (k SigningKey) Sign(data string) string { return wechat.HMACSignature(data, k.key.Reveal()) }

// staleName is the name of the note that a key was refused. A session_key is random, so its hash says nothing.
func (k SigningKey) staleName() string {
	sum := sha256.Sum256([]byte(k.key.Reveal()))
	return "stale session_key " + hex.EncodeToString(sum[:])
}

// SigningKey returns the user's newest session_key. appID, unless it is empty, must be the mini-program of the user. The
// error is ErrSigningKeyStale if there is none or WeChat has refused it, a *FieldError, or one of the store.
func (o *OpenData) SigningKey(ctx context.Context, userID int64, appID string) (SigningKey, error) {
	of, _, key, err := o.newestKey(ctx, userID)
	switch {
	case errors.Is(err, ErrSessionKeyStale):
		return SigningKey{}, ErrSigningKeyStale
	case err != nil:
		return SigningKey{}, err
	case appID != "" && appID != of.id:
		return SigningKey{}, &FieldError{"appid", "不是该用户的小程序"}
	}
	text := secret.Text(key)
	return o.unlessStale(ctx, SigningKey{&text})
}

// SigningKeyOf is SigningKey for the user with an openid.
func (o *OpenData) SigningKeyOf(ctx context.Context, appID, openID string) (SigningKey, error) {
	user, err := o.store.UserByOpenID(ctx, appID, openID)
	if err != nil {
		return SigningKey{}, err
	}
	return o.SigningKey(ctx, user.ID, appID)
}

func (o *OpenData) unlessStale(ctx context.Context, key SigningKey) (SigningKey, error) {
	switch _, err := o.store.Temporary(ctx, key.staleName()); {
	case errors.Is(err, storage.ErrNotFound):
		return key, nil
	case err != nil:
		return SigningKey{}, fmt.Errorf("looking for a refused session_key: %w", err)
	}
	return SigningKey{}, ErrSigningKeyStale
}

// MarkStale remembers that WeChat refuses a key, until the user logs in and has another one.
func (o *OpenData) MarkStale(ctx context.Context, key SigningKey) error {
	err := o.store.ChangeTemporary(context.WithoutCancel(ctx), key.staleName(), func([]byte) ([]byte, time.Duration, error) {
		return []byte{}, staleKeyLife, nil
	})
	if err != nil {
		return fmt.Errorf("remembering a refused session_key: %w", err)
	}
	return nil
}
