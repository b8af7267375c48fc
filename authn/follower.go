package authn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/revocation"
	"wxgate/storage"
)

// Feed reads revocations that any process makes which has the store open.
type Feed interface {
	// Follow returns at most limit of those with a Seq above after, in order. It answers within a second or so.
	Follow(ctx context.Context, after uint64, limit int) ([]storage.Revocation, error)
}

const (
	followEvery = 250 * time.Millisecond
	freshFor    = time.Second      // beyond it, a request catches up before it is decided
	followIdle  = 60 * time.Second // without requests, until following rests
)

// follower keeps a set of revocations as new as a feed. A nil follower is that of a store that no other process has: the
// set is always new.
type follower struct {
	feed         Feed
	revoked      *revocation.Set
	maxStaleness time.Duration
	log          *slog.Logger
	began        time.Time // times below are since then, on the monotonic clock

	caughtUp atomic.Int64 // when the newest pull that succeeded began
	asked    atomic.Int64 // when a request asked last, to a second
	failing  atomic.Bool  // the last pull failed; requests do not wait for the next
	replaced atomic.Bool  // the store is of other data now, for good

	pulling sync.Mutex
	last    uint64 // Seq of the newest revocation that is known
}

// newFollower follows from the revocation with that Seq on: the last as of a moment.
func newFollower(deps Deps, revoked *revocation.Set, last uint64, asOf time.Time) *follower {
	if deps.Feed == nil {
		return nil
	}
	f := &follower{feed: deps.Feed, revoked: revoked, maxStaleness: deps.MaxStaleness, log: deps.Log, began: asOf, last: last}
	deps.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wxgate_revocation_feed_age_seconds", Help: "Age of what is known of revocations by other gateways.",
	}, func() float64 { return f.age().Seconds() }))
	return f
}

func (f *follower) elapsed() time.Duration { return time.Since(f.began) }

func (f *follower) age() time.Duration { return f.elapsed() - time.Duration(f.caughtUp.Load()) }

// run follows until ctx ends. It rests while nobody asks: a database that costs by use may sleep too. It does not rest
// while the feed fails, so that the first request after that is decided.
func (f *follower) run(ctx context.Context) {
	if f == nil {
		return
	}
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if needed := f.elapsed()-time.Duration(f.asked.Load()) < followIdle; needed || f.failing.Load() {
			f.pull(ctx, true)
		}
	}
}

// fresh returns nil if what is known of revocations is new enough to decide on a request, or storage.ErrUnavailable. It
// does not rest on run, whose process may have been frozen.
func (f *follower) fresh(ctx context.Context) error {
	if f == nil {
		return nil
	}
	return f.catchUp(ctx)
}

func (f *follower) catchUp(ctx context.Context) error {
	f.touch()
	if f.age() < freshFor && !f.replaced.Load() {
		return nil
	}
	if !f.failing.Load() {
		f.pull(context.WithoutCancel(ctx), false) // others wait for it too
	}
	return f.tooOld()
}

// tooOld returns storage.ErrUnavailable if what is known of revocations is older than it may be, or of other data.
func (f *follower) tooOld() error {
	if f.replaced.Load() {
		return storage.ErrReplaced
	}
	if age := f.age(); age > f.maxStaleness {
		return fmt.Errorf("what is known of revocations is %v old: %w", age.Round(time.Second), storage.ErrUnavailable)
	}
	return nil
}

// ready returns nil unless requests are refused. At rest nothing is wrong.
func (f *follower) ready() error {
	if f == nil || !f.failing.Load() {
		return nil
	}
	return f.tooOld()
}

// touch says that somebody depends on the set.
func (f *follower) touch() {
	if f == nil {
		return
	}
	if now := int64(f.elapsed()); now-f.asked.Load() > int64(freshFor) {
		f.asked.Store(now)
	}
}

// pull reads what is new. Unless it shall retry, it leaves a feed alone that fails: of the requests that waited for the
// pull of another, none waits for a second.
func (f *follower) pull(ctx context.Context, retry bool) {
	f.pulling.Lock()
	defer f.pulling.Unlock()
	if f.age() < followEvery/2 || f.failing.Load() && !retry {
		return // somebody has pulled meanwhile
	}
	for {
		begun := f.elapsed()
		some, err := f.feed.Follow(ctx, f.last, revocationsPerRead)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, storage.ErrReplaced) {
			f.replaced.Store(true)
		}
		if failing := err != nil; f.failing.Swap(failing) != failing {
			f.tell(ctx, err)
		}
		if err != nil {
			return
		}
		f.revoked.Add(some...)
		if len(some) > 0 {
			f.last = some[len(some)-1].Seq
		}
		if len(some) < revocationsPerRead {
			f.caughtUp.Store(int64(begun))
			return
		}
	}
}

// tell logs when following begins to fail, and when it works again.
func (f *follower) tell(ctx context.Context, err error) {
	if errors.Is(err, storage.ErrReplaced) {
		f.log.ErrorContext(ctx, "requests with tokens are refused", "error", err)
		return
	}
	if err != nil {
		f.log.WarnContext(ctx, "revocations by other gateways cannot be read", "error", err, "requests_go_on_for", f.maxStaleness.String())
		return
	}
	f.log.InfoContext(ctx, "revocations by other gateways are read again", "after", f.age().Round(time.Millisecond).String())
}
