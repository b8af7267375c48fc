package authn

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/revocation"
	"wxgate/storage"
)

// scriptedFeed is a feed that fails while broken.
type scriptedFeed struct {
	broken atomic.Bool
	lost   atomic.Bool   // the store is of other data
	hang   chan struct{} // unless nil, a pull waits for something to receive
	pulls  atomic.Int64
	after  atomic.Uint64
	next   atomic.Pointer[[]storage.Revocation]
}

var errBroken = errors.New("broken")

func (f *scriptedFeed) Follow(_ context.Context, after uint64, _ int) ([]storage.Revocation, error) {
	f.pulls.Add(1)
	f.after.Store(after)
	if f.hang != nil {
		<-f.hang
	}
	if f.lost.Load() {
		return nil, storage.ErrReplaced
	}
	if f.broken.Load() {
		return nil, errBroken
	}
	if next := f.next.Swap(nil); next != nil {
		return *next, nil
	}
	return nil, nil
}

func newTestFollower(feed Feed, maxStaleness time.Duration) (*follower, *revocation.Set) {
	revoked := revocation.NewSet(func() time.Time { return time.Time{} })
	deps := Deps{Feed: feed, MaxStaleness: maxStaleness, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}
	return newFollower(deps, revoked, 7, time.Now()), revoked
}

// TestARequestAfterARestCatchesUpFirst: what is older than a second is made new before a request is decided.
func TestARequestAfterARestCatchesUpFirst(t *testing.T) {
	t.Parallel()
	feed := new(scriptedFeed)
	f, revoked := newTestFollower(feed, 10*time.Second)
	if err := f.fresh(t.Context()); err != nil || feed.pulls.Load() != 0 {
		t.Errorf("just started: %v after %d pulls", err, feed.pulls.Load())
	}
	f.began = f.began.Add(-time.Hour) // an hour passes without a request
	feed.next.Store(&[]storage.Revocation{{Seq: 9, Scope: storage.ScopeUser, ID: "3", From: time.Now(), Until: time.Now().Add(time.Hour)}})
	if err := f.fresh(t.Context()); err != nil || feed.pulls.Load() != 1 || feed.after.Load() != 7 {
		t.Errorf("after an hour: %v, %d pulls, after %d", err, feed.pulls.Load(), feed.after.Load())
	}
	if _, banned := revoked.Banned(3, time.Now()); !banned {
		t.Error("the user who was banned meanwhile is not")
	}
	f.began = f.began.Add(-2 * time.Second)
	if err := f.fresh(t.Context()); err != nil || feed.after.Load() != 9 {
		t.Errorf("later: %v, after %d, want 9", err, feed.after.Load())
	}
}

// TestAFeedThatFailsIsUnavailableInTime and no request waits for it twice.
func TestAFeedThatFailsIsUnavailableInTime(t *testing.T) {
	t.Parallel()
	feed := new(scriptedFeed)
	f, _ := newTestFollower(feed, 10*time.Second)
	feed.broken.Store(true)
	f.began = f.began.Add(-5 * time.Second)
	for range 3 {
		if err := f.fresh(t.Context()); err != nil {
			t.Errorf("after 5 s: %v", err)
		}
	}
	if n := feed.pulls.Load(); n != 1 {
		t.Errorf("three requests asked %d times, want once", n)
	}
	f.began = f.began.Add(-6 * time.Second)
	if err := f.fresh(t.Context()); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("after 11 s: %v, want ErrUnavailable", err)
	}
	if err := f.ready(); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("after 11 s it is ready: %v", err)
	}
	feed.broken.Store(false)
	f.pull(t.Context(), true)
	if err := errors.Join(f.fresh(t.Context()), f.ready()); err != nil {
		t.Errorf("after it came back: %v", err)
	}
}

// TestAStoreOfOtherDataIsRefusedAtOnce and for good, however old what is known may be.
func TestAStoreOfOtherDataIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	feed := new(scriptedFeed)
	f, _ := newTestFollower(feed, time.Hour)
	feed.lost.Store(true)
	f.began = f.began.Add(-2 * time.Second)
	for range 2 {
		if err := f.fresh(t.Context()); !errors.Is(err, storage.ErrReplaced) || !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("a request: %v, want ErrReplaced, which is ErrUnavailable", err)
		}
		if err := f.ready(); !errors.Is(err, storage.ErrReplaced) {
			t.Errorf("readiness: %v, want ErrReplaced", err)
		}
		f.caughtUp.Store(int64(f.elapsed())) // a moment ago
	}
}

