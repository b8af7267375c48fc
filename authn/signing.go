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

// ErrSigningKeyStale is a user without a session_key to sign with, or one whose newest WeChat has refused. The remedy is one
// wx.login and a login with its code, and then the same request again.
var ErrSigningKeyStale = errors.New("there is no session_key of the user that WeChat takes; the user has to log in again")

// staleKeyLife is how long a refused session_key is remembered. WeChat's own die within days.
const staleKeyLife = 7 * 24 * time.Hour

// temporaryStore remembers for a while.
type temporaryStore interface {
	Temporary(ctx context.Context, name string) ([]byte, error)
	ChangeTemporary(ctx context.Context, name string, change func(value []byte) (next []byte, life time.Duration, err error)) error
}

// SigningKey is a user's newest session_key, which signs what WeChat checks against the user's login.
type SigningKey struct {
	key *secret.Text // behind a pointer, so that a struct printed with one in it shows no key
	at  time.Time    // when the login that yielded it started
}

// Sign returns the login-state signature of data, byte for byte: wechat.HMACSignature.
func (k SigningKey) Sign(data string) string { return wechat.HMACSignature(data, k.key.Reveal()) }

// staleName is the name of the note that a key was refused. A session_key is random, so its hash says nothing.
func (k SigningKey) staleName() string {
	sum := sha256.Sum256([]byte(k.key.Reveal()))
	return "stale session_key " + hex.EncodeToString(sum[:])
}

// SigningKey returns the user's newest session_key. appID, unless it is empty, must be a mini-program of the user. The
// error is ErrSigningKeyStale if there is none or WeChat has refused it, a *FieldError, or one of the store.
func (o *OpenData) SigningKey(ctx context.Context, userID int64, appID string) (SigningKey, error) {
	_, _, newest, err := o.newestKey(ctx, userID, appID)
	switch {
	case errors.Is(err, ErrSessionKeyStale):
		return SigningKey{}, ErrSigningKeyStale
	case errors.Is(err, storage.ErrNotFound) && appID != "":
		if _, err := o.store.User(ctx, userID); err != nil {
			return SigningKey{}, err
		}
		return SigningKey{}, &FieldError{"appid", "不是该用户的小程序"}
	case err != nil:
		return SigningKey{}, err
	}
	return o.unlessStale(ctx, newSigningKey(newest))
}

func newSigningKey(k storage.SessionKey) SigningKey {
	text := secret.Text(k.Key)
	return SigningKey{&text, k.At}
}

// SigningKeyOf is SigningKey for the user with an openid.
func (o *OpenData) SigningKeyOf(ctx context.Context, appID, openID string) (SigningKey, error) {
	user, err := o.store.UserByOpenID(ctx, appID, openID)
	if err != nil {
		return SigningKey{}, err
	}
	return o.SigningKey(ctx, user.ID, appID)
}

// unlessStale refuses a key that WeChat has refused since it was given out: a later login may yield the same one again.
func (o *OpenData) unlessStale(ctx context.Context, key SigningKey) (SigningKey, error) {
	var refused time.Time
	text, err := o.store.Temporary(ctx, key.staleName())
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return key, nil
	case err != nil:
		return SigningKey{}, fmt.Errorf("looking for a refused session_key: %w", err)
	case refused.UnmarshalText(text) == nil && refused.Before(key.at):
		return key, nil
	}
	return SigningKey{}, ErrSigningKeyStale
}

// MarkStale remembers that WeChat refuses a key, until the user logs in again.
func (o *OpenData) MarkStale(ctx context.Context, key SigningKey) error {
	err := o.store.ChangeTemporary(context.WithoutCancel(ctx), key.staleName(), func([]byte) ([]byte, time.Duration, error) {
		text, err := o.now().MarshalText()
		return text, staleKeyLife, err
	})
	if err != nil {
		return fmt.Errorf("remembering a refused session_key: %w", err)
	}
	return nil
}
