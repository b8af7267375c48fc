package upstream

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// using is the usage of an endpoint without a socket, busy of whose connections are in use.
func using(busy *int) func() (int, bool) {
	return func() (int, bool) { return *busy, *busy >= DefaultConfig().Keepalive.MaxConns }
}

// candidatesOf are well endpoints with these weights.
func candidatesOf(weights ...int) []candidate {
	all := make([]candidate, 0, len(weights))
	for i, w := range weights {
		address := fmt.Sprintf("10.0.0.%d:3000", i+1)
		e := &endpoint{address: address, seed: seedOf(address), usage: using(new(int))}
		all = append(all, candidate{endpoint: e, weight: float64(w)})
	}
	return all
}

func drawWeights(t *rapid.T) []int {
	return rapid.SliceOfN(rapid.IntRange(1, 9), 2, 8).Draw(t, "weights")
}

func TestTurnsAreSharedExactlyByWeight(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := drawWeights(t)
		all, total, turns := candidatesOf(weights...), 0, roundRobin{}
		for _, w := range weights {
			total += w
		}
		for range 3 {
			got := make([]int, len(weights))
			for range total {
				got[turns.pick(all)]++
			}
			for i, w := range weights {
				if got[i] != w {
					t.Fatalf("weights %v: a round of %d gave %v", weights, total, got)
				}
			}
		}
	})
}

func TestTurnsNeverComeInRuns(t *testing.T) {
	t.Parallel()
	all, turns, got := candidatesOf(5, 1, 1), roundRobin{}, ""
	for range 7 {
		got += string("abc"[turns.pick(all)])
	}
	if got != "aabacaa" {
		t.Errorf("the turns of weights 5, 1, 1 are %s, want aabacaa as nginx has it", got)
	}
}

func TestATargetThatGoesMovesOnlyItsOwnUsers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := candidatesOf(drawWeights(t)...)
		gone := rapid.IntRange(0, len(all)-1).Draw(t, "gone")
		left := append(append([]candidate(nil), all[:gone]...), all[gone+1:]...)
		for key := uint64(1); key <= 300; key++ {
			before := all[rendezvous(all, key)]
			after := left[rendezvous(left, key)]
			if before.endpoint != all[gone].endpoint && before.endpoint != after.endpoint {
				t.Fatalf("user %d moved from %s to %s when %s went", key, before.address, after.address, all[gone].address)
			}
		}
	})
}

func TestUsersAreSharedByWeight(t *testing.T) {
	t.Parallel()
	all, got := candidatesOf(1, 2, 3), [3]float64{}
	const users = 60000
	for key := range uint64(users) {
		got[rendezvous(all, key+1)]++
	}
	for i, share := range got {
		if want := float64(i+1) / 6; math.Abs(share/users-want) > 0.01 {
			t.Errorf("weight %d of 6 has %.3f of the users, want %.3f", i+1, share/users, want)
		}
	}
}

func TestOfTwoChoicesTheClearlyBetterIsTaken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		says   string
		slow   float64 // times the latency of the other
		busy   int     // more connections in use than the other
		weight int     // beside the other's 1
		share  float64 // of the requests
	}{
		{says: "five times slower gets nothing", slow: 5, weight: 1, share: 0},
		{says: "a tenth slower gets its half", slow: 1.1, weight: 1, share: 0.5},
		{says: "busier gets nothing", slow: 1, busy: 3, weight: 1, share: 0},
		{says: "alike, weights decide", slow: 1, weight: 3, share: 0.75},
		{says: "busy by its weight gets its share", slow: 1, busy: 3, weight: 12, share: 12.0 / 13},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			all := candidatesOf(1, c.weight)
			all[0].score.latency, all[1].score.latency = 0.01, 0.01*c.slow
			all[1].usage = using(&c.busy)
			n := 0
			for range 10000 {
				n += twoChoices(all)
			}
			if got := float64(n) / 10000; math.Abs(got-c.share) > 0.03 {
				t.Errorf("its share is %.3f, want %.3f", got, c.share)
			}
		})
	}
}

func TestLatencyFollowsWhatItSees(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var l latency
		now := time.Unix(1e9, 0)
		for range rapid.IntRange(1, 30).Draw(t, "observations") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "pause")) * time.Millisecond)
			before := l.value
			took := time.Duration(rapid.IntRange(1, 10000).Draw(t, "took")) * time.Millisecond
			l.observe(now, took)
			if got := l.now(now); got < min(before, took.Seconds())-1e-9 || got > max(before, took.Seconds())+1e-9 {
				t.Fatalf("after %v it is %.3f s, was %.3f s", took, got, before)
			}
		}
		if later := l.now(now.Add(10 * latencyForget)); later > l.value/1000 {
			t.Fatalf("it has not faded: %.5f of %.3f", later, l.value)
		}
	})
}

func TestOneHiccupDoesNotLookLikeASlowTarget(t *testing.T) {
	t.Parallel()
	var l latency
	now := time.Unix(1e9, 0)
	for range 10 {
		l.observe(now, 10*time.Millisecond)
	}
	l.observe(now, 80*time.Millisecond)
	if got := l.now(now); got > 0.035 {
		t.Errorf("after one answer of 80 ms it is %.3f s", got)
	}
	for range 5 {
		l.observe(now, 80*time.Millisecond)
	}
	if got := l.now(now); got < 0.065 {
		t.Errorf("after six answers of 80 ms it is %.3f s", got)
	}
	l.fail(now, time.Millisecond)
	if got := l.now(now); got < 1 {
		t.Errorf("after a fast failure it is %.3f s, want a second", got)
	}
}

func TestASlowStartOfZeroBeginsWithTheFullShare(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	if got := (&endpoint{slowStart: now}).weightFactor(now, 0); got != 1 {
		t.Errorf("it begins with %v of its share, want all", got)
	}
}