// TestNoRequestWaitsForTheFailingPullsOfOthers: of many that ask at once while the feed hangs, one pulls.
func TestNoRequestWaitsForTheFailingPullsOfOthers(t *testing.T) {
	t.Parallel()
	feed := &scriptedFeed{hang: make(chan struct{})}
	f, _ := newTestFollower(feed, 10*time.Second)
	feed.broken.Store(true)
	f.began = f.began.Add(-5 * time.Second)
	var requests sync.WaitGroup
	for range 50 {
		requests.Go(func() {
			if err := f.fresh(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	feed.hang <- struct{}{} // one is there, and others wait for it or come later
	close(feed.hang)
	requests.Wait()
	if n := feed.pulls.Load(); n != 1 {
		t.Errorf("50 requests pulled %d times, want once", n)
	}
}

// TestAFailingFeedIsFollowedWithoutRequests, so that the first request after an outage is not refused.
func TestAFailingFeedIsFollowedWithoutRequests(t *testing.T) {
	t.Parallel()
	feed := new(scriptedFeed)
	f, _ := newTestFollower(feed, 10*time.Second)
	feed.broken.Store(true)
	f.began = f.began.Add(-time.Hour) // the last request was an hour ago
	f.pull(t.Context(), true)
	feed.broken.Store(false)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { f.run(ctx); close(done) }()
	for deadline := time.Now().Add(10 * time.Second); f.failing.Load() && time.Now().Before(deadline); {
		<-time.After(followEvery / 10)
	}
	if err := f.fresh(t.Context()); err != nil {
		t.Errorf("the first request: %v", err)
	}
	stop()
	<-done
}

// TestFollowingRestsWithoutRequests and goes on with them.
func TestFollowingRestsWithoutRequests(t *testing.T) {
	t.Parallel()
	feed := new(scriptedFeed)
	f, _ := newTestFollower(feed, 10*time.Second)
	f.began = f.began.Add(-time.Hour)
	f.caughtUp.Store(int64(f.elapsed()))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { f.run(ctx); close(done) }()
	<-time.After(3 * followEvery)
	if n := feed.pulls.Load(); n != 0 {
		t.Errorf("%d pulls without a request", n)
	}
	f.touch()
	for deadline := time.Now().Add(10 * time.Second); feed.pulls.Load() == 0 && time.Now().Before(deadline); {
		<-time.After(followEvery / 10)
	}
	if feed.pulls.Load() == 0 {
		t.Error("no pull after a request")
	}
	stop()
	<-done
}

func TestAStoreOfOneProcessIsNotFollowed(t *testing.T) {
	t.Parallel()
	f := newFollower(Deps{}, nil, 0, time.Now())
	f.touch()
	f.run(t.Context())
	if err := f.fresh(t.Context()); f != nil || err != nil {
		t.Errorf("got %v, %v", f, err)
	}
}

// pagedRevocations has 1,000 revocations, and notes when it was asked last.
type pagedRevocations struct {
	revocationStore

	asked time.Time
}

func (*pagedRevocations) Past() time.Time { return time.Time{} }

func (p *pagedRevocations) Revocations(_ context.Context, after uint64, limit int) (found []storage.Revocation, err error) {
	p.asked = time.Now()
	for seq := after + 1; seq <= 1000 && len(found) < limit; seq++ {
		found = append(found, storage.Revocation{Seq: seq, Scope: storage.ScopeUser, ID: "3", From: p.asked, Until: p.asked.Add(time.Hour)})
	}
	return found, nil
}

// TestWhatAStartReadsIsAsOldAsTheRead: a start may be slow after it.
func TestWhatAStartReadsIsAsOldAsTheRead(t *testing.T) {
	t.Parallel()
	store := new(pagedRevocations)
	revoked, last, asOf, err := rememberedRevocations(t.Context(), store)
	if err != nil || last != 1000 || asOf.After(store.asked) {
		t.Fatalf("%v, up to %d as of %v, read at %v", err, last, asOf, store.asked)
	}
	deps := Deps{Feed: new(scriptedFeed), Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)}
	if age := newFollower(deps, revoked, last, asOf.Add(-time.Hour)).age(); age < time.Hour {
		t.Errorf("what was read an hour ago is %v old", age)
	}
}
