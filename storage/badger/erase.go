package badger

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"wxgate/storage"
)

// EraseUser removes all that is known of a user but the id, which is never given again, ends the sessions as EndSessions
// does, and revokes the user, for tokens whose session is not known here. The same person may come back, as a new user.
//
// The user is erased together with the last of the sessions: after an error what ended has ended and doing it again ends
// the rest; after ErrNotFound there is nothing left to end.
func (s *Store) EraseUser(ctx context.Context, id int64, from, until time.Time) ([]storage.Revocation, error) {
	var all []storage.Revocation
	for erased := false; !erased; {
		var ended []storage.Revocation
		err := s.write(ctx, opEraseUser, func(v *view) (err error) {
			ended, erased, err = eraseSome(v, id, from, until)
			return err
		})
		if err != nil {
			return all, fmt.Errorf("erasing user %d: %w", id, err)
		}
		all = append(all, ended...)
	}
	return all, nil
}

// eraseSome ends endsPerCommit sessions of the user and, if these were all, erases the user.
func eraseSome(v *view, id int64, from, until time.Time) (ended []storage.Revocation, erased bool, err error) {
	u, err := user(v, id)
	if err != nil {
		return nil, false, err
	}
	ended, more, err := endSome(v, id, from, until)
	if err != nil || more {
		return ended, false, err
	}
	revoked, err := revoke(v, []storage.Revocation{
		{Scope: storage.ScopeUser, ID: strconv.FormatInt(id, 10), From: from, Until: until},
	})
	if err != nil {
		return nil, false, err
	}
	return append(ended, revoked...), true, eraseRecords(v, u)
}

// eraseRecords leaves the id, and a ring and a phone number without content, which nobody reads again. The openid is part of its key, so that one is deleted.
func eraseRecords(v *view, u storage.User) error {
	v.delete(openIDKey(u.AppID, u.OpenID))
	if u.UnionID != "" {
		v.delete(unionKey(u.UnionID, u.ID))
	}
	for _, sealed := range []byte{prefixRing, prefixPhone} {
		if err := v.put(numbered(sealed, uint64(u.ID)), nil); err != nil {
			return err
		}
	}
	return putUserRecord(v, userRecord{User: storage.User{ID: u.ID}, Erased: true})
}
