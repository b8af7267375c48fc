package once

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"wxgate/storage"
	"wxgate/storage/badger"
)

// sharedStore is what several gateways share; it may fail.
type sharedStore struct {
	mu     sync.Mutex
	values map[string][]byte
	writes int
	alone  bool // no other process has it
	err    error
}

func (s *sharedStore) Shared() bool { return !s.alone }

func newSharedStore() *sharedStore { return &sharedStore{values: map[string][]byte{}} }

func (s *sharedStore) Temporary(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, found := s.values[name]
	if s.err == nil && !found {
		return nil, storage.ErrNotFound
	}
	return bytes.Clone(value), s.err
}

func (s *sharedStore) ChangeTemporary(_ context.Context, name string, change func([]byte) ([]byte, time.Duration, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.writes++
	value, life, err := change(s.values[name])
	if err != nil {
		return err
	}
	if s.values[name] = value; life == 0 {
		delete(s.values, name)
	}
	return nil
}

// forget drops a claim, as the store does when its time is over.
func (s *sharedStore) forget(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, newClaim(s, "test", key).lease)
}

func newCounter() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: "repeated", Help: "."})
}

func open(store Store) *Deliveries { return New(store, "test", newCounter(), time.Now) }

// within is a context of a delivery.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

var errRefused = errors.New("the service refused")

// service counts what reaches it.
type service struct {
	mu      sync.Mutex
	times   int
	repeats int
	err     error
}

func (s *service) send(_ context.Context, repeat bool) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times++
	if repeat {
		s.repeats++
	}
	return fmt.Append(nil, "answer ", s.times), s.err
}

func TestARepetitionGetsTheAnswerOfTheFirst(t *testing.T) {
	t.Parallel()
	shared := newSharedStore()
	var s service
	one, two := open(shared), open(shared)
	for i, d := range []*Deliveries{one, one, two, open(shared)} { // here, elsewhere, and after a restart
		answer, err := d.Deliver(within(t, 30*time.Second), "a", s.send)
		if string(answer) != "answer 1" || err != nil || s.times != 1 || s.repeats != 0 {
			t.Errorf("time %d: %q, %v; delivered %d times, %d of them as repeats", i, answer, err, s.times, s.repeats)
		}
	}
	if answer, err := one.Deliver(within(t, 30*time.Second), "b", s.send); string(answer) != "answer 2" || err != nil {
		t.Errorf("something else: %q, %v", answer, err)
	}
}

// TestARepetitionOnlyReads what the store knows: it queues behind no write.
func TestARepetitionOnlyReads(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{false, true} {
		shared := newSharedStore()
		shared.alone = alone
		var s service
		if _, err := open(shared).Deliver(within(t, 30*time.Second), "a", s.send); err != nil {
			t.Fatal(err)
		}
		before := shared.writes
		if answer, err := open(shared).Deliver(within(t, 30*time.Second), "a", s.send); err != nil || string(answer) != "answer 1" || shared.writes != before {
			t.Errorf("%s, %v, after %d writes more; want none", answer, err, shared.writes-before)
		}
	}
}

// TestARepetitionWaitsForTheFirst on the same gateway and on another.
func TestARepetitionWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	shared := newSharedStore()
	one, two := open(shared), open(shared)
	began, release := make(chan struct{}), make(chan struct{})
	type result struct {
		answer string
		err    error
	}
	results := make(chan result, 3)
	deliver := func(d *Deliveries, send Send) {
		answer, err := d.Deliver(within(t, 10*time.Second), "a", send)
		results <- result{string(answer), err}
	}
	go deliver(one, func(context.Context, bool) ([]byte, error) {
		close(began)
		<-release
		return []byte("taken"), nil
	})
	<-began
	var again service
	go deliver(one, again.send)
	go deliver(two, again.send)
	if _, err := two.Deliver(within(t, 50*time.Millisecond), "a", again.send); !errors.Is(err, ErrUnderWay) {
		t.Errorf("one that cannot wait: %v, want %v", err, ErrUnderWay)
	}
	close(release)
	for range 3 {
		if r := <-results; r != (result{"taken", nil}) {
			t.Errorf("got %+v", r)
		}
	}
	if again.times != 0 {
		t.Errorf("delivered %d times more", again.times)
	}
}

