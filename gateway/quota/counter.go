package quota

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/lograte"
	"wxgate/storage"
)

// Store keeps the counts; package storage documents its methods.
type Store interface {
	Temporary(ctx context.Context, name string) ([]byte, error)
	ChangeTemporary(ctx context.Context, name string, change func(value []byte) (next []byte, life time.Duration, err error)) error
}

const (
	storeTimeout = 2 * time.Second // for one question to the store, of a request that waits for it
	spareLife    = time.Hour       // of a count after its day, for what is given back, and for clocks that differ
)

// Counter counts requests. It is safe for concurrent use.
type Counter struct {
	store   Store
	log     *lograte.Log
	now     func() time.Time
	results *prometheus.CounterVec
}

// NewCounter returns a Counter with its counts in a store.
func NewCounter(store Store, reg prometheus.Registerer, log *lograte.Log, now func() time.Time) *Counter {
	c := &Counter{store, log, now, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wxgate_quota_requests_total", Help: "Requests on routes with a quota, by what became of counting them.",
	}, []string{"quota", "result"})}
	reg.MustRegister(c.results)
	return c
}

// ErrExceeded means that nothing is left of a quota on this day. The Count that comes with it says when it ends.
var ErrExceeded = errors.New("the quota of the day is used up")

// Take counts a request of a user, or returns ErrExceeded. If the store does not answer, an open quota lets it pass
// without counting it, and any other returns an error of the store; the store may have counted it all the same.
func (c *Counter) Take(ctx context.Context, userID int64, q Quota) (Count, error) {
	count, err := c.change(ctx, userID, q, dayOf(c.now()), func(r *record, limit int64) error {
		if r.Used >= limit {
			return ErrExceeded
		}
		r.Used++
		return nil
	})
	switch {
	case err == nil:
		count.counted = true
		c.add(q, "counted")
	case errors.Is(err, ErrExceeded):
		c.add(q, "exceeded")
	case q.Open:
		c.add(q, "uncounted")
		c.log.Warn(lograte.Kind{Message: "a request was not counted against its quota"}, "quota", q.Name, "user", userID, "error", err)
		return Count{}, nil
	default:
		c.add(q, "failed")
		if !errors.Is(err, storage.ErrUnavailable) && !errors.Is(err, storage.ErrDamaged) {
			err = fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
		}
	}
	return count, err
}

// GiveBack takes back what Take has counted, on the day on which it did.
func (c *Counter) GiveBack(ctx context.Context, taken *Count) {
	after, err := c.change(ctx, taken.userID, taken.Quota, taken.day, func(r *record, _ int64) error {
		r.Used = max(0, r.Used-1)
		return nil
	})
	if err != nil {
		c.KeepCounted(taken, err)
		return
	}
	c.add(taken.Quota, "given_back")
	*taken = after
}

// KeepCounted notes that a request could not be given back, and why.
func (c *Counter) KeepCounted(taken *Count, why error) {
	c.add(taken.Quota, "kept")
	c.log.Warn(lograte.Kind{Message: "a request stays counted against its quota, although it was not answered"}, "quota", taken.Name, "user", taken.userID, "error", why)
}

// Of returns what a user has of a quota today.
func (c *Counter) Of(ctx context.Context, userID int64, q Quota) (Count, error) {
	on := dayOf(c.now())
	value, err := c.store.Temporary(ctx, recordName(userID, on, q))
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return Count{}, err
	}
	r, err := parseRecord(value)
	return c.newCount(userID, q, on, r), err
}

// Grant lets a user do something more often today, or less often if more is negative.
func (c *Counter) Grant(ctx context.Context, userID int64, q Quota, more int64) (Count, error) {
	return c.change(ctx, userID, q, dayOf(c.now()), func(r *record, _ int64) error {
		r.Granted = min(max(r.Granted+more, -most), most)
		return nil
	})
}

// record is a Count as the store has it.
type record struct {
	Used    int64 `json:"used"`
	Granted int64 `json:"granted,omitempty"`
}

func parseRecord(value []byte) (r record, err error) {
	if len(value) == 0 {
		return record{}, nil
	}
	if err := json.Unmarshal(value, &r); err != nil {
		return record{}, fmt.Errorf("the count of a quota: %w: %w", storage.ErrDamaged, err)
	}
	return r, nil
}

// recordName has at most 99 bytes; those of a user are beside each other.
func recordName(userID int64, on day, q Quota) string {
	return "quota " + strconv.FormatInt(userID, 10) + " " + on.String() + " " + q.Name
}

func (c *Counter) newCount(userID int64, q Quota, on day, r record) Count {
	return Count{Quota: q, Used: r.Used, Granted: r.Granted, day: on, userID: userID, left: max(0, on.end().Sub(c.now()))}
}

// change changes the count of a day in one transaction, unless do fails. The Count is the one after it, or, with
// ErrExceeded, the one that is used up.
func (c *Counter) change(ctx context.Context, userID int64, q Quota, on day, do func(r *record, limit int64) error) (count Count, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var after record // of the last run, which counts
	err = c.store.ChangeTemporary(ctx, recordName(userID, on, q), func(value []byte) ([]byte, time.Duration, error) {
		r, err := parseRecord(value)
		if err == nil {
			err = do(&r, c.newCount(userID, q, on, r).Limit())
		}
		if after = r; err != nil {
			return nil, 0, err
		}
		next, err := json.Marshal(r)
		return next, max(time.Millisecond, on.end().Add(spareLife).Sub(c.now())), err
	})
	if err != nil && !errors.Is(err, ErrExceeded) {
		return Count{}, err // after may still be written to
	}
	return c.newCount(userID, q, on, after), err
}

func (c *Counter) add(q Quota, result string) { c.results.WithLabelValues(q.Name, result).Inc() }
