package badger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"wxgate/storage"
)

// serverTokenRecord is WeChat's access_token of one mini-program, as it lies sealed on the disk.
type serverTokenRecord struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// SaveServerToken remembers WeChat's access_token of a mini-program, sealed, until it expires.
func (s *Store) SaveServerToken(ctx context.Context, appID, token string, expires time.Time) error {
	err := s.write(ctx, opSaveServerToken, func(v *view) error {
		plain, err := json.Marshal(serverTokenRecord{token, expires})
		if err != nil {
			return err
		}
		key := serverTokenKey(appID)
		return v.put(key, s.sealer.seal(key, plain))
	})
	if err != nil {
		return fmt.Errorf("remembering a server token: %w", err)
	}
	return nil
}

// ServerToken returns WeChat's access_token of a mini-program; an empty one is none.
func (s *Store) ServerToken(ctx context.Context, appID string) (token string, expires time.Time, err error) {
	var record serverTokenRecord
	err = s.read(ctx, opServerToken, func(v *view) error {
		key := serverTokenKey(appID)
		sealed, err := v.get(key)
		if errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		plain, err := s.sealer.open(key, sealed)
		if err != nil {
			return err
		}
		return json.Unmarshal(plain, &record)
	})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("reading a server token: %w", err)
	}
	return record.Token, record.Expires, nil
}
