package wechat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
)

func TestATokenIsFetchedOnceForManyCallers(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.Delay("stable_token", 50*time.Millisecond)
	client := newClient(t, s.URL())
	tokens := make(chan wechat.ServerToken, 50)
	var group sync.WaitGroup
	for range cap(tokens) {
		group.Go(func() {
			token, err := client.ServerToken(t.Context())
			if err != nil {
				t.Errorf("ServerToken: got %v, want a token", err)
			}
			tokens <- token
		})
	}
	group.Wait()
	close(tokens)
	want := mustToken(t, client)
	for got := range tokens {
		if got != want || got.Value == "" {
			t.Errorf("token: got another one than %d callers before", cap(tokens))
		}
	}
	if got := calls(s, "stable_token"); got != 1 {
		t.Errorf("requests for a token: got %d, want 1", got)
	}
}

func TestATokenIsReplacedFiveMinutesEarlyWhileTheOldOneIsHandedOut(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := timedSandbox(t, now)
	client := clientWith(t, s.URL(), wechat.Deps{Now: now.Now})
	old := mustToken(t, client)
	now.add(2*time.Hour - 5*time.Minute - time.Second)
	if got := mustToken(t, client); got != old || calls(s, "stable_token") != 1 {
		t.Errorf("a second early: got another token or %d requests, want the first and 1", calls(s, "stable_token"))
	}
	now.add(time.Second)
	s.Delay("stable_token", 100*time.Millisecond)
	if got := mustToken(t, client); got != old {
		t.Error("five minutes before the end: got another token, want the old one without waiting")
	}
	eventually(t, "new token", func() bool { return mustToken(t, client) != old })
	if got := calls(s, "stable_token"); got != 2 {
		t.Errorf("requests for a token: got %d, want 2", got)
	}
}

func TestATokenThatCannotBeReplacedEarlyServesToItsEnd(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := timedSandbox(t, now)
	client := clientWith(t, s.URL(), wechat.Deps{Now: now.Now})
	old := mustToken(t, client)
	fail(t, s, sandbox.Failure{API: "stable_token", Kinds: []string{"502"}})
	now.add(2*time.Hour - time.Minute)
	for range 20 {
		if got := mustToken(t, client); got != old {
			t.Error("while WeChat is down: got another token, want the old one")
		}
		client.Close() // waits for the attempt
	}
	if got := calls(s, "stable_token"); got != 2 {
		t.Errorf("requests within the same second: got %d, want the first and one attempt", got)
	}
	now.add(11 * time.Second)
	mustToken(t, client)
	client.Close()
	if got := calls(s, "stable_token"); got != 3 {
		t.Errorf("requests after ten seconds: got %d, want another attempt, 3", got)
	}
	now.add(time.Minute)
	if _, err := client.ServerToken(t.Context()); !errors.Is(err, wechat.ErrBadResponse) {
		t.Errorf("after its end: got %v, want ErrBadResponse", err)
	}
}

func TestARefusedTokenIsReplacedOnce(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	old := mustToken(t, client)
	forceRefresh(t, s)
	before := calls(s, "stable_token")
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			client.InvalidateToken(old.Value)
			if token, err := client.ServerToken(t.Context()); err != nil || token.Value == old.Value {
				t.Errorf("ServerToken after Invalidate: got %v or the old one, want another", err)
			}
		})
	}
	group.Wait()
	if got := calls(s, "stable_token") - before; got != 1 {
		t.Errorf("requests after 50 times Invalidate: got %d, want 1", got)
	}
	client.InvalidateToken(old.Value)
	client.InvalidateToken("")
	mustToken(t, client)
	if got := calls(s, "stable_token") - before; got != 1 {
		t.Errorf("requests after Invalidate of a token long gone: got %d, want still 1", got)
	}
}

func TestARefreshIsForcedOnlyForTheTokenThatWeChatStillGivesOut(t *testing.T) {
	t.Parallel()
	now := newClock()
	var forces, asks int
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var body struct {
			Force bool `json:"force_refresh"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		asks++
		if body.Force {
			forces++
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":7200}`, forces)
	}))
	t.Cleanup(server.Close)
	client := clientWith(t, server.URL, wechat.Deps{Now: now.Now})
	seen := func(wantAsks, wantForces int, when string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if asks != wantAsks || forces != wantForces {
			t.Errorf("%s: got %d requests and %d of them forced, want %d and %d", when, asks, forces, wantAsks, wantForces)
		}
	}
	client.InvalidateToken(mustToken(t, client).Value)
	if got := mustToken(t, client).Value.Reveal(); got != "token-1" {
		t.Errorf("after Invalidate: got %s, want token-1", got)
	}
	seen(3, 1, "after one Invalidate")

	client.InvalidateToken("token-1")
	client.InvalidateToken("token-0") // somebody slow, with an older one, does not bring token-1 back
	if _, err := client.ServerToken(t.Context()); !errors.Is(err, wechat.ErrTokenRefused) {
		t.Errorf("a second Invalidate at once: got %v, want ErrTokenRefused", err)
	}
	seen(4, 1, "within 30 s")

	now.add(30 * time.Second)
	if got := mustToken(t, client).Value.Reveal(); got != "token-2" {
		t.Errorf("30 s later: got %s, want token-2", got)
	}
	seen(6, 2, "after 30 s")
}

