package push

import (
	"errors"
	"fmt"
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
		l := newDeliveries(prometheus.NewRegistry(), time.Now)
		delivered := 0
		deliver := func() error { delivered++; return nil }
		for i := range maxDeliveries + 1 {
			if i == 0 {
				_ = l.deliverOnce("captured", deliver)
			}
			if err := l.deliverOnce(id(i), refuse); !errors.Is(err, answer.ErrPushRefused) {
				t.Fatalf("%s, number %d: %v, want %v", name, i, err, answer.ErrPushRefused)
			}
		}
		if err := l.deliverOnce("captured", deliver); err != nil || delivered != 1 {
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
	l := newDeliveries(prometheus.NewRegistry(), func() time.Time { return now })
	for i := range maxDeliveries + 1000 {
		if err := l.deliverOnce(fmt.Sprint(i), func() error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.known) != maxDeliveries || len(l.order) != maxDeliveries {
		t.Errorf("%d and %d are remembered, want %d", len(l.known), len(l.order), maxDeliveries)
	}
	now = now.Add(2 * maxMessageAge)
	_ = l.deliverOnce("later", func() error { return nil })
	if len(l.known) != 1 {
		t.Errorf("%d are remembered when their time is over, want 1", len(l.known))
	}
}
