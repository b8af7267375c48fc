package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// linkKills are people who log in through two mini-programs, while the gateway is killed.
type linkKills struct {
	*world

	mu     sync.Mutex
	people map[string][]issued
}

// issued is a token that somebody got.
type issued struct {
	id    int64 // of the user, as the login said
	token string
}

// TestKillsLeaveAccountsLinkedOrNot kills the gateway at random moments of logins of people through two mini-programs, whose
// accounts are linked, with a service that refuses a fifth of what it is told: 3 times, or as WXGATE_LINK_KILLS says. In
// the end each person is one user, the older one; no id is of two people, no token of another id is accepted, and the
// service was told of each account in order, and of nobody who was to become the user of whom it had not heard.
func TestKillsLeaveAccountsLinkedOrNot(t *testing.T) {
	t.Parallel()
	rounds, err := strconv.Atoi(os.Getenv("WXGATE_LINK_KILLS"))
	if err != nil {
		rounds = 3
	}
	w, s := newPeopleWorld(t, false)
	w.rewrite("wechat: {", fmt.Sprintf("wechat: { cloud_run: true, apps: [{ appid: %s, secret: %s }, { appid: wx5555555555555555, secret: %s }],", appID, appSecret, appSecret))
	w.rewrite("authn: {", "authn: { link: unionid,")
	k := &linkKills{world: w, people: map[string][]issued{}}
	s.setAnswer(func(told) int {
		<-time.After(time.Duration(rand.IntN(20)) * time.Millisecond) // so that kills come before, within and after the call
		if rand.IntN(5) == 0 {
			return http.StatusConflict
		}
		return http.StatusNoContent
	})
	for round := range rounds {
		k.killAmid(round, 6, k.visit)
	}
	s.setAnswer(nil) // what was cut off is told after the next start
	w.serve()
	for person := range k.people { // whoever was cut off between two logins
		k.visit(person)
	}
	eventually(t, 60*time.Second, w.toldOfAll)
	linked := k.checkPeople()
	k.checkToldInOrder(s)
	t.Logf("%d kills, %d people, %d of whom had tokens of two ids, %d calls", rounds, len(k.people), linked, len(s.arrived))
}

// toldOfAll reports whether the service has accepted everything.
func (w *world) toldOfAll() bool {
	resp, err := w.client.Get(w.admin + "/api/users/untold?waiting=0s")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var page struct{ Data struct{ Events []any } }
	return json.NewDecoder(resp.Body).Decode(&page) == nil && resp.StatusCode == http.StatusOK && len(page.Data.Events) == 0
}

// visit logs a person in through both mini-programs, as WeChat Cloud Run says who that is.
func (k *linkKills) visit(person string) {
	for _, app := range []string{appID, "wx5555555555555555"} {
		got, err := k.try("POST", "/api/v1/auth/cloud-login", "", "{}",
			"X-WX-SOURCE", "wx_client", "X-WX-APPID", app, "X-WX-OPENID", person+"-"+app, "X-WX-UNIONID", "u-"+person)
		if err != nil || got.status != http.StatusOK {
			return
		}
		user, _ := got.data()["user"].(map[string]any)
		id, _ := user["id"].(float64)
		token, _ := got.data()["access_token"].(string)
		k.mu.Lock()
		k.people[person] = append(k.people[person], issued{int64(id), token})
		k.mu.Unlock()
	}
}

// checkPeople wants each person to be one user, and returns how many had tokens of more than one id before.
func (k *linkKills) checkPeople() (linked int) {
	owners := map[int64]string{}
	for person := range k.people {
		k.visit(person)
		tokens := k.people[person]
		one, other := tokens[len(tokens)-1], tokens[len(tokens)-2]
		if one.id != other.id {
			k.t.Errorf("%s is user %d and user %d", person, other.id, one.id)
		}
		two := false
		for _, each := range tokens {
			if owner, taken := owners[each.id]; taken && owner != person {
				k.t.Errorf("the id %d is of %s and of %s", each.id, owner, person)
			}
			owners[each.id] = person
			want := http.StatusOK
			if each.id != one.id {
				want, two = http.StatusUnauthorized, true
			}
			if each.id < one.id {
				k.t.Errorf("%s was user %d and is user %d, who is younger", person, each.id, one.id)
			}
			if got := k.call("GET", "/whoami", each.token, ""); got.status != want {
				k.t.Errorf("%s, who is user %d: a token of user %d is %d, want %d", person, one.id, each.id, got.status, want)
			}
		}
		if two {
			linked++
		}
	}
	return linked
}

// checkToldInOrder wants the service to hear of an account's creation first and of its merging last, and of the user before.
func (k *linkKills) checkToldInOrder(s *peopleService) {
	created, merged := map[int64]bool{}, map[int64]string{}
	for _, event := range s.arrived {
		if key, over := merged[event.ID]; over && key != event.key {
			k.t.Errorf("after user %d was merged came %+v", event.ID, event)
		}
		switch event.Type {
		case "user.created":
			created[event.ID] = true
		case "user.merged":
			if merged[event.ID] = event.key; !created[event.ID] || !created[event.Into] || event.Into >= event.ID {
				k.t.Errorf("%+v came before what it is about", event)
			}
		}
	}
	if len(merged) == 0 {
		k.t.Error("nobody was merged")
	}
}
