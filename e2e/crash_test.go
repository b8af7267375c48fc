package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// crashRounds is how often the gateway is killed; `make long WHAT=crash` asks for 100.
func crashRounds(t *testing.T) int {
	t.Helper()
	rounds, err := strconv.Atoi(os.Getenv("WXGATE_CRASH_ROUNDS"))
	if err != nil {
		return 8
	}
	return rounds
}

// TestNothingAcknowledgedIsLostByKill9 kills the gateway while people log in, refresh, log out, rename themselves, are
// banned and are erased. After each start a part of them is as they were told, and in the end everybody.
func TestNothingAcknowledgedIsLostByKill9(t *testing.T) {
	t.Parallel()
	w, l := newWorld(t), newLedger()
	actors := l.actors(8, "client", func(int) *world { return w })
	var slowest time.Duration
	for round := range crashRounds(t) {
		started := time.Now()
		w.serve()
		slowest = max(slowest, time.Since(started))
		l.compare(w, newest(l.everybody()), newest(l.revocations(0)))
		l.actUntilKilled(w, actors, round)
	}
	w.serve()
	l.compare(w, l.everybody(), l.revocations(0))
	l.report(t)
	t.Logf("%d kills; slowest start until it listens: %v", crashRounds(t), slowest)
}

// newest are the last few of many, and some of those before.
func newest[T any](all []T) (some []T) {
	for i, each := range all {
		if i >= len(all)-200 || i%20 == 0 {
			some = append(some, each)
		}
	}
	return some
}

// actUntilKilled lets clients act, and kills the gateway in the midst of it, when a random number of logins more is
// acknowledged.
func (l *ledger) actUntilKilled(w *world, actors []*actor, round int) {
	w.t.Helper()
	var clients sync.WaitGroup
	for _, a := range actors {
		clients.Go(func() {
			for !w.gone() {
				a.act()
			}
		})
	}
	enough := l.acknowledged() + 10 + rand.IntN(100)
	deadline, tick := time.NewTimer(2*time.Minute), time.NewTicker(time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for waiting := true; waiting && l.acknowledged() < enough; {
		select {
		case <-tick.C:
		case <-deadline.C:
			w.t.Errorf("round %d: in two minutes %d logins were acknowledged, want %d", round, l.acknowledged(), enough)
			waiting = false
		}
	}
	w.kill()
	clients.Wait()
}

// report fails the test for whatever was lost, and says what was acknowledged.
func (l *ledger) report(t *testing.T) {
	t.Helper()
	for _, wrong := range append(l.lost, l.twice...) {
		t.Error(wrong)
	}
	ended := map[string]int{}
	for _, each := range l.revoked {
		ended[each.why]++
	}
	t.Logf("acknowledged: %d logins of %d people, %d refreshes, %d changes of a profile, %d erasures, %d bans; sessions that ended: %v; lost: %d; ids given twice: %d",
		len(l.logins), len(l.people), l.refresh, l.profiles, l.erasures, l.bans, ended, len(l.lost), len(l.twice))
	for what, n := range map[string]int{"logins": len(l.logins), "refreshes": l.refresh, "changes": l.profiles, "erasures": l.erasures, "bans": l.bans, "logouts": ended["logout"]} {
		if n == 0 {
			t.Errorf("no %s were acknowledged", what)
		}
	}
}

// actors are clients that act for people of their own; choose has a gateway for the next request of one of them.
func (l *ledger) actors(n int, name string, choose func(i int) *world) (all []*actor) {
	for i := range n {
		a := &actor{ledger: l, name: fmt.Sprintf("%s %d", name, i), step: 5 * i}
		a.choose = func() *world { return choose(i + a.step%2) }
		all = append(all, a)
	}
	return all
}
