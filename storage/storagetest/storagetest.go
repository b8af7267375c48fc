// Package storagetest checks drivers against the contract of storage. Every driver passes Run.
package storagetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"wxgate/storage"
)

// Bench is a place for data, empty at first, and its clock. The test of a driver creates one for each subtest.
type Bench struct {
	Clock *Clock                         // the driver reads the time from Clock.Now, and what has passed from Clock.Ran
	Open  func() (*storage.Store, error) // opens the place; again after the store was closed

	Shared bool // other processes may have the place open at the same time
}

// Clock is a time that stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
	ran time.Duration
}

// NewClock starts at the real time, in whole milliseconds.
func NewClock() *Clock { return &Clock{now: time.Now().UTC().Truncate(time.Millisecond)} }

// Now is the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Ran is how much time has passed, whatever the clock was set to.
func (c *Clock) Ran() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ran
}

// Advance lets time pass.
func (c *Clock) Advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.ran = c.now.Add(by), c.ran+by
}

// Set sets the clock, forward or back: no time passes.
func (c *Clock) Set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// Run runs the whole suite; newBench is called once for each sub-test.
func Run(t *testing.T, newBench func(t *testing.T) Bench) {
	suites := []map[string]func(*testing.T, *fixture){
		users(), directory(), nicknames(), imports(), erasing(), sessionKeys(), sessions(), startingSessions(), maxSessions(), revocations(), lifetimes(), people(),
		clocks(), epochs(), events(), links(), temporary(), sealedFiles(), deletions(),
	}
	for _, suite := range suites {
		for name, test := range suite {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, newFixture(t, newBench(t)))
			})
		}
	}
}

// fixture is an open store and the few things that every test does with it.
type fixture struct {
	*storage.Store
	bench Bench
	t     *testing.T
	ctx   context.Context
}

func newFixture(t *testing.T, b Bench) *fixture {
	f := &fixture{bench: b, t: t, ctx: t.Context()}
	f.open()
	t.Cleanup(func() { f.must(f.Close()) })
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	store, err := f.bench.Open()
	f.must(err)
	f.Store = store
}

// reopen closes the store and opens the same place again.
func (f *fixture) reopen() {
	f.t.Helper()
	f.must(f.Close())
	f.open()
}

// sessions reads all sessions of the user.
func (f *fixture) sessions(userID int64) ([]storage.Session, error) {
	return f.Sessions(f.ctx, userID, storage.SessionCursor{}, 1<<20)
}

// pass lets time pass as a running process sees it, and the store forget.
func (f *fixture) pass(d time.Duration) {
	f.t.Helper()
	for ; d > 0; d -= time.Hour {
		f.bench.Clock.Advance(min(d, time.Hour))
		f.must(f.Forget(f.ctx))
	}
}

func (f *fixture) now() time.Time { return f.bench.Clock.Now() }

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("unexpected error: %v", err)
	}
}

// as is the login of openid with a session of that id, which lives for an hour.
func (f *fixture) as(openID, sid string) storage.Login {
	return storage.Login{
		AppID: "wx1", OpenID: openID,
		SessionKey: storage.SessionKey{Key: "key of " + sid, At: f.now()},
		Session: storage.Session{
			ID: sid, TokenID: "token of " + sid, Device: "iPhone",
			CreatedAt: f.now(), RefreshedAt: f.now(), ExpiresAt: f.now().Add(time.Hour),
		},
	}
}

func (f *fixture) login(l storage.Login) storage.LoginResult {
	f.t.Helper()
	in, err := f.Login(f.ctx, l)
	f.must(err)
	return in
}

// wantErr checks that err is the sentinel want.
func (f *fixture) wantErr(what string, err, want error) {
	f.t.Helper()
	if !errors.Is(err, want) {
		f.t.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// want compares what can be compared.
func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

// wantList compares lists.
func wantList[T comparable](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// together runs n goroutines of do at once and fails with their first error.
func together(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	var group sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		group.Go(func() { errs <- do(i) })
	}
	group.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatalf("one of %d at once: %v", n, err)
		}
	}
}

func numberedID(prefix string, i int) string { return fmt.Sprintf("%s-%06d", prefix, i) }
