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

// An imported token was signed by an existing backend with our HS256 key: it names a user by sub and perhaps openid,
// and has no session. authn.accept_foreign accepts it while a team migrates its users; a refresh turns it into one of
// ours.

// importedLife is how long imported tokens may still be valid; others are refused, because "log out everywhere" is not
// remembered for longer.
const importedLife = storage.ForeignLife

// completeImported finds the user of an imported token and fills in the other claims. The user must exist already,
// under the id that the existing backend uses (`wxgate users import`): services rely on that id, and an id shared by
// two people would be worse than a login. An id that we assigned ourselves may also have been assigned to somebody
// else, by the backend or by a lost state of the store, so the openid has to identify the user.
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
	if user.Person() != user.ID {
		return token.ErrRevoked // the service knows that the id is another one now
	}
	if c.OpenID == "" && user.Native {
		t.often.Warn(lograte.Kind{Message: "foreign token without an openid, of a user who was not imported"}, "user", c.UserID)
		return token.ErrInvalid
	}
	if c.OpenID != "" && c.OpenID != user.OpenID {
		t.often.Warn(lograte.Kind{Message: "foreign token whose openid is not that of its user"}, "user", c.UserID)
		return token.ErrInvalid
	}
	c.Store, c.AppID, c.OpenID, c.UnionID, c.Nickname = t.state(), user.AppID, user.OpenID, user.UnionID, user.Nickname
	return nil
}

// endImported revokes the imported tokens of a user that were issued before now.
func (s *Sessions) endImported(ctx context.Context, userID int64, now time.Time) error {
	ended, err := s.store.Revoke(ctx, storage.Revocation{
		Scope: storage.ScopeForeign, ID: strconv.FormatInt(userID, 10), From: now, Until: now.Add(importedLife),
	})
	s.revoked.Add(ended...)
	return err
}
