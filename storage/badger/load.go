package badger

import (
	"errors"
	"fmt"
	"slices"

	"wxgate/storage"
)

// loader writes records of another data set.
type loader struct {
	*view
	d *database
}

// load writes one.
func (l loader) load(r storage.Record) error {
	switch r.Kind {
	case storage.KindHeader:
		return decoded(r, l.loadHeader)
	case storage.KindUser:
		return decoded(r, l.loadUser)
	case storage.KindSecret:
		if !slices.Contains([]byte{prefixRing, prefixPhone, prefixServer}, (r.Name + "\x00")[0]) {
			return fmt.Errorf("a secret of an unknown kind: %w", storage.ErrDamaged)
		}
		return l.PutSecret(r.Name, r.Data)
	case storage.KindSession:
		return decoded(r, l.loadSession)
	case storage.KindRevocation:
		return decoded(r, l.loadRevocation)
	case storage.KindEvents:
		return decoded(r, func(e storage.UserEvents) error { return l.PutEvents(e.UserID, e.Waiting) })
	case storage.KindEpoch:
		return decoded(r, l.loadEpoch)
	case storage.KindDeletion:
		return decoded(r, l.PutDeletion)
	}
	return fmt.Errorf("this wxgate does not know %v: %w", r.Kind, storage.ErrNewerSchema)
}

func decoded[T any](r storage.Record, load func(T) error) error {
	var value T
	if err := r.Decode(&value); err != nil {
		return err
	}
	return load(value)
}

// loadHeader runs in the writer, whose horizon it is.
func (l loader) loadHeader(h storage.Header) error {
	if err := l.noteKeys(h); err != nil {
		return err
	}
	if h.Horizon.At.Before(l.horizon.At) {
		l.horizon, l.d.forgetting.horizon = h.Horizon, h.Horizon
	}
	_, err := l.count(func(c *counters) {
		c.Users, c.Revocations = max(c.Users, h.Users), max(c.Revocations, h.Revocations)
	})
	return err
}

// noteKeys notes which keys the secrets to come may be sealed with.
func (l loader) noteKeys(h storage.Header) error {
	if err := h.WantKeys(l.d.sealer); err != nil {
		return err
	}
	return l.d.changeKeys(func(was storage.KeyChecks) storage.KeyChecks { return was.Join(h.KeyChecks) })
}

func (l loader) loadUser(u storage.UserRecord) error {
	if u.ID < 1 {
		return fmt.Errorf("a user with the id %d: %w", u.ID, storage.ErrDamaged)
	}
	known, err := userRecordOf(l.view, u.ID)
	isKnown := err == nil
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	if isKnown && u.Erased != known.Erased || isKnown && (known.AppID != u.AppID || known.OpenID != u.OpenID) {
		return fmt.Errorf("user %d: %w", u.ID, storage.ErrConflict)
	}
	if u.Erased {
		if _, err := l.count(func(c *counters) { c.Users = max(c.Users, uint64(u.ID)) }); err != nil {
			return err
		}
		return putUserRecord(l.view, storage.UserRecord{User: storage.User{ID: u.ID}, Erased: true})
	}
	if isKnown {
		return l.PutUser(known.User, u.User)
	}
	if other, err := l.UserByOpenID(u.AppID, u.OpenID); err == nil {
		return fmt.Errorf("the openid of user %d is that of user %d: %w", u.ID, other.ID, storage.ErrConflict)
	} else if !errors.Is(err, storage.ErrNotFound) {
		return err
	}
	return l.AddUser(u.User)
}

// loadSession puts the session and its index as PutSession does. No token of it is issued here, so no epoch is noted.
func (l loader) loadSession(s storage.SessionRecord) error {
	if err := l.putJSON(sessionKey(s.ID), s); err != nil {
		return err
	}
	if s.Ended {
		l.delete(deviceKey(s.UserID, s.ID))
		return nil
	}
	return l.put(deviceKey(s.UserID, s.ID), deviceOf(s.Session).encode())
}

func (l loader) loadRevocation(r storage.Revocation) error {
	var known storage.Revocation
	err := l.getJSON(numbered(prefixRevoked, r.Seq), &known)
	switch {
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return err
	case known.Scope != r.Scope || known.ID != r.ID:
		return fmt.Errorf("revocation %d is another: %w", r.Seq, storage.ErrConflict)
	}
	if _, err := l.count(func(c *counters) { c.Revocations = max(c.Revocations, r.Seq) }); err != nil {
		return err
	}
	return l.putJSON(numbered(prefixRevoked, r.Seq), r)
}

// loadEpoch puts an epoch of another data set below the newest, which may be that of this process.
func (l loader) loadEpoch(e storage.EpochRecord) error {
	for _, key := range l.keys(string(prefixEpoch), "") {
		var known epochRecord
		if err := l.getJSON(key, &known); err != nil {
			return err
		}
		if known.ID == e.ID {
			known.Until, known.Expires = later(known.Until, e.Until), later(known.Expires, e.Expires)
			return l.putJSON(key, known)
		}
	}
	reached, newest, err := l.newestEpoch()
	if err != nil {
		return err
	}
	at := reached.Epochs
	if newest != (epochRecord{}) {
		if err := l.putJSON(numbered(prefixEpoch, at+1), newest); err != nil {
			return err
		}
	} else {
		at++
	}
	if _, err := l.count(func(c *counters) { c.Epochs++ }); err != nil {
		return err
	}
	return l.putJSON(numbered(prefixEpoch, at), epochRecord(e))
}
