package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"wxgate/storage"
)

// joinEvery is how often a gateway says that it is there.
const joinEvery = 30 * time.Second

// joinGateways refuses keys that do not fit those of the other gateways of the store, and tells those of ours.
func (s *Service) joinGateways(ctx context.Context, keys [][]byte) error {
	if s.feed == nil {
		return nil // there are no others
	}
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	return storage.JoinGateways(ctx, s.store, host, keys)
}

// checkKeys refuses a change to keys that do not fit those of the other gateways. Without an answer of the store nobody
// knows, and stayJoined tells later.
func (s *Service) checkKeys(keys [][]byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.joinGateways(ctx, keys); errors.Is(err, storage.ErrOtherKeys) {
		return err
	}
	return nil
}

// stayJoined says so until the service closes, or the store is of other data, which ends it.
func (s *Service) stayJoined(ctx context.Context) error {
	if err := s.joinGateways(ctx, s.authn.Tokens.Keys().Materials()); err != nil {
		return fmt.Errorf("joining the other gateways: %w", err)
	}
	if s.feed == nil {
		return nil
	}
	s.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = storage.LeaveGateways(ctx, s.store) // else it ends by itself
		return nil
	})
	s.follow(context.WithoutCancel(ctx), func(ctx context.Context) {
		ticker := time.NewTicker(joinEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			err := s.joinGateways(ctx, s.authn.Tokens.Keys().Materials())
			switch {
			case errors.Is(err, storage.ErrReplaced), errors.Is(err, storage.ErrIncomplete): // we were frozen, or cut off
				s.replaced <- err
				return
			case errors.Is(err, storage.ErrOtherKeys), errors.Is(err, storage.ErrOtherSealing):
				s.log.Error("the keys of another gateway do not fit ours", "error", err)
			}
		}
	})
	return nil
}
