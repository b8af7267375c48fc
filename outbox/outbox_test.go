package outbox

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn"
	"wxgate/secret"
	"wxgate/storage"
	"wxgate/storage/badger"
	"wxgate/upstream"
)

// TestTheSignatureIsThatOfStandardWebhooks is the example of the reference libraries.
func TestTheSignatureIsThatOfStandardWebhooks(t *testing.T) {
	t.Parallel()
	cfg := authn.OnUserConfig{Secret: secret.Text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}
	key, err := cfg.Key()
	if err != nil {
		t.Fatal(err)
	}
	const want = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	if got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// rig is an outbox between a store on disk and a service on loopback.
type rig struct {
	*Outbox
	t       *testing.T
	store   *storage.Store
	service *httptest.Server
	answer  atomic.Pointer[http.HandlerFunc]
	mu      sync.Mutex
	keys    map[string]int // how often each event came
}

// bodyKey is under which the context of a request has its body.
type bodyKey struct{}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, func(s *storage.Store) Store { return s })
}

// newRigOn is a rig whose outbox sees the store through something.
func newRigOn(t *testing.T, through func(*storage.Store) Store) *rig {
	t.Helper()
	r := &rig{t: t, keys: map[string]int{}}
	cfg := storage.DefaultConfig()
	cfg.Badger.Dir = t.TempDir()
	reg, log := prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	opened, err := badger.Open(cfg, reg, log, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	r.store = opened.Store
	t.Cleanup(func() { r.Stop(); _ = opened.Close(); r.Wait() })
	r.service = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		req = req.WithContext(context.WithValue(req.Context(), bodyKey{}, string(body)))
		r.mu.Lock()
		r.keys[req.Header.Get("Webhook-Id")]++
		r.mu.Unlock()
		if answer := r.answer.Load(); answer != nil {
			(*answer)(w, req)
		}
	}))
	t.Cleanup(r.service.Close)
	services := upstream.DefaultConfig()
	services = services.WithDials(upstream.DefaultDials)
	services.Targets = []upstream.Target{{URL: r.service.URL, Weight: 1}}
	up, err := upstream.New("people", services, upstream.NewMetrics(reg), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Close)
	linked := func(ctx context.Context, d *storage.Delivery) error {
		_, err := d.Linked(ctx, storage.Linking{})
		return err
	}
	r.Outbox = New(through(r.store), linked, reg, log, time.Now)
	secretText := secret.Text("whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	told, err := r.Prepare(authn.OnUserConfig{Upstream: "people", Path: "/users", Secret: secretText, Wait: true}, map[string]*upstream.Upstream{"people": up})
	if err != nil {
		t.Fatal(err)
	}
	told()
	return r
}

func (r *rig) answers(serve http.HandlerFunc) { r.answer.Store(&serve) }

func (r *rig) login(openID string) int64 {
	r.t.Helper()
	in, err := r.store.Login(r.t.Context(), storage.Login{AppID: "wx1", OpenID: openID})
	if err != nil {
		r.t.Fatal(err)
	}
	return in.User.ID
}

// loginQuietly logs in a new user whose event nobody has heard of yet.
func (r *rig) loginQuietly(openID string) int64 {
	r.t.Helper()
	r.store.RecordEvents(false)
	id := r.login(openID)
	if _, err := r.store.TellAgain(r.t.Context(), id-1, 1); err != nil {
		r.t.Fatal(err)
	}
	return id
}

// TestManyWhoWaitForOneUserCauseOneCall lets 50 logins of one person wait at once.
func TestManyWhoWaitForOneUserCauseOneCall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	release := make(chan struct{})
	r.answers(func(http.ResponseWriter, *http.Request) { <-release })
	id := r.login("oABC")
	results := make(chan error, 50)
	for range 50 {
		go func() { results <- r.Tell(t.Context(), id) }()
	}
	close(release)
	for range 50 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	for key, times := range r.keys {
		if times != 1 {
			t.Errorf("%s came %d times, want once", key, times)
		}
	}
}

// TestWhoDoesNotWaitAnyLongerDoesNotEndTheCall leaves while the service is thinking.
func TestWhoDoesNotWaitAnyLongerDoesNotEndTheCall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	r.answers(func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-release })
	id := r.login("oABC")
	<-arrived
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Tell(ctx, id); !errors.Is(err, authn.ErrUserService) {
		t.Errorf("got %v, want ErrUserService", err)
	}
	close(release)
	if err := r.Tell(t.Context(), id); err != nil {
		t.Error(err)
	}
	if untold, err := r.store.Untold(t.Context(), id); untold || err != nil {
		t.Errorf("untold is %v, %v", untold, err)
	}
}

