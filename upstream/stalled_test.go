package upstream

import (
	"testing"
	"time"
)

func TestAnEndpointIsStalledWhenItOwesFiveAnswersForLongerThanUsual(t *testing.T) {
	t.Parallel()
	start := time.Unix(1e9, 0)
	for _, c := range []struct {
		says    string
		tries   int
		usual   time.Duration
		after   time.Duration
		stalled bool
	}{
		{"five for more than 100 ms", 5, time.Millisecond, 101 * time.Millisecond, true},
		{"four are few", 4, time.Millisecond, time.Second, false},
		{"100 ms is a hiccup", 5, time.Millisecond, 100 * time.Millisecond, false},
		{"a slow service takes its time", 5, 300 * time.Millisecond, time.Second, false},
		{"but not for ever", 5, 300 * time.Millisecond, 1201 * time.Millisecond, true},
	} {
		e := &endpoint{stall: stall{baseline: c.usual}}
		for range c.tries {
			e.startAttempt(start)
		}
		if got := e.stalled(start.Add(c.after)); got != c.stalled {
			t.Errorf("%s: stalled is %v", c.says, got)
		}
	}
}

func TestAnEndpointThatHasNotAnsweredYetIsAsSlowAsItsSilence(t *testing.T) {
	t.Parallel()
	start, cfg := time.Unix(1e9, 0), DefaultConfig()
	e := candidatesOf(1)[0].endpoint
	e.startAttempt(start)
	e.startAttempt(start.Add(40 * time.Millisecond))
	if got := e.scoreAt(start.Add(50*time.Millisecond), &cfg).latency; got < 0.049 || got > 0.051 {
		t.Errorf("50 ms after its first request it is %.3f s", got)
	}
}
