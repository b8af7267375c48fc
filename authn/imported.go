package authn

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"wxgate/authn/token"
	"wxgate/lograte"
	"wxgate/storage"
)

// An imported token is one that an existing backend signed with our HS256 key: it names a user by sub and perhaps openid,
// and has no session. authn.accept_foreign takes it while a team moves its users over; a refresh turns it into ours.

// importedLife is how long the tokens of an existing backend may still live; longer ones are refused, because "log out
// everywhere" is remembered no longer.
const importedLife = 366 * 24 * time.Hour

// completeImported finds the user that an imported token speaks for and gives the claims what ours have. The user must be
// there already, under the id that the existing backend knows (`wxgate users import`): services go by that id, and an id
// that two people share would be worse than a login. An id that we gave ourselves may be one that was given to somebody
// else, by the backend or by a state of the store that is lost, so there the openid has to say who it is.
func (t *Tokens) completeImported(ctx context.Context, c *token.Claims) error {
	if c.ExpiresAt > t.now().Add(importedLife).Unix() {
		return token.ErrInvalid
	}
	if c.Purpose != "" {
		t.often.Warn(lograte.Kind{Message: "foreign token for another purpose"}, "user", c.UserID, "claim", fmt.Sprintf("%.64s", c.Purpose))
		return token.ErrInvalid
	}
	user, err := t.store.User(ctx, c.UserID)
	if errors.Is(err, storage.ErrNotFound) {
		t.often.Warn(lograte.Kind{Message: "foreign token of an unknown user"}, "user", c.UserID)
		return token.ErrInvalid
	}
	if err != nil {
		return fmt.Errorf("finding the user of a foreign token: %w", err)
	}
	if c.OpenID == "" && user.Native {
		t.often.Warn(lograte.Kind{Message: "foreign token without an openid, of a user who was not imported"}, "user", c.UserID)
		return token.ErrInvalid
	}
	if c.OpenID != "" && c.OpenID != user.OpenID {
		t.often.Warn(lograte.Kind{Message: "foreign token whose openid is not that of its user"}, "user", c.UserID)
		return token.ErrInvalid
	}
	c.Store, c.AppID, c.OpenID, c.Nickname = t.state(), user.AppID, user.OpenID, user.Nickname
	return nil
}

// endImported refuses the imported tokens of a user that were issued until now.
func (s *Sessions) endImported(ctx context.Context, userID int64, now time.Time) error {
	ended, err := s.store.Revoke(ctx, storage.Revocation{
		Scope: storage.ScopeForeign, ID: strconv.FormatInt(userID, 10), From: now, Until: now.Add(importedLife),
	})
	s.revoked.Add(ended...)
	return err
}
