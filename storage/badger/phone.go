package badger

import (
	"context"
	"encoding/json"
	"fmt"

	"wxgate/storage"
)

// SetPhone remembers the user's phone number, sealed; ErrNotFound when there is no such user.
func (s *Store) SetPhone(ctx context.Context, userID int64, phone storage.Phone) error {
	err := s.write(ctx, opSetPhone, func(v *view) error {
		if _, err := user(v, userID); err != nil {
			return err
		}
		plain, err := json.Marshal(phone)
		if err != nil {
			return err
		}
		key := numbered(prefixPhone, uint64(userID))
		return v.put(key, s.sealer.seal(key, plain))
	})
	if err != nil {
		return fmt.Errorf("remembering the phone number of user %d: %w", userID, err)
	}
	return nil
}

// Phone returns the user's phone number, or ErrNotFound when there is none.
func (s *Store) Phone(ctx context.Context, userID int64) (storage.Phone, error) {
	var phone storage.Phone
	err := s.read(ctx, opPhone, func(v *view) error {
		if _, err := user(v, userID); err != nil {
			return err
		}
		key := numbered(prefixPhone, uint64(userID))
		sealed, err := v.get(key)
		if err != nil {
			return err
		}
		plain, err := s.sealer.open(key, sealed)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(plain, &phone); err != nil {
			return fmt.Errorf("reading a phone number: %w", storage.ErrDamaged)
		}
		return nil
	})
	if err != nil {
		return storage.Phone{}, fmt.Errorf("reading the phone number of user %d: %w", userID, err)
	}
	return phone, nil
}
