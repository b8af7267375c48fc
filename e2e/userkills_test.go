package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// userKills are people who log in and change their names, while the gateway is killed.
type userKills struct {
	*world

	mu      sync.Mutex
	ids     map[string]int64 // by person, of logins that were answered
	numbers map[string]int   // by person, of the last change that was sent
	changed map[int64]int    // by id, the number of the last change that was answered
}

// TestKillsBetweenTheUserAndTheServiceLoseNobody kills the gateway at random moments of first logins and changes: 100 times
// with WXGATE_USER_KILLS=100. No id is given twice, the service learns of everybody, of each user in order, and of the same
// event by the same key; where logins wait, whoever got a token is known to it.
func TestKillsBetweenTheUserAndTheServiceLoseNobody(t *testing.T) {
	t.Parallel()
	rounds, err := strconv.Atoi(os.Getenv("WXGATE_USER_KILLS"))
	if err != nil {
		rounds = 4
	}
	for _, wait := range []bool{true, false} {
		t.Run(fmt.Sprint("wait ", wait), func(t *testing.T) {
			t.Parallel()
			w, s := newPeopleWorld(t, wait)
			k := &userKills{world: w, ids: map[string]int64{}, numbers: map[string]int{}, changed: map[int64]int{}}
			s.setAnswer(func(told) int {
				<-time.After(time.Duration(rand.IntN(30)) * time.Millisecond) // so that kills come before, within and after the call
				if rand.IntN(10) == 0 {
					return http.StatusServiceUnavailable
				}
				return http.StatusNoContent
			})
			for round := range rounds {
				k.killAmid(round, 8, k.visit)
			}
			people := k.checkIDs()
			if wait {
				k.checkKnown(s)
			}
			s.setAnswer(nil) // what was cut off is told after the next start
			w.serve()
			eventually(t, 60*time.Second, func() bool { return w.gauge("wxgate_user_events_pending") == "0" && w.heardOfAll(s) })
			repeated := k.checkOrder(s)
			t.Logf("| wait | kills | people | names changed | calls | of these repeated |")
			t.Logf("| %v | %d | %d | %d | %d | %d |", wait, rounds, people, len(k.changed), len(s.arrived), repeated)
		})
	}
}

// killAmid starts the gateway, has clients visit it as people of a round, and kills it meanwhile. Some had been cut off in the round
// before.
func (w *world) killAmid(round, clients int, visit func(person string)) {
	w.serve()
	var visitors sync.WaitGroup
	for c := range clients {
		visitors.Go(func() {
			for i := 0; !w.gone(); i++ {
				person := fmt.Sprintf("p%d-%d-%d", round, c, i)
				if round > 0 && i%3 == 0 {
					person = fmt.Sprintf("p%d-%d-%d", round-1, c, i) // who may have been cut off
				}
				visit(person)
			}
		})
	}
	<-time.After(time.Duration(200+rand.IntN(400)) * time.Millisecond)
	w.kill()
	visitors.Wait()
}

// visit logs a person in, who then changes the nickname to the next number.
func (k *userKills) visit(person string) {
	id, got, err := k.tryLogin(person)
	if err != nil || id == 0 {
		return
	}
	k.mu.Lock()
	if known, ok := k.ids[person]; ok && known != id {
		k.t.Errorf("%s was user %d and is %d", person, known, id)
	}
	k.ids[person] = id
	k.numbers[person]++
	number := k.numbers[person]
	k.mu.Unlock()
	token, _ := got.data()["access_token"].(string)
	got, err = k.try("PUT", "/api/v1/user/profile", token, fmt.Sprintf(`{"nickname":"n%d"}`, number))
	if err == nil && got.status == http.StatusOK {
		k.mu.Lock()
		k.changed[id] = number
		k.mu.Unlock()
	}
}

// checkIDs wants an id of their own for each person, and returns how many people there are.
func (k *userKills) checkIDs() int {
	people := map[int64]string{}
	for person, id := range k.ids {
		if other, taken := people[id]; taken {
			k.t.Errorf("the id %d is of %s and of %s", id, other, person)
		}
		people[id] = person
	}
	if len(people) == 0 {
		k.t.Error("nobody logged in")
	}
	return len(people)
}

// checkKnown wants the service to know everybody who got a token.
func (k *userKills) checkKnown(s *peopleService) {
	for person, id := range k.ids {
		if _, known := s.row(id); !known {
			k.t.Errorf("%s got a token as user %d, of whom the service does not know", person, id)
		}
	}
}

// checkOrder wants the calls about each user to be in order, each key to be of one event, and no answered change to be
// lost. It returns how many calls repeated an earlier one.
func (k *userKills) checkOrder(s *peopleService) (repeated int) {
	last, keys, openIDs := map[int64]told{}, map[string]told{}, map[string]int64{}
	for _, event := range s.arrived {
		before, again := last[event.ID], false
		if first, known := keys[event.key]; known {
			again = true
			repeated++
			if first.ID != event.ID || first.OpenID != event.OpenID || first.Type != event.Type {
				k.t.Errorf("one key for two events: %+v and %+v", first, event)
			}
		}
		switch {
		case before.key == "" && event.Type != "user.created", before.key != "" && !again && event.Type == "user.created":
			k.t.Errorf("user %d: %+v came after %+v", event.ID, event, before)
		case again && before.key != event.key:
			k.t.Errorf("user %d: %+v came again after %+v", event.ID, event, before)
		case nicknameNumber(event) < nicknameNumber(before):
			k.t.Errorf("user %d: %+v is older than %+v", event.ID, event, before)
		}
		if id, known := openIDs[event.OpenID]; known && id != event.ID {
			k.t.Errorf("%s is user %d and %d", event.OpenID, id, event.ID)
		}
		last[event.ID], keys[event.key], openIDs[event.OpenID] = event, event, event.ID
	}
	for id, number := range k.changed {
		if row, _ := s.row(id); nicknameNumber(row) < number {
			k.t.Errorf("the service has %+v, and the change to n%d was answered", row, number)
		}
	}
	return repeated
}

// nicknameNumber is the number in the nickname of an event, 0 for none.
func nicknameNumber(event told) int {
	number, _ := strconv.Atoi(strings.TrimPrefix(event.Name, "n"))
	return number
}
