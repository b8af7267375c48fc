package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// crashRounds is how often the gateway is killed; `make long WHAT=crash` asks for 50.
func crashRounds(t *testing.T) int {
	t.Helper()
	rounds, err := strconv.Atoi(os.Getenv("WXGATE_CRASH_ROUNDS"))
	if err != nil {
		return 8
	}
	return rounds
}

// acknowledged is a login that was answered 200.
type acknowledged struct {
	person, token string
	id            int
}

func TestNoAcknowledgedLoginIsLostByKill9(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := map[string]int{}
	owners := map[int]string{}
	var all []acknowledged
	var slowest time.Duration
	for round := range crashRounds(t) {
		started := time.Now()
		w.serve()
		slowest = max(slowest, time.Since(started))
		w.stillKnown(all)
		acked := w.loginUntilKilled(round)
		for _, a := range acked {
			if id, known := ids[a.person]; known && id != a.id {
				t.Errorf("round %d: %s is user %d, was %d", round, a.person, a.id, id)
			}
			if owner, taken := owners[a.id]; taken && owner != a.person {
				t.Errorf("round %d: id %d was given to %s and to %s", round, a.id, owner, a.person)
			}
			ids[a.person], owners[a.id] = a.id, a.person
		}
		all = append(all, acked...)
	}
	w.serve()
	w.stillKnown(all)
	t.Logf("%d people acknowledged over %d kills; slowest start until it listens: %v", len(ids), crashRounds(t), slowest)
}

// loginUntilKilled logs people in from eight connections and kills the gateway in the midst of it, when a random number
// of them were acknowledged.
func (w *world) loginUntilKilled(round int) []acknowledged {
	w.t.Helper()
	var mu sync.Mutex
	var acked []acknowledged
	enough, killNow := 10+rand.IntN(100), make(chan struct{})
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for i := 0; ; i++ {
				// Every third login is of somebody seen in an earlier round.
				person := fmt.Sprintf("r%d-c%d-%d", round-round%3*(i%3/2), c, i)
				got, err := w.try("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, w.weChat.IssueCode(person)))
				if err != nil || got.status != http.StatusOK {
					return
				}
				user, _ := got.data()["user"].(map[string]any)
				id, _ := user["id"].(float64)
				token, _ := got.data()["access_token"].(string)
				mu.Lock()
				if acked = append(acked, acknowledged{person, token, int(id)}); len(acked) == enough {
					close(killNow)
				}
				mu.Unlock()
			}
		})
	}
	select {
	case <-killNow:
	case <-time.After(2 * time.Minute):
		w.t.Errorf("round %d: fewer than %d logins were acknowledged in two minutes", round, enough)
	}
	w.kill()
	clients.Wait()
	return acked
}

// stillKnown checks that acknowledged tokens work and speak for the ids they were given with: all of the last thousand,
// and every tenth of those before.
func (w *world) stillKnown(acked []acknowledged) {
	w.t.Helper()
	for i, a := range acked {
		if i < len(acked)-1000 && i%10 > 0 {
			continue
		}
		if id := w.userID(a.token); id != a.id {
			w.t.Errorf("after kill -9 the token of %s speaks for user %d, want %d", a.person, id, a.id)
		}
	}
}
