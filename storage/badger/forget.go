package badger

import (
	"time"

	"wxgate/storage"
)

const (
	forgetReads = 4096 // records that are looked at in one go
	forgetMost  = 1024 // and deleted
)

// forgetful is the state of forgetting; only the writer uses it, except for past.
type forgetful struct {
	horizon storage.Horizon
	ran     time.Duration // when the horizon was advanced last, on the monotonic clock
	wall    time.Time     // and what the wall clock said
	cursor  string        // the key to go on from
}

// beginForgetting continues from the horizon of the newest commit and logs oddities of the clock.
func (d *database) beginForgetting(reached counters) {
	now := d.now()
	d.forgetting = forgetful{horizon: reached.horizon(now), ran: d.ran(), wall: now}
	d.past.Store(d.forgetting.horizon.Past(now).UnixMilli())
	lead := now.Sub(d.forgetting.horizon.At)
	if lead > 24*time.Hour {
		d.log.Warn("THE CLOCK IS FAR AHEAD OF WHEN THIS STORE WAS LAST WRITTEN: was it off that long, or is the clock wrong? "+
			"Until that is certain no ban and no logout is forgotten", "ahead", lead.Round(time.Second).String())
	}
	if behind := time.UnixMilli(reached.Latest).Sub(now); behind > time.Minute {
		d.log.Warn("THE CLOCK IS BEHIND THE LAST WRITE OF THIS STORE: tokens issued since then are of the future and refused",
			"behind", behind.Round(time.Second).String())
	}
}

// advance moves the horizon and logs when the clock was set.
func (f *forgetful) advance(ran time.Duration, wall time.Time) (jump time.Duration) {
	elapsed := ran - f.ran
	jump = wall.Round(0).Sub(f.wall.Round(0)) - elapsed
	f.horizon = f.horizon.Advance(elapsed, wall)
	f.ran, f.wall = ran, wall
	return jump
}

// forgetSome deletes the ended ones among the next records.
func (d *database) forgetSome(v *view) error {
	f := &d.forgetting
	if jump := f.advance(d.ran(), v.now); jump.Abs() > time.Minute {
		d.log.Warn("THE CLOCK WAS SET: bans and logouts are kept until it is certain that they are over",
			"by", jump.Round(time.Second).String())
	}
	past := f.horizon.Past(v.now)
	d.past.Store(past.UnixMilli())
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
			isOver, err := forgetRecord(v, key, past)
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

// forgetRecord deletes the record if it ended before past.
func forgetRecord(v *view, key string, past time.Time) (isOver bool, err error) {
	switch key[0] {
	case prefixEpoch:
		return forgetEpoch(v, key, past)
	case prefixSession:
		return forgetSession(v, key, past)
	}
	var r storage.Revocation
	if err := v.getJSON(key, &r); err != nil || !r.Until.Before(past) {
		return false, err
	}
	v.delete(key)
	return true, nil
}

func forgetEpoch(v *view, key string, past time.Time) (isOver bool, err error) {
	var e epochRecord
	if err := v.getJSON(key, &e); err != nil || e.Until.IsZero() || !e.Expires.Before(past) {
		return false, err
	}
	v.delete(key)
	return true, nil
}

func forgetSession(v *view, key string, past time.Time) (isOver bool, err error) {
	var r storage.SessionRecord
	if err := v.getJSON(key, &r); err != nil || !r.ExpiresAt.Before(past) {
		return false, err
	}
	v.delete(key)
	if !r.Ended {
		v.delete(deviceKey(r.UserID, r.ID))
	}
	return true, nil
}