func TestAReplacementUnderWayThatBringsTheRefusedTokenIsNotEnough(t *testing.T) {
	t.Parallel()
	now := newClock()
	hold, asked := make(chan struct{}), make(chan bool, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Force bool `json:"force_refresh"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		asked <- body.Force
		<-hold
		if body.Force {
			_, _ = w.Write([]byte(`{"access_token":"second","expires_in":7200}`))
			return
		}
		_, _ = w.Write([]byte(`{"access_token":"first","expires_in":7200}`))
	}))
	t.Cleanup(server.Close)
	client := clientWith(t, server.URL, wechat.Deps{Now: now.Now})
	mustTokenWhile(t, client, hold)
	<-asked
	now.add(2*time.Hour - 5*time.Minute)
	mustToken(t, client) // launches the early replacement, which hangs
	<-asked
	client.InvalidateToken("first")
	if got := mustTokenWhile(t, client, hold); got != "second" {
		t.Errorf("token after Invalidate amid a replacement: got %s, want second", got)
	}
}

// mustTokenWhile lets the held answers go until there is a token.
func mustTokenWhile(t *testing.T, client *wechat.Client, hold chan struct{}) string {
	t.Helper()
	got := make(chan wechat.ServerToken, 1)
	go func() {
		token, err := client.ServerToken(t.Context())
		if err != nil {
			t.Errorf("ServerToken: got %v, want a token", err)
		}
		got <- token
	}()
	for {
		select {
		case hold <- struct{}{}:
		case token := <-got:
			return token.Value.Reveal()
		}
	}
}

func TestACallerWhoLeavesTakesNobodyWithHim(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.Delay("stable_token", 200*time.Millisecond)
	client := newClient(t, s.URL())
	gone, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { _, err := client.ServerToken(gone); left <- err }()
	eventually(t, "request for a token", func() bool { return calls(s, "stable_token") == 1 })
	stayed := make(chan error)
	go func() { _, err := client.ServerToken(t.Context()); stayed <- err }()
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left: got %v, want context.Canceled", err)
	}
	if err := <-stayed; err != nil || calls(s, "stable_token") != 1 {
		t.Errorf("who stayed: got %v after %d requests, want a token after 1", err, calls(s, "stable_token"))
	}
	hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	slow := newClient(t, s.URL())
	if _, err := slow.ServerToken(hurried); !errors.Is(err, wechat.ErrTimeout) {
		t.Errorf("a deadline: got %v, want ErrTimeout", err)
	}
}

func TestAFailureToGetATokenIsToldAndNotKept(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	for kind, want := range map[string]error{
		"html": wechat.ErrBadResponse, "half": wechat.ErrBadResponse, "reset": wechat.ErrBadResponse, "502": wechat.ErrBadResponse, "huge": wechat.ErrBadResponse,
	} {
		fail(t, s, sandbox.Failure{API: "stable_token", Kinds: []string{kind}})
		_, err := client.ServerToken(t.Context())
		if !errors.Is(err, want) {
			t.Errorf("ServerToken while %s: got %v, want %v", kind, err, want)
		}
		tellsNothing(t, err, "access_token\":")
	}
	wrong := newClient(t, s.URL(), func(c *wechat.Config) { c.Secret = "another-secret" })
	fail(t, s, sandbox.Failure{API: "stable_token"})
	_, err := wrong.ServerToken(t.Context())
	var answer *wechat.Error
	if !errors.As(err, &answer) || answer.Code != wechat.ErrCodeInvalidSecret || answer.API != "stable_token" {
		t.Errorf("wrong secret: got %v, want errcode 40125 of stable_token", err)
	}
	mustToken(t, client)
}

// memory is a TokenStore that may fail.
type memory struct {
	mu     sync.Mutex
	tokens map[string]wechat.ServerToken
	leased bool
	err    error
}

func (m *memory) Load(_ context.Context, appID string) (wechat.ServerToken, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tokens[appID], m.err
}

func (m *memory) Save(_ context.Context, appID string, token wechat.ServerToken) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.tokens[appID] = token
	}
	return m.err
}

func (m *memory) Lease(context.Context, string) (release func(), taken bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil || m.leased {
		return nil, false, m.err
	}
	m.leased = true
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.leased = false
	}, true, nil
}

// TestOneOfManyReplicasAsksWeChat when all of them want a token at once, at first and after it was refused.
func TestOneOfManyReplicasAsksWeChat(t *testing.T) {
	t.Parallel()
	now := newClock()
	s, store := timedSandbox(t, now), &memory{tokens: map[string]wechat.ServerToken{}}
	replicas := make([]*wechat.Client, 8)
	for i := range replicas {
		replicas[i] = clientWith(t, s.URL(), wechat.Deps{Now: now.Now, Tokens: store})
	}
	all := func() (token wechat.ServerToken) {
		t.Helper()
		got := make([]wechat.ServerToken, len(replicas))
		var group sync.WaitGroup
		for i, replica := range replicas {
			group.Go(func() {
				var err error
				if got[i], err = replica.ServerToken(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for i := range got {
			if got[i] != got[0] {
				t.Errorf("replica %d has another token", i)
			}
		}
		return got[0]
	}
	first := all()
	if n := calls(s, "stable_token"); n != 1 {
		t.Errorf("WeChat was asked %d times, want once", n)
	}
	forceRefresh(t, s)
	before := calls(s, "stable_token")
	for _, replica := range replicas {
		replica.InvalidateToken(first.Value)
	}
	if second := all(); second == first || calls(s, "stable_token") != before+1 {
		t.Errorf("after it was refused WeChat was asked %d times, want once", calls(s, "stable_token")-before)
	}
	if store.leased {
		t.Error("the lease was not released")
	}
}

// TestALeaseOfAnotherReplicaIsNotWaitedForLong has one that is never released.
func TestALeaseOfAnotherReplicaIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	now := newClock()
	store := &memory{tokens: map[string]wechat.ServerToken{}, leased: true}
	start := time.Now()
	mustToken(t, clientWith(t, timedSandbox(t, now).URL(), wechat.Deps{Now: now.Now, Tokens: store}))
	if took := time.Since(start); took < 100*time.Millisecond || took > 4*time.Second {
		t.Errorf("it took %v, want half of what a request has, 2 s at most", took)
	}
}

func TestReplicasShareATokenThroughTheStore(t *testing.T) {
	t.Parallel()
	now := newClock()
	s, store := timedSandbox(t, now), &memory{tokens: map[string]wechat.ServerToken{}}
	one := clientWith(t, s.URL(), wechat.Deps{Now: now.Now, Tokens: store})
	two := clientWith(t, s.URL(), wechat.Deps{Now: now.Now, Tokens: store})
	first := mustToken(t, one)
	if got := mustToken(t, two); got != first || calls(s, "stable_token") != 1 || store.tokens[appID] != first {
		t.Errorf("second replica: got another token or %d requests, want the first one and 1", calls(s, "stable_token"))
	}
	forceRefresh(t, s)
	before := calls(s, "stable_token")
	one.InvalidateToken(first.Value)
	second := mustToken(t, one)
	two.InvalidateToken(first.Value)
	if got := mustToken(t, two); got != second || second == first || calls(s, "stable_token") != before+1 {
		t.Errorf("after both were refused: got different tokens or %d requests, want one and 1", calls(s, "stable_token")-before)
	}
}

func TestAStoreThatFailsOrHoldsAnOldTokenIsPassedOver(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := timedSandbox(t, now)
	for name, store := range map[string]*memory{
		"fails":         {tokens: map[string]wechat.ServerToken{appID: {Value: "x", Expires: now.Now().Add(time.Hour)}}, err: errors.New("disk on fire")},
		"nothing":       {tokens: map[string]wechat.ServerToken{}},
		"about to end":  {tokens: map[string]wechat.ServerToken{appID: {Value: "x", Expires: now.Now().Add(5 * time.Minute)}}},
		"another appid": {tokens: map[string]wechat.ServerToken{"wx0": {Value: "x", Expires: now.Now().Add(time.Hour)}}},
	} {
		if got := mustToken(t, clientWith(t, s.URL(), wechat.Deps{Now: now.Now, Tokens: store})); got.Value == "x" {
			t.Errorf("store that %s: got its token, want WeChat's", name)
		}
	}
}

func TestATokenIsNeverShown(t *testing.T) {
	t.Parallel()
	client := newClient(t, newSandbox(t).URL())
	token := mustToken(t, client)
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("event", "token", token, "client", client)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		_, _ = fmt.Fprintf(&out, verb+verb+verb, token, client, *client)
	}
	if strings.Contains(out.String(), token.Value.Reveal()) || strings.Contains(out.String(), fmt.Sprintf("%x", token.Value.Reveal())) {
		t.Errorf("printed: got %s, want no token in it", out.String())
	}
}

func TestTheOpenInterfaceServiceKeepsTheToken(t *testing.T) {
	t.Parallel()
	client := clientWith(t, newSandbox(t).URL(), wechat.Deps{OpenInterface: true})
	client.InvalidateToken("x")
	if _, err := client.ServerToken(t.Context()); !errors.Is(err, wechat.ErrNoToken) {
		t.Errorf("ServerToken: got %v, want ErrNoToken", err)
	}
}

// forceRefresh kills the current token as another program with the same secret would.
func forceRefresh(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	body := `{"grant_type":"client_credential","appid":"` + appID + `","secret":"` + plain + `","force_refresh":true}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL()+"/cgi-bin/stable_token", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("stable_token: got status %d", response.StatusCode)
	}
}
