package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// deletions are people who log in and delete their account, while the gateway is killed.
type deletions struct {
	*world

	next atomic.Int64
	mu   sync.Mutex
	ids  map[int64]bool // of those whose deletion was answered, or had happened when it was asked for again
}

// TestEachDeletionReachesTheService deletes 200 accounts, 10,000 with WXGATE_DELETIONS=10000, while a third of the service's answers
// are failures and the gateway is killed, ten times in the long run. The service learns of each, after the creation, and of
// nothing after it.
func TestEachDeletionReachesTheService(t *testing.T) {
	t.Parallel()
	people, kills := 200, 3
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
	begun := time.Now()
	w.serve()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for n := d.next.Add(1); n <= int64(people); n = d.next.Add(1) {
				d.delete(fmt.Sprint("p", n))
			}
		})
	}
	for kill := range kills {
		eventually(t, 5*time.Minute, func() bool { return d.next.Load() > int64((kill+1)*people/(kills+1)) })
		w.kill()
		w.serve()
	}
	clients.Wait()
	eventually(t, 5*time.Minute, func() bool { return w.gauge("wxgate_user_events_pending") == "0" && d.known(s) })
	repeated := d.checkOrder(s)
	t.Logf("| accounts deleted | kills | calls of the service | of these repeated | not told | out of order | took |")
	t.Logf("| %d | %d | %d | %d | 0 | 0 | %v |", len(d.ids), kills, len(s.arrived), repeated, time.Since(begun).Round(time.Second))
}

// delete logs a person in, who deletes the account, and asks again until that was answered.
func (d *deletions) delete(person string) {
	var id int64
	var token string
	eventually(d.t, time.Minute, func() bool {
		in, got, _ := d.tryLogin(person)
		id = in
		token, _ = got.data()["access_token"].(string)
		return id != 0 // else the gateway is down
	})
	var got answer
	eventually(d.t, time.Minute, func() (answered bool) {
		var err error
		got, err = d.try("DELETE", "/api/v1/user", token, "")
		return err == nil && got.status < 500
	})
	if got.status != http.StatusOK && got.json["reason"] != "token_revoked" { // the latter: an attempt without an answer did it
		d.t.Errorf("the deletion of user %d: %d %s", id, got.status, got.body)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids[id] = true
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
