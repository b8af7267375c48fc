package authn

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// slots limit the concurrent exchanges of a mini-program with WeChat. An exchange waits for a free slot, but leaves
// enough of its time for the exchange itself.
type slots struct {
	held    chan struct{} // nil: unlimited
	maxWait time.Duration
	waiting prometheus.Gauge
	waited  prometheus.Observer
}

func newSlots(count int, maxWait time.Duration, m *metrics) *slots {
	if count == 0 {
		return &slots{waiting: m.waiting, waited: m.waited}
	}
	return &slots{held: make(chan struct{}, count), maxWait: maxWait, waiting: m.waiting, waited: m.waited}
}

// acquire takes a slot; release must follow. The error is ErrBusy: nothing was sent.
func (s *slots) acquire(ctx context.Context) error {
	if s.held == nil {
		return nil
	}
	select {
	case s.held <- struct{}{}:
		s.waited.Observe(0)
		return nil
	default:
	}
	return s.wait(ctx)
}

func (s *slots) wait(ctx context.Context) error {
	s.waiting.Inc()
	defer s.waiting.Dec()
	start := time.Now()
	defer func() { s.waited.Observe(time.Since(start).Seconds()) }()
	ctx, cancel := context.WithTimeout(ctx, s.maxWait)
	defer cancel()
	select {
	case s.held <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &WeChatError{Kind: ErrBusy, Err: errors.New("too many exchanges are waiting for WeChat; see wechat.concurrency")}
	}
}

func (s *slots) release() {
	if s.held != nil {
		<-s.held
	}
}
