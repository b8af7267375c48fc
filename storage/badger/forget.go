package badger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wxgate/storage"
)

const (
	forgetEvery = time.Minute
	forgetReads = 4096 // records that are looked at in one go
	forgetMost  = 1024 // and deleted
)

// forgetful is what forgetting knows; only the writer uses it, but for past.
type forgetful struct {
	horizon storage.Horizon
	ran     time.Duration // when the horizon was advanced last, on the monotonic clock
	wall    time.Time     // and what the wall clock said
	cursor  string        // the key to go on from
}

// begin takes up the horizon of the newest commit and says what is odd about the clock.
func (s *Store) beginForgetting(reached counters) {
	now := s.now()
	s.forgetting = forgetful{horizon: reached.horizon(now), ran: s.ran(), wall: now}
	s.past.Store(s.forgetting.horizon.Past(now).UnixMilli())
	lead := now.Sub(s.forgetting.horizon.At)
	if lead > 24*time.Hour {
		s.log.Warn("THE CLOCK IS FAR AHEAD OF WHEN THIS STORE WAS LAST WRITTEN: was it off that long, or is the clock wrong? "+
			"Until that is certain no ban and no logout is forgotten", "ahead", lead.Round(time.Second).String())
	}
	if behind := time.UnixMilli(reached.Latest).Sub(now); behind > time.Minute {
		s.log.Warn("THE CLOCK IS BEHIND THE LAST WRITE OF THIS STORE: tokens issued since then are of the future and refused",
			"behind", behind.Round(time.Second).String())
	}
}

// Past is the time before which whatever ended is forgotten.
func (s *Store) Past() time.Time { return time.UnixMilli(s.past.Load()) }

// Forget deletes some of what is over by the horizon: ended and expired sessions, revocations, epochs. The store calls it
// every minute.
func (s *Store) Forget(ctx context.Context) error {
	if err := s.write(ctx, opForget, s.forgetSome); err != nil {
		return fmt.Errorf("forgetting what is over: %w", err)
	}
	return nil
}

// forgetter calls Forget until the store closes.
func (s *Store) forgetter() {
	defer close(s.forgot)
	ticker := time.NewTicker(forgetEvery)
	defer ticker.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-ticker.C:
		}
		if err := s.Forget(context.Background()); err != nil && !errors.Is(err, storage.ErrUnavailable) {
			s.log.Error("forgetting", "error", err)
		}
	}
}

// advance moves the horizon and says when the clock was set.
func (f *forgetful) advance(ran time.Duration, wall time.Time) (jump time.Duration) {
	elapsed := ran - f.ran
	jump = wall.Round(0).Sub(f.wall.Round(0)) - elapsed
	f.horizon = f.horizon.Advance(elapsed, wall)
	f.ran, f.wall = ran, wall
	return jump
}

// forgetSome deletes what is over among the next records.
func (s *Store) forgetSome(v *view) error {
	f := &s.forgetting
	if jump := f.advance(s.ran(), v.now); jump.Abs() > time.Minute {
		s.log.Warn("THE CLOCK WAS SET: bans and logouts are kept until it is certain that they are over",
			"by", jump.Round(time.Second).String())
	}
	past := f.horizon.Past(v.now)
	s.past.Store(past.UnixMilli())
	v.horizon = f.horizon
	next, err := forgetFrom(v, f.cursor, past)
	if err == nil {
		f.cursor = next
	}
	return err
}

// forgetFrom deletes what ended before past from the key from on, and returns the key to go on from.
func forgetFrom(v *view, from string, past time.Time) (next string, err error) {
	reads, deleted := 0, 0
	for _, prefix := range []byte{prefixEpoch, prefixRevoked, prefixSession} {
		if from > string(prefix+1) {
			continue
		}
		keys := v.firstKeys(string(prefix), from, forgetReads-reads)
		for _, key := range keys {
			isOver, err := v.forget(key, past)
			if err != nil {
				return "", err
			}
			reads++
			if isOver {
				deleted++
			}
			if reads == forgetReads || deleted == forgetMost {
				return key + "\x00", nil
			}
		}
	}
	return "", nil
}

// forget deletes the record if it ended before past.
func (v *view) forget(key string, past time.Time) (isOver bool, err error) {
	switch key[0] {
	case prefixEpoch:
		return v.forgetEpoch(key, past)
	case prefixSession:
		return v.forgetSession(key, past)
	}
	var r storage.Revocation
	if err := v.getJSON(key, &r); err != nil || !r.Until.Before(past) {
		return false, err
	}
	v.delete(key)
	return true, nil
}

func (v *view) forgetEpoch(key string, past time.Time) (isOver bool, err error) {
	var e epochRecord
	if err := v.getJSON(key, &e); err != nil || e.Until.IsZero() || !e.Expires.Before(past) {
		return false, err
	}
	v.delete(key)
	return true, nil
}

func (v *view) forgetSession(key string, past time.Time) (isOver bool, err error) {
	var r sessionRecord
	if err := v.getJSON(key, &r); err != nil || !r.ExpiresAt.Before(past) {
		return false, err
	}
	v.delete(key)
	if !r.Ended {
		v.delete(deviceKey(r.UserID, r.ID))
	}
	return true, nil
}