// TestAnAttemptThatMayHaveArrivedMakesARepeat when the service refused, when the process ended, and when nobody can know.
func TestAnAttemptThatMayHaveArrivedMakesARepeat(t *testing.T) {
	t.Parallel()
	shared := newSharedStore()
	refusing := service{err: errRefused}
	if _, err := open(shared).Deliver(within(t, 30*time.Second), "refused", refusing.send); !errors.Is(err, errRefused) || refusing.repeats != 0 {
		t.Errorf("%v, %d repeats", err, refusing.repeats)
	}
	ended := newClaim(shared, "test", "ended") // and nothing more of that process
	if _, repeat, err := ended.take(within(t, 30*time.Second)); repeat || err != nil {
		t.Errorf("a first attempt: %t, %v", repeat, err)
	}
	shared.forget("ended")
	for _, key := range []string{"refused", "ended"} {
		var s service
		for range 2 {
			if _, err := open(shared).Deliver(within(t, 30*time.Second), key, s.send); err != nil || s.times != 1 || s.repeats != 1 {
				t.Errorf("%s: %v, delivered %d times, %d of them as repeats; want once, as one", key, err, s.times, s.repeats)
			}
		}
	}
	shared.err = errors.New("away")
	var s service
	d := open(shared)
	for range 2 {
		if _, err := d.Deliver(within(t, 30*time.Second), "unknown", s.send); err != nil || s.times != 1 || s.repeats != 1 {
			t.Errorf("without a store: %v, delivered %d times, %d of them as repeats; want once, as one", err, s.times, s.repeats)
		}
	}
}