// TestEveryAnswerButA2xxIsNoAcceptance goes through what services answer.
func TestEveryAnswerButA2xxIsNoAcceptance(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, status := range []int{200, 201, 204, 301, 400, 401, 404, 409, 422, 429, 500, 503} {
		r.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		id := r.login(fmt.Sprint("o", i))
		err := r.Tell(t.Context(), id)
		if accepted := status < 300; accepted != (err == nil) || err != nil && !errors.Is(err, authn.ErrUserService) {
			t.Errorf("after %d: %v", status, err)
		}
		if err != nil && unreachable(err) != strings.Contains(" 401 404 429 503 ", fmt.Sprintf(" %d ", status)) {
			t.Errorf("%d is taken for a service that does not answer: %v", status, unreachable(err))
		}
	}
}

// TestARoundStopsAtAServiceThatDoesNotAnswer has 2000 users with events and a service that is down: it is not asked 2000
// times, and told of all of them once it is back.
func TestARoundStopsAtAServiceThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var asked atomic.Int64
	r.answers(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	r.store.RecordEvents(false) // so that no news come
	for i := range 2000 {
		r.login(fmt.Sprint("o", i))
	}
	for after := int64(0); after < 2000; after += 200 {
		if _, err := r.store.TellAgain(t.Context(), after, 200); err != nil {
			t.Fatal(err)
		}
	}
	if !r.round() {
		t.Error("nothing is left after a round at a service that is down")
	}
	if n := asked.Load(); n == 0 || n > 6*concurrent {
		t.Errorf("the service was asked %d times, want some and few", n)
	}
	r.answers(func(http.ResponseWriter, *http.Request) {})
	for r.round() {
		if t.Context().Err() != nil {
			t.Fatal("the service is back, and something is left for ever")
		}
	}
	if ids, err := r.store.UsersToTell(t.Context(), 0, 10); len(ids) > 0 || err != nil {
		t.Errorf("%v, %v are left", ids, err)
	}
}

// TestOneRefusedUserHoldsUpNobody refuses one of 100.
func TestOneRefusedUserHoldsUpNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var refused string
	first := r.login("oFirst")
	if err := r.Tell(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		r.login(fmt.Sprint("o", i))
	}
	next, err := r.store.NextEvent(t.Context(), 50)
	if err == nil {
		refused = next.ID
	}
	r.answers(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Webhook-Id") == refused {
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
	})
	result, err := r.TellAgain(t.Context(), 0, 200)
	if err != nil || result.Told+len(result.Refused) != 101 || result.Next != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

// leasing is a store of which another gateway delivers events of some users.
type leasing struct {
	*storage.Store

	elsewhere sync.Map // by user
}

func (s *leasing) NextEvent(ctx context.Context, userID int64) (*storage.Delivery, error) {
	if _, leased := s.elsewhere.Load(userID); leased {
		return nil, storage.ErrLeased
	}
	return s.Store.NextEvent(ctx, userID)
}

// TestAFrozenGatewayHoldsUpItsOwnDeliveriesAlone has as many events on their way elsewhere as there are slots, each with
// somebody who waits.
func TestAFrozenGatewayHoldsUpItsOwnDeliveriesAlone(t *testing.T) {
	t.Parallel()
	var shared *leasing
	r := newRigOn(t, func(s *storage.Store) Store { shared = &leasing{Store: s}; return shared })
	waiting := make(chan error, concurrent)
	for id := range int64(concurrent) {
		shared.elsewhere.Store(id+1, true)
	}
	for id := range int64(concurrent) {
		if got := r.login(fmt.Sprint("o", id)); got != id+1 {
			t.Fatalf("user %d, want %d", got, id+1)
		}
		go func() { waiting <- r.Tell(t.Context(), id+1) }()
	}
	began := time.Now()
	if r.round() {
		t.Error("what another gateway delivers counts as left")
	}
	if err := r.Tell(t.Context(), r.login("somebody else")); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > leaseWait/2 {
		t.Errorf("a round and somebody else's first login took %v", took)
	}
	select {
	case err := <-waiting:
		t.Errorf("one whose event another gateway delivers did not wait: %v", err)
	default:
	}
	shared.elsewhere.Clear()
	for range concurrent {
		if err := <-waiting; err != nil {
			t.Error(err)
		}
	}
}

