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

// deletions are people who log in and delete their account, while the gateway is killed.
type deletions struct {
	*world

	mu      sync.Mutex
	waiting []applicant
	ids     map[int64]bool // of those whose deletion was answered, or had happened when it was asked for again
}

// applicant is somebody who wants to be gone.
type applicant struct {
	person string
	id     int64 // 0: not logged in yet
	token  string
}

// TestEachDeletionReachesTheService deletes 200 accounts, 10,000 with WXGATE_DELETIONS=10000, while a third of the service's answers
// are failures and the gateway is killed, ten times in the long run. The service learns of each, after the creation, and of
// nothing after it.
func TestEachDeletionReachesTheService(t *testing.T) {
	t.Parallel()
	people, kills := 80, 3
	if n, err := strconv.Atoi(os.Getenv("WXGATE_DELETIONS")); err == nil {
		people, kills = n, 10
	}
	w, s := newPeopleWorld(t, false)
	s.setAnswer(func(told) int {
		if rand.IntN(3) == 0 {
			return http.StatusInternalServerError
		}
		return http.StatusNoContent
	})
	d := &deletions{world: w, ids: map[int64]bool{}}
	for n := range people {
		d.waiting = append(d.waiting, applicant{person: fmt.Sprint("p", n)})
	}
	begun := time.Now()
	for kill := range kills {
		d.round(people * (kills - kill) / (kills + 1))
	}
	d.round(0)
	eventually(t, 5*time.Minute, func() bool { return w.gauge("wxgate_user_events_pending") == "0" && d.known(s) })
	repeated := d.checkOrder(s)
	t.Logf("| accounts deleted | kills | calls of the service | of these repeated | not told | out of order | took |")
	t.Logf("| %d | %d | %d | %d | 0 | 0 | %v |", len(d.ids), kills, len(s.arrived), repeated, time.Since(begun).Round(time.Second))
}

// round starts the gateway and lets people delete their accounts until so many are left; unless that is nobody, it is killed then.
func (d *deletions) round(left int) {
	d.serve()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for !d.gone() {
				a, some := d.next()
				if !some {
					return
				}
				if !d.delete(&a) {
					d.mu.Lock()
					d.waiting = append(d.waiting, a)
					d.mu.Unlock()
				}
			}
		})
	}
	if left > 0 {
		eventually(d.t, 5*time.Minute, func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			return len(d.waiting) <= left
		})
		d.kill()
	}
	clients.Wait()
}

func (d *deletions) next() (a applicant, some bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.waiting) == 0 {
		return a, false
	}
	a, d.waiting = d.waiting[0], d.waiting[1:]
	return a, true
}

// delete logs a person in and deletes the account, and reports whether that was answered.
func (d *deletions) delete(a *applicant) (answered bool) {
	if a.id == 0 {
		id, got, err := d.tryLogin(a.person)
		if err != nil || id == 0 {
			return false
		}
		a.id = id
		a.token, _ = got.data()["access_token"].(string)
	}
	got, err := d.try("DELETE", "/api/v1/user", a.token, "")
	if err != nil || got.status >= 500 {
		return false
	}
	if got.status != http.StatusOK && got.json["reason"] != "token_revoked" { // the latter: an attempt without an answer did it
		d.t.Errorf("the deletion of user %d: %d %s", a.id, got.status, got.body)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids[a.id] = true
	return true
}

// known reports whether the service knows of all that was answered.
func (d *deletions) known(s *peopleService) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range d.ids {
		if row, known := s.row(id); !known || row.Type != "user.erased" {
			return false
		}
	}
	return true
}

// checkOrder wants an erasure to be the last about a user, and calls of one event to follow one another. It returns how many
// repeated another.
func (d *deletions) checkOrder(s *peopleService) (repeated int) {
	last, seen := map[int64]told{}, map[string]bool{}
	for _, event := range s.arrived {
		before := last[event.ID]
		switch {
		case event.key == before.key:
			repeated++
		case seen[event.key]:
			d.t.Errorf("user %d: %+v came again after %+v", event.ID, event, before)
		case before.Type == "user.erased":
			d.t.Errorf("user %d: %+v came after the erasure", event.ID, event)
		}
		last[event.ID], seen[event.key] = event, true
	}
	return repeated
}

// TestADeletionWithDaysOfGraceIsTakenBackOrHappens restarts the gateway within and after the grace.
func TestADeletionWithDaysOfGraceIsTakenBackOrHappens(t *testing.T) {
	t.Parallel()
	w, s := newPeopleWorld(t, false)
	w.rewrite("authn: { on_user:", "authn: { deletion_grace: 3s, on_user:")
	w.serve()
	back, gone := w.login("back"), w.login("gone")
	for person, token := range map[string]string{"back": back, "gone": gone} {
		got := w.call("DELETE", "/api/v1/user", token, "")
		w.want("the deletion of "+person, got, http.StatusOK, "")
		if at, _ := got.data()["deletes_at"].(string); at == "" {
			t.Errorf("the answer does not say when: %s", got.body)
		}
		w.want(person+" meanwhile", w.call("GET", "/api/v1/user/profile", token, ""), http.StatusUnauthorized, "token_revoked")
	}
	asked := time.Now()
	w.does(words("users show 2"), "deletes at")
	if id, got, _ := w.tryLogin("back"); id != 1 {
		t.Fatalf("back is user %d: %s", id, got.body)
	}
	w.kill()
	<-time.After(time.Until(asked.Add(3 * time.Second))) // it is due by then
	w.serve()
	eventually(t, 60*time.Second, func() bool { row, _ := s.row(2); return row.Type == "user.erased" })
	if id, _, _ := w.tryLogin("gone"); id != 3 {
		t.Errorf("gone comes back as user %d, want 3", id)
	}
	w.does(words("users show 1"), "openid")
	if row, _ := s.row(1); row.Type == "user.erased" {
		t.Error("the service was told that back is erased")
	}
	if _, stderr, _ := w.wxgate("", "users", "show", "2"); stderr == "" {
		t.Error("user 2 is still there")
	}
}