// TestTheNoteOfAnotherGatewayOutlivesAFailureHere freezes a gateway in the midst of a delivery that fails, until its claim is
// over and another one has delivered, or is at it.
func TestTheNoteOfAnotherGatewayOutlivesAFailureHere(t *testing.T) {
	t.Parallel()
	shared := newSharedStore()
	frozen, other := open(shared), open(shared)
	var s service
	for _, key := range []string{"delivered", "under way"} {
		_, err := frozen.Deliver(within(t, 30*time.Second), key, func(ctx context.Context, _ bool) ([]byte, error) {
			shared.forget(key)
			if key == "delivered" {
				_, err := other.Deliver(ctx, key, s.send)
				return nil, errors.Join(err, errRefused)
			}
			_, repeat, err := newClaim(shared, "test", key).take(ctx)
			if !repeat {
				t.Error("the attempt of the frozen one is forgotten")
			}
			return nil, errors.Join(err, errRefused)
		})
		if !errors.Is(err, errRefused) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := open(shared).Deliver(within(t, 30*time.Second), "delivered", s.send); err != nil || s.times != 1 {
		t.Errorf("what another gateway has delivered: %v, delivered %d times, want once", err, s.times)
	}
	if _, err := open(shared).Deliver(within(t, 50*time.Millisecond), "under way", s.send); !errors.Is(err, ErrUnderWay) {
		t.Errorf("what another gateway is delivering: %v, want %v", err, ErrUnderWay)
	}
}

// TestAClaimMeetsItself as when the answer to its commit is lost, and the store repeats it.
func TestAClaimMeetsItself(t *testing.T) {
	t.Parallel()
	shared := newSharedStore()
	c := newClaim(shared, "test", "a")
	for range 2 {
		if _, repeat, err := c.take(within(t, 30*time.Second)); repeat || err != nil {
			t.Errorf("repeat %t, %v", repeat, err)
		}
	}
	c.giveUp(t.Context())
	if _, repeat, err := newClaim(shared, "test", "a").take(within(t, 30*time.Second)); !repeat || err != nil {
		t.Errorf("after it was given up: repeat %t, %v", repeat, err)
	}
}

func TestAProofIsOfOneThing(t *testing.T) {
	t.Parallel()
	shared := newSharedStore()
	for i, row := range []struct {
		key  string
		want bool
	}{{"a", true}, {"a", true}, {"b", false}, {"a", true}} {
		if got := open(shared).Bind(t.Context(), "signature", row.key, time.Minute); got != row.want {
			t.Errorf("time %d, %s: %t", i, row.key, got)
		}
	}
	shared.err = errors.New("away")
	if !open(shared).Bind(t.Context(), "signature", "b", time.Minute) {
		t.Error("a store that is away refuses")
	}
}

// TestAProcessThatIsAloneWaitsForNobody who ended in the midst: it is the next one.
func TestAProcessThatIsAloneWaitsForNobody(t *testing.T) {
	t.Parallel()
	alone := newSharedStore()
	alone.alone = true
	if _, _, err := newClaim(alone, "test", "a").take(within(t, 30*time.Second)); err != nil {
		t.Fatal(err)
	}
	var s service
	if _, err := open(alone).Deliver(within(t, 50*time.Millisecond), "a", s.send); err != nil || s.repeats != 1 || len(alone.values) != 1 {
		t.Errorf("%v, %d repeats, %d values", err, s.repeats, len(alone.values))
	}
}

func TestAPanicEndsNoWaiting(t *testing.T) {
	t.Parallel()
	d := open(newSharedStore())
	func() {
		defer func() { _ = recover() }()
		_, _ = d.Deliver(within(t, 30*time.Second), "a", func(context.Context, bool) ([]byte, error) { panic("a fault") })
	}()
	var s service
	ctx := within(t, 10*time.Second) // the claim of the one that panicked ends
	d.store.(*sharedStore).forget("a")
	if _, err := d.Deliver(ctx, "a", s.send); err != nil || s.repeats != 1 {
		t.Errorf("%v, %d repeats", err, s.repeats)
	}
}

// TestMemoryIsBounded and holds only what the store does not know.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	shared := newSharedStore()
	repeated := newCounter()
	d := New(shared, "test", repeated, func() time.Time { return now })
	var s service
	if _, err := d.Deliver(within(t, 30*time.Second), "noted", s.send); err != nil || len(d.noted)+len(d.underWay) != 0 {
		t.Errorf("%v; memory has %d and %d beside the store", err, len(d.noted), len(d.underWay))
	}
	shared.err = errors.New("away")
	for i := range maxRemembered + 10 {
		for range 2 {
			if _, err := d.Deliver(within(t, 30*time.Second), fmt.Sprint(i), s.send); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(d.noted) != maxRemembered || len(d.order) != maxRemembered || s.times != maxRemembered+11 || testutil.ToFloat64(repeated) != maxRemembered+10 {
		t.Errorf("%d and %d are remembered, %d delivered, %v repeated", len(d.noted), len(d.order), s.times, testutil.ToFloat64(repeated))
	}
	now = now.Add(RememberFor)
	if _, err := d.Deliver(within(t, 30*time.Second), "later", s.send); err != nil || len(d.noted) != 1 {
		t.Errorf("%v; %d are remembered when their time is over, want 1", err, len(d.noted))
	}
}

// TestTheLongestAnswerIsGivenAgain from a real store, after a restart.
func TestTheLongestAnswerIsGivenAgain(t *testing.T) {
	t.Parallel()
	cfg := storage.DefaultConfig()
	cfg.Badger.Dir = t.TempDir()
	store, err := badger.Open(cfg, prometheus.NewRegistry(), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	times := 0
	for range 2 {
		answer, err := open(store).Deliver(within(t, 10*time.Second), "a", func(context.Context, bool) ([]byte, error) {
			times++
			return make([]byte, MaxAnswer), nil
		})
		if len(answer) != MaxAnswer || err != nil || times != 1 {
			t.Errorf("%d bytes, %v, delivered %d times; want %d, once", len(answer), err, times, MaxAnswer)
		}
	}
}
