package push

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/gateway/answer"
)

// TestACapturedPushDoesNotComeBackBehindAFloodOfRefusedOnes floods the memory of messages with those that a service does not
// take: one captured message again and again, or as many as there are places.
func TestACapturedPushDoesNotComeBackBehindAFloodOfRefusedOnes(t *testing.T) {
	t.Parallel()
	refuse := func() error { return answer.ErrPushRefused }
	for name, id := range map[string]func(i int) string{
		"one message": func(int) string { return "refused" }, "many messages": func(i int) string { return fmt.Sprint("refused ", i) },
	} {
		l := newDeliveries(nil, prometheus.NewRegistry(), time.Now)
		delivered := 0
		deliver := func() error { delivered++; return nil }
		for i := range maxDeliveries + 1 {
			if i == 0 {
				_ = l.deliverOnce(t.Context(), "captured", deliver)
			}
			if err := l.deliverOnce(t.Context(), id(i), refuse); !errors.Is(err, answer.ErrPushRefused) {
				t.Fatalf("%s, number %d: %v, want %v", name, i, err, answer.ErrPushRefused)
			}
		}
		if err := l.deliverOnce(t.Context(), "captured", deliver); err != nil || delivered != 1 {
			t.Errorf("%s: the captured message again: %v, delivered %d times; want once", name, err, delivered)
		}
		if len(l.known) != 1 || len(l.order) != 1 {
			t.Errorf("%s: %d and %d are remembered, want the captured one alone", name, len(l.known), len(l.order))
		}
	}
}

func TestTheMemoryOfPushesIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	l := newDeliveries(nil, prometheus.NewRegistry(), func() time.Time { return now })
	for i := range maxDeliveries + 1000 {
		if err := l.deliverOnce(t.Context(), fmt.Sprint(i), func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.known) != maxDeliveries || len(l.order) != maxDeliveries {
		t.Errorf("%d and %d are remembered, want %d", len(l.known), len(l.order), maxDeliveries)
	}
	now = now.Add(2 * maxMessageAge)
	_ = l.deliverOnce(t.Context(), "later", func() error { return nil })
	if len(l.known) != 1 {
		t.Errorf("%d are remembered when their time is over, want 1", len(l.known))
	}
}

// sharedStore is what two receivers share; it may fail.
type sharedStore struct {
	mu     sync.Mutex
	values map[string][]byte
	err    error
}

func (s *sharedStore) ChangeTemporary(_ context.Context, name string, change func([]byte) ([]byte, time.Duration, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	value, life, err := change(s.values[name])
	if err != nil {
		return err
	}
	if s.values[name] = value; life == 0 {
		delete(s.values, name)
	}
	return nil
}

// TestTwoGatewaysDeliverAMessageOnce while one of them is at it, after it was, and after a restart. One that a service did not
// take may come again.
func TestTwoGatewaysDeliverAMessageOnce(t *testing.T) {
	t.Parallel()
	shared := &sharedStore{values: map[string][]byte{}}
	open := func() *deliveries { return newDeliveries(shared, prometheus.NewRegistry(), time.Now) }
	one, two := open(), open()
	times := 0
	deliver := func() error { times++; return nil }
	err := one.deliverOnce(t.Context(), "a", func() error {
		if err := two.deliverOnce(t.Context(), "a", deliver); !errors.Is(err, errNotFromWeChat) {
			t.Errorf("a message on its way: %v, want %v", err, errNotFromWeChat)
		}
		return answer.ErrPushRefused
	})
	if !errors.Is(err, answer.ErrPushRefused) || times != 0 {
		t.Errorf("a refused message: %v, delivered %d times by the other", err, times)
	}
	for i, l := range []*deliveries{two, one, two, open()} {
		if err := l.deliverOnce(t.Context(), "a", deliver); err != nil || times != 1 {
			t.Errorf("time %d: %v, delivered %d times, want once", i, err, times)
		}
	}
	shared.err = errors.New("away")
	if err := open().deliverOnce(t.Context(), "b", deliver); err != nil || times != 2 {
		t.Errorf("without a store: %v, delivered %d times", err, times-1)
	}
}

// TestTheNoteOfAnotherGatewayOutlivesAFailureHere freezes a gateway in the midst of a delivery that fails, until its claim is
// over and another one has delivered the message, or is at it.
func TestTheNoteOfAnotherGatewayOutlivesAFailureHere(t *testing.T) {
	t.Parallel()
	shared := &sharedStore{values: map[string][]byte{}}
	open := func() *deliveries { return newDeliveries(shared, prometheus.NewRegistry(), time.Now) }
	frozen, other := open(), open()
	times := 0
	deliver := func() error { times++; return nil }
	for _, id := range []string{"delivered", "on its way"} {
		_ = frozen.deliverOnce(t.Context(), id, func() error {
			delete(shared.values, newClaim(shared, id).name) // the claim is over
			if id == "delivered" {
				return errors.Join(other.deliverOnce(t.Context(), id, deliver), answer.ErrPushRefused)
			}
			return errors.Join(newClaim(shared, id).take(t.Context()), answer.ErrPushRefused)
		})
	}
	if err := open().deliverOnce(t.Context(), "delivered", deliver); err != nil || times != 1 {
		t.Errorf("a message that another gateway has delivered: %v, delivered %d times, want once", err, times)
	}
	if err := open().deliverOnce(t.Context(), "on its way", deliver); !errors.Is(err, errNotFromWeChat) {
		t.Errorf("a message that another gateway is delivering: %v, want %v", err, errNotFromWeChat)
	}
}

// TestAClaimMeetsItself as when the answer to its commit is lost, and the store repeats it.
func TestAClaimMeetsItself(t *testing.T) {
	t.Parallel()
	shared := &sharedStore{values: map[string][]byte{}}
	claimed := newClaim(shared, "a")
	for range 2 {
		if err := claimed.take(t.Context()); err != nil {
			t.Error(err)
		}
	}
	claimed.finish(t.Context(), false)
	if err := newClaim(shared, "a").take(t.Context()); err != nil {
		t.Errorf("after it was given up: %v", err)
	}
}
