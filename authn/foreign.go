package authn

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"

	"wxgate/lograte"
	"wxgate/storage"
)

// A foreign token is one that an existing backend signed with our HS256 key: it names a user by sub and perhaps openid,
// and has no session. authn.accept_foreign takes it while a team moves its users over; a refresh turns it into ours.

// foreignHeader reports whether a first segment is that of a plain HS256 token: alg and typ, no kid and nothing else that
// could choose a key.
func foreignHeader(segment string) bool {
	data, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return false
	}
	switch string(data) {
	case `{"alg":"HS256","typ":"JWT"}`, `{"typ":"JWT","alg":"HS256"}`, `{"alg":"HS256"}`:
		return true
	}
	return false
}

// adopt finds the user that a foreign token speaks for and gives the claims what ours have. The user must be there
// already, under the id that the existing backend knows (`wxgate users import`): services go by that id, and an id that
// two people share would be worse than a login. An id that we gave ourselves may be one that was given to somebody else,
// by the backend or by a state of the store that is lost, so there the openid has to say who it is.
func (a *Authn) adopt(ctx context.Context, token string, c foreignClaims) (*Claims, error) {
	if c.UserID < 1 || c.ExpiresAt < 1 || c.ExpiresAt > a.now().Add(foreignLife).Unix() {
		return nil, ErrTokenInvalid
	}
	if c.purpose != "" {
		a.often.Warn(lograte.Kind{Message: "foreign token for another purpose"}, "user", c.UserID, "claim", fmt.Sprintf("%.64s", c.purpose))
		return nil, ErrTokenInvalid
	}
	user, err := a.store.User(ctx, c.UserID)
	if errors.Is(err, storage.ErrNotFound) {
		a.often.Warn(lograte.Kind{Message: "foreign token of an unknown user"}, "user", c.UserID)
		return nil, ErrTokenInvalid
	}
	if err != nil {
		return nil, fmt.Errorf("finding the user of a foreign token: %w", err)
	}
	if c.OpenID == "" && user.Native {
		a.often.Warn(lograte.Kind{Message: "foreign token without an openid, of a user who was not imported"}, "user", c.UserID)
		return nil, ErrTokenInvalid
	}
	if c.OpenID != "" && c.OpenID != user.OpenID {
		a.often.Warn(lograte.Kind{Message: "foreign token whose openid is not that of its user"}, "user", c.UserID)
		return nil, ErrTokenInvalid
	}
	return a.adopted(token, c, user), nil
}

// adopted is the claims as a login with us would have made them. The session and the token get ids that follow from the
// token, so that logout, refresh and reuse of one token mean the same session wherever and whenever they happen.
func (a *Authn) adopted(token string, c foreignClaims, user storage.User) *Claims {
	return &Claims{
		Issuer: a.cfg.Issuer, Store: a.state(), UserID: user.ID, AppID: user.AppID, OpenID: user.OpenID, Nickname: user.Nickname,
		SessionID: idFrom("session", token), TokenID: idFrom("token", token),
		IssuedAt: max(1, min(c.IssuedAt, c.ExpiresAt-1)), ExpiresAt: c.ExpiresAt, NotBefore: c.NotBefore,
		adopted: true,
	}
}

// foreignLife is how long the tokens of an existing backend may still live; longer ones are refused, because "log out
// everywhere" is remembered no longer.
const foreignLife = 366 * 24 * time.Hour

// endForeign refuses the foreign tokens of a user that were issued until now.
func (a *Authn) endForeign(ctx context.Context, userID int64, now time.Time) error {
	ended, err := a.store.Revoke(ctx, storage.Revocation{
		Scope: storage.ScopeForeign, ID: strconv.FormatInt(userID, 10), From: now, Until: now.Add(foreignLife),
	})
	a.revoked.add(ended...)
	return err
}

// idFrom derives an id in the form of newID.
func idFrom(purpose, token string) string {
	sum := sha256.Sum256([]byte("wxgate foreign " + purpose + "\x00" + token))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}
