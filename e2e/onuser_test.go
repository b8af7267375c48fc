package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// webhookKey signs what peopleService is told.
const webhookKey = "e2e-webhook-key-of-32-bytes-e2e-"

// told is one request that the service got.
type told struct {
	key    string // webhook-id
	Type   string `json:"type"`
	ID     int64  `json:"id"`
	OpenID string `json:"openid"`
	Name   string `json:"nickname"`
	Into   int64  `json:"into"`
}

// peopleService is a back end that keeps a row for each user that it is told about.
type peopleService struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	answer  func(told) int // the status; nil: 204
	arrived []told         // in the order of their arrival, accepted or not
	rows    map[int64]told // accepted
}

func newPeopleService(t *testing.T) *peopleService {
	t.Helper()
	s := &peopleService{t: t, rows: map[int64]told{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *peopleService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	id, timestamp := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
	mac := hmac.New(sha256.New, []byte(webhookKey))
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if got := r.Header.Get("Webhook-Signature"); got != want {
		s.t.Errorf("the signature is %q, want %q", got, want)
	}
	seconds, _ := strconv.ParseInt(timestamp, 10, 64)
	if age := time.Since(time.Unix(seconds, 0)).Abs(); age > time.Minute {
		s.t.Errorf("the timestamp %q is %v off", timestamp, age)
	}
	if r.Method != http.MethodPost || r.URL.Path != "/internal/users" {
		s.t.Errorf("the request is %s %s", r.Method, r.URL)
	}
	event := told{key: id}
	if err := json.Unmarshal(body, &event); err != nil {
		s.t.Errorf("%s: %v", body, err)
	}
	s.mu.Lock()
	s.arrived = append(s.arrived, event)
	answer := s.answer
	s.mu.Unlock()
	status := http.StatusNoContent
	if answer != nil {
		status = answer(event)
	}
	if status < 300 {
		s.mu.Lock()
		if known, ok := s.rows[event.ID]; ok && event.Type != "user.erased" && known.OpenID != event.OpenID {
			s.t.Errorf("the id %d is of %s and of %s", event.ID, known.OpenID, event.OpenID)
		}
		s.rows[event.ID] = event
		s.mu.Unlock()
	}
	w.WriteHeader(status)
}

func (s *peopleService) setAnswer(answer func(told) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// events are what arrived about a user.
func (s *peopleService) events(id int64) (found []told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, event := range s.arrived {
		if event.ID == id {
			found = append(found, event)
		}
	}
	return found
}

func (s *peopleService) row(id int64) (told, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	row, ok := s.rows[id]
	return row, ok
}

// newPeopleWorld is a world whose gateway tells a service about users.
func newPeopleWorld(t *testing.T, wait bool) (*world, *peopleService) {
	t.Helper()
	w, s := newWorld(t), newPeopleService(t)
	w.rewrite("limits:", fmt.Sprintf("  people: %s\nlimits:", s.URL))
	w.rewrite("storage:", fmt.Sprintf("authn: { on_user: { upstream: people, path: /internal/users, secret: %q, wait: %v } }\nstorage:",
		"whsec_"+base64.StdEncoding.EncodeToString([]byte(webhookKey)), wait))
	return w, s
}

// tryLogin logs a person in, and returns the id of the user, or 0.
func (w *world) tryLogin(person string) (id int64, got answer, err error) {
	got, err = w.try("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, w.weChat.IssueCode(person)))
	if user, ok := got.data()["user"].(map[string]any); ok && err == nil {
		number, _ := user["id"].(float64)
		id = int64(number)
	}
	return id, got, err
}

// TestALoginWaitsUntilTheServiceKnowsTheUser refuses a new user, whose next login repeats the same call.
func TestALoginWaitsUntilTheServiceKnowsTheUser(t *testing.T) {
	t.Parallel()
	w, s := newPeopleWorld(t, true)
	w.serve()
	s.setAnswer(func(told) int { return http.StatusInternalServerError })
	_, got, err := w.tryLogin("alice")
	if err != nil {
		t.Fatal(err)
	}
	w.want("the login of a user whom the service refuses", got, http.StatusServiceUnavailable, "user_service_unavailable")
	if strings.Contains(got.body, "access_token") || got.header.Get("Retry-After") == "" {
		t.Errorf("got %v %s, want no token and a Retry-After", got.header, got.body)
	}
	s.setAnswer(func(event told) int {
		if event.ID == 1 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	if bob, got, _ := w.tryLogin("bob"); bob != 2 {
		t.Errorf("bob is user %d (%s), want 2: 1 is alice's, who waits", bob, got.body)
	}
	s.setAnswer(nil)
	alice, got, _ := w.tryLogin("alice")
	if alice != 1 {
		t.Fatalf("alice is user %d (%s), want 1", alice, got.body)
	}
	events := s.events(1)
	for _, event := range events {
		if event.key != events[0].key || event.Type != "user.created" || event.OpenID == "" {
			t.Errorf("alice's calls are %+v, want one key in all of them", events)
		}
	}
	if again, _, _ := w.tryLogin("alice"); again != 1 || len(s.events(1)) != len(events) {
		t.Errorf("a later login: user %d, %d calls; want 1, and none beyond %d", again, len(s.events(1)), len(events))
	}
}

// TestAServiceThatIsDownRefusesOnlyNewUsers stops the service. Users whom it knows log in.
func TestAServiceThatIsDownRefusesOnlyNewUsers(t *testing.T) {
	t.Parallel()
	w, s := newPeopleWorld(t, true)
	w.serve()
	w.login("alice")
	s.Close()
	w.login("alice")
	_, got, _ := w.tryLogin("bob")
	w.want("a new user", got, http.StatusServiceUnavailable, "user_service_unavailable")
}

// heardOfAll reports whether the service knows every user of the gateway, by the same openid and nickname.
func (w *world) heardOfAll(s *peopleService) bool {
	stdout, _, _ := w.wxgate("", "users", "export")
	for line := range strings.Lines(stdout) {
		var user told
		if err := json.Unmarshal([]byte(line), &user); err != nil {
			w.t.Fatal(err)
		}
		if row, known := s.row(user.ID); !known || row.OpenID != user.OpenID || row.Name != user.Name {
			return false
		}
	}
	return true
}

// TestTheServiceIsToldInOrderAfterAKill changes and erases users while the service is away, and kills the gateway. Logins
// do not wait.
func TestTheServiceIsToldInOrderAfterAKill(t *testing.T) {
	t.Parallel()
	w, s := newPeopleWorld(t, false)
	s.setAnswer(func(told) int { return http.StatusServiceUnavailable })
	w.serve()
	alice, bob := w.login("alice"), w.login("bob")
	w.want("a change", w.call("PUT", "/api/v1/user/profile", alice, `{"nickname":"小红"}`), http.StatusOK, "")
	w.want("a change of a change", w.call("PUT", "/api/v1/user/profile", alice, `{"nickname":"阿红"}`), http.StatusOK, "")
	_ = bob
	w.does([]string{"users", "erase", "2", "--yes"})
	w.kill()
	s.setAnswer(nil)
	w.serve()
	eventually(t, 60*time.Second, func() bool {
		_, a := s.row(1)
		b, _ := s.row(2)
		return a && b.Type == "user.erased" && slices.ContainsFunc(s.events(1), func(e told) bool { return e.Type == "user.updated" })
	})
	accepted, _ := s.row(1)
	if accepted.Name != "阿红" || accepted.Type != "user.updated" {
		t.Errorf("the last about alice is %+v, want the newest nickname in an update", accepted)
	}
	seen := ""
	for _, event := range s.events(1) {
		if event.Type == "user.created" && seen == "user.updated" {
			t.Errorf("alice's events came as %+v, want the creation first", s.events(1))
		}
		seen = event.Type
	}
	if last := s.events(2); last[len(last)-1].OpenID != "" {
		t.Errorf("the erasure names the openid: %+v", last)
	}
}

// TestResyncTellsOfEverybody imports users, of whom the service learns at a resync.
func TestResyncTellsOfEverybody(t *testing.T) {
	t.Parallel()
	w, s := newPeopleWorld(t, false)
	w.serve()
	var lines strings.Builder
	for id := 1; id <= 450; id++ {
		fmt.Fprintf(&lines, `{"id":%d,"openid":"oOld%d","nickname":"n%d"}`+"\n", id, id, id)
	}
	if _, stderr, code := w.wxgate(lines.String(), "users", "import", "-"); code != 0 {
		t.Fatalf("import: %s", stderr)
	}
	if heard := len(s.events(7)); heard != 0 {
		t.Errorf("an import told the service %d times of user 7, want never", heard)
	}
	w.does([]string{"users", "resync"}, "told 450, refused 0")
	for _, id := range []int64{1, 200, 201, 450} {
		if row, known := s.row(id); !known || row.OpenID != fmt.Sprint("oOld", id) || row.Type != "user.updated" {
			t.Errorf("of user %d the service knows %+v", id, row)
		}
	}
	s.setAnswer(func(event told) int {
		if event.ID == 300 {
			return http.StatusUnprocessableEntity
		}
		return http.StatusOK
	})
	stdout, _, code := w.wxgate("", "users", "resync", "--after", "250")
	if code != 1 || !strings.Contains(stdout, "told 199, refused 1") || !strings.Contains(stdout, "user 300") {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	s.setAnswer(func(told) int { return http.StatusServiceUnavailable })
	w.fails([]string{"users", "resync", "--after", "440"}, "continue with --after 440")
	s.setAnswer(func(told) int { return http.StatusNotFound })
	w.fails([]string{"users", "resync", "--after", "440"}, "with 404")
	w.fails([]string{"users", "resync", "--after", "440"}, "the service has not accepted the user: upstreams.")
}

// TestOnUserIsReloaded turns on_user on and off while the gateway runs.
func TestOnUserIsReloaded(t *testing.T) {
	t.Parallel()
	w, s := newPeopleWorld(t, true)
	w.rewrite("authn: { on_user:", "authn: { } # { on_user:")
	w.serve()
	w.login("early")
	w.rewrite("authn: { } # { on_user:", "authn: { on_user:")
	w.waitSays(`"msg":"reloaded"`, 1)
	w.login("late")
	if row, known := s.row(2); !known || row.Type != "user.created" {
		t.Errorf("the service knows %+v of the second user", row)
	}
	if _, known := s.row(1); known {
		t.Error("the service was told of the first")
	}
	w.rewrite("authn: { on_user:", "authn: { } # { on_user:")
	w.waitSays(`"msg":"reloaded"`, 2)
	s.Close()
	w.login("later still")
	if strings.Contains(w.output.String(), webhookKey[:12]) || strings.Contains(w.output.String(), "whsec_") {
		t.Error("the log has the secret")
	}
}