// TestASlowStoreIsNotTheServicesFault has an event whose time is nearly over when the store has handed it over.
func TestASlowStoreIsNotTheServicesFault(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := r.Pause(t.Context()); err != nil { // no round may find it
		t.Fatal(err)
	}
	t.Cleanup(r.Resume)
	next, err := r.store.NextEvent(t.Context(), r.loginQuietly("oABC"))
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Told(t.Context()); err != nil {
		t.Fatal(err)
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for next.Left() >= leastLeft/2 {
		<-ticker.C
	}
	if err := r.attempt(next); !errors.Is(err, storage.ErrLeased) || unreachable(err) {
		t.Errorf("%v, want that the event is left", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.keys[next.ID]; n != 0 {
		t.Errorf("the service was asked %d times, without time to answer", n)
	}
}

// TestAPauseWaitsForWhatIsOnItsWay: of a user with two events the first is on its way when the pause begins, so the second
// is told after it.
func TestAPauseWaitsForWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	calls, release := make(chan struct{}, 2), make(chan struct{})
	r.answers(func(http.ResponseWriter, *http.Request) {
		calls <- struct{}{}
		<-release
	})
	id := r.login("oABC")
	<-calls
	if _, err := r.store.UpdateUser(t.Context(), id, func(u *storage.User) error { u.Nickname = "小厨"; return nil }); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Pause(ended); !errors.Is(err, context.Canceled) {
		t.Fatalf("a pause while a call is on its way: %v", err)
	}
	paused := make(chan error, 1)
	go func() { paused <- r.Pause(t.Context()) }()
	select {
	case err := <-paused:
		t.Fatalf("the pause did not wait for the call: %v", err)
	default:
	}
	for !r.pausing.Load() {
		runtime.Gosched()
	}
	close(release)
	if err := <-paused; err != nil {
		t.Fatal(err)
	}
	if left, err := r.store.UsersToTell(t.Context(), 0, 10); err != nil || len(left) != 1 || len(calls) != 0 {
		t.Fatalf("%v users are left to tell, %v; %d calls during the pause", left, err, len(calls))
	}
	r.Resume()
	if err := r.Tell(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	<-calls
}

// TestWhatIsNotAcceptedIsListedWithItsReason until it is.
func TestWhatIsNotAcceptedIsListedWithItsReason(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.answers(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnprocessableEntity) })
	id := r.login("oAlice")
	if err := r.Tell(t.Context(), id); err == nil {
		t.Fatal("a refusal is no acceptance")
	}
	untold := func(before time.Time) []authn.Untold {
		page, err := r.Untold(t.Context(), 0, before)
		if err != nil || page.Next != nil {
			t.Fatal(page, err)
		}
		return page.Events
	}
	if early := untold(time.Now().Add(-time.Hour)); len(early) != 0 {
		t.Errorf("what has waited for an hour: %v, want nothing", early)
	}
	listed := untold(time.Now().Add(time.Second))
	if len(listed) != 1 || listed[0].UserID != id || listed[0].Type != storage.EventCreated || listed[0].Attempts < 1 || !strings.Contains(listed[0].LastError, "422") {
		t.Errorf("listed are %+v, want the event of user %d and a 422", listed, id)
	}
	r.answers(func(http.ResponseWriter, *http.Request) {})
	if err := r.Tell(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if left := untold(time.Now().Add(time.Second)); len(left) != 0 {
		t.Errorf("after its acceptance: %v, want nothing", left)
	}
}

// TestAnAccountIsMergedOnceTheServiceSaysSo refuses it at first. What the service is told of the two users is in order.
func TestAnAccountIsMergedOnceTheServiceSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var mu sync.Mutex
	var refusing atomic.Bool
	var bodies []string
	refusing.Store(true)
	r.answers(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, _ := req.Context().Value(bodyKey{}).(string)
		bodies = append(bodies, body)
		if refusing.Load() && strings.Contains(body, "user.merged") {
			w.WriteHeader(http.StatusConflict)
		}
	})
	through := func(app string) storage.LoginResult {
		t.Helper()
		in, err := r.store.Login(t.Context(), storage.Login{AppID: app, OpenID: "o in " + app, UnionID: "u", Link: &storage.Linking{}})
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	through("wx1")
	if in := through("wx2"); !in.Linking {
		t.Errorf("the login of the second account is %+v, want it to wait", in)
	}
	if err := r.Tell(t.Context(), 2); !errors.Is(err, authn.ErrUserService) {
		t.Errorf("telling a service that refuses: %v", err)
	}
	if in := through("wx2"); in.User.ID != 2 {
		t.Errorf("before the service accepts, the login is one of user %d, want 2", in.User.ID)
	}
	refusing.Store(false)
	if err := r.Tell(t.Context(), 2); err != nil {
		t.Error(err)
	}
	if in := through("wx2"); in.User.ID != 1 || in.Account != 2 {
		t.Errorf("after it, one of user %d through %d, want 1 through 2", in.User.ID, in.Account)
	}
	mu.Lock()
	defer mu.Unlock()
	said := strings.Join(bodies, "\n")
	first, second, merged := strings.Index(said, `"type":"user.created","`), strings.Index(said, `"id":2,"openid":"o in wx2"`), strings.Index(said, `"id":2,"from":2,"into":1,"openid":"o in wx2"`)
	if first < 0 || second < first && second < 0 || merged < second || !strings.Contains(said[:merged], `"id":1,`) {
		t.Errorf("the service was told\n%s", said)
	}
}
