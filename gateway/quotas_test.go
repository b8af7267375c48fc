package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/gateway/admin"
	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/storage"
	"wxgate/storage/badger"
	"wxgate/upstream/upstreamtest"
)

// withQuota is a change that adds routes with a quota of their own, of two a day.
func withQuota(more ...func(*Config)) func(*Config) {
	return func(cfg *Config) {
		for _, r := range []RouteConfig{
			{Path: "/ai/**"},
			{Path: "/ai/quick/**", Timeout: 300 * time.Millisecond},
			{Path: "/chat", RateLimit: RateLimitConfig{QuotaName: "chat"}},
			{Path: "/open/**", RateLimit: RateLimitConfig{QuotaOpen: true}},
		} {
			r.Upstream, r.Auth, r.RateLimit.Per, r.RateLimit.Quota = "service", AuthRequired, limit.PerUser, 2
			if strings.HasPrefix(r.Path, "/ai/") {
				r.RateLimit.QuotaName = "ai"
			}
			cfg.Routes = append(cfg.Routes, r)
		}
		for _, change := range more {
			change(cfg)
		}
	}
}

// nearMidnight is a clock that runs ahead to a few seconds before the next midnight in Shanghai, and to d later once it is moved.
func nearMidnight() (now func() time.Time, move func(d time.Duration)) {
	const day = 24 * time.Hour
	var mu sync.Mutex
	ahead := day - time.Duration(time.Now().Add(8*time.Hour).UnixNano())%day - 5*time.Second
	if ahead < 0 {
		ahead += day
	}
	return func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(ahead)
		}, func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			ahead += d
		}
}

func TestAQuotaIsOfOneUserUntilMidnightInShanghai(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	now, move := nearMidnight()
	e := newEdgeWith(t, service.URL, withQuota(), func(d *Deps) { d.Now = now })
	alice, bob := e.token(t, "alice"), e.token(t, "bob")
	for i, want := range []string{"200 1 false", "200 0 false", "429 0 true"} {
		resp, body := e.send(t, head("POST /ai/ask", alice))
		var left, seconds int
		_, err := fmt.Sscanf(resp.Header.Get("RateLimit"), `"user-day";r=%d;t=%d`, &left, &seconds)
		got := fmt.Sprint(resp.StatusCode, left, strings.Contains(body, `"reason":"quota_exceeded"`))
		if got != want || err != nil || seconds > 5 || resp.Header.Get("RateLimit-Policy") != `"user-day";q=2;w=86400` {
			t.Errorf("request %d: got %s %v, want %s", i+1, got, resp.Header, want)
		}
		if after := resp.Header.Get("Retry-After"); resp.StatusCode == 429 && (after < "1" || after > "5" || len(after) != 1) {
			t.Errorf("Retry-After is %q, want the seconds until midnight", after)
		}
	}
	for _, row := range []struct{ what, request, want string }{
		{"a route that shares it", head("GET /ai/quick/x", alice), "429"},
		{"one that does not", head("GET /open/x", alice), "200 200 429"},
		{"somebody else", head("GET /ai/ask", bob), "200"},
		{"nobody", head("GET /ai/ask", ""), "401"},
	} {
		if got := e.statuses(t, strings.Count(row.want, " ")+1, row.request); got != row.want {
			t.Errorf("%s: got %s, want %s", row.what, got, row.want)
		}
	}
	move(10 * time.Second)
	if got := e.statuses(t, 3, head("GET /ai/ask", alice)); got != "200 200 429" {
		t.Errorf("after midnight: got %s", got)
	}
	for result, want := range map[string]float64{"counted": 5, "exceeded": 3} {
		if got := e.count(t, "wxgate_quota_requests_total", `quota="ai"`, `result="`+result+`"`); got != want {
			t.Errorf("%v are %s, want %v", got, result, want)
		}
	}
	if resp, _ := e.send(t, head("GET /private/x", alice)); resp.Header.Get("RateLimit") != "" {
		t.Errorf("a route without a quota says %q", resp.Header.Get("RateLimit"))
	}
}

// TestWhatWasNotAnsweredIsGivenBack, however often it was tried.
func TestWhatWasNotAnsweredIsGivenBack(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		defer conn.Close()
		req, err := upstreamtest.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		status := strings.TrimPrefix(req.Path(), "/ai/")
		switch {
		case strings.HasSuffix(status, "quick/silence"):
			upstreamtest.Dawdle(time.Second)
		case status == "reset":
			upstreamtest.Reset(conn)
		default:
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status)
		}
	})
	e := newEdge(t, service.URL, withQuota())
	token := e.token(t, "alice")
	for _, row := range []struct {
		request, want string
		left          string
	}{
		{head("GET /ai/503", token), "503", "2"},
		{head("GET /ai/502", token), "502", "2"},
		{head("GET /ai/504", token), "504", "2"},
		{head("POST /ai/reset", token), "502", "2"},
		{head("GET /ai/reset", token), "502", "2"}, // tried again, and counted once
		{head("GET /ai/quick/silence", token), "504", "2"},
		{webSocket("GET /ai/ws", token, "Sec-WebSocket-Version: 12"), "426", "2"}, // it was not sent
		{head("GET /ai/500", token), "500", "1"},
		{head("GET /ai/404", token), "404", "0"},
		{head("GET /ai/200", token), "429", "0"},
	} {
		resp, body := e.send(t, row.request)
		_, left, _ := strings.Cut(resp.Header.Get("RateLimit"), "r=")
		left, _, _ = strings.Cut(left, ";")
		if fmt.Sprint(resp.StatusCode) != row.want || left != row.left {
			t.Errorf("%.30q: got %d with %s left, want %s with %s; %s", row.request, resp.StatusCode, left, row.want, row.left, body)
		}
	}
	if got := e.count(t, "wxgate_quota_requests_total", `quota="ai"`, `result="given_back"`); got != 7 {
		t.Errorf("%v are given back, want 7", got)
	}
}

// pondering runs a service that never answers, and tells of each request.
func pondering(t *testing.T) (service *upstreamtest.Service, arrived chan struct{}) {
	t.Helper()
	arrived = make(chan struct{}, 16)
	return upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		br := bufio.NewReader(conn)
		if _, err := upstreamtest.ReadRequest(br); err == nil {
			arrived <- struct{}{}
			_, _ = br.ReadByte()
		}
	}), arrived
}

// TestWhoLeavesHasUsedTheQuota: the service may have done all of the work.
func TestWhoLeavesHasUsedTheQuota(t *testing.T) {
	t.Parallel()
	service, arrived := pondering(t)
	e := newEdge(t, service.URL, withQuota())
	token := e.token(t, "alice")
	for i := range 2 {
		l := e.dial(t)
		l.say(t, head("GET /ai/ask", token))
		<-arrived
		_ = l.Conn.Close()
		eventually(t, "the client is gone", func() bool { return e.count(t, "wxgate_requests_total", `reason="client_gone"`) == float64(i+1) })
	}
	if got := e.statuses(t, 1, head("GET /ai/ask", token)); got != "429" {
		t.Errorf("got %s, want 429", got)
	}
}

func TestAWebSocketCountsOnce(t *testing.T) {
	t.Parallel()
	e := newEdge(t, socketService(t, "", echo).URL, withQuota())
	token := e.token(t, "alice")
	for range 2 {
		l := e.dial(t)
		l.open(t, webSocket("GET /chat", token))
		l.say(t, "one")
		l.expect(t, "one")
		l.say(t, "two")
		l.expect(t, "two")
	}
	if resp, body := e.send(t, webSocket("GET /chat", token)); resp.StatusCode != 429 || !strings.Contains(body, "quota_exceeded") {
		t.Errorf("the third: got %d %s", resp.StatusCode, body)
	}
}

func TestEveryShapeOfAnswersHasTheQuota(t *testing.T) {
	t.Parallel()
	for preset, want := range map[string]string{
		"envelope": `429 {"code":429,"message":"今日次数已用完，请明天再来"`, "status_code": `429 {"statusCode":429,`, "errno": `200 {"errno":`,
		"code_msg": `200 {"code":`, "code_text": `429 {"code":`,
	} {
		e := newEdge(t, upstreamtest.Echo(t).URL, withQuota(func(cfg *Config) { cfg.Answers = answer.Config{Preset: preset} }))
		request := head("GET /ai/ask", e.token(t, "alice"))
		e.statuses(t, 2, request)
		resp, body := e.send(t, request)
		got := fmt.Sprint(resp.StatusCode, " ", body)
		if !strings.HasPrefix(got, want) || !strings.Contains(body, "今日次数已用完") || resp.Header.Get("X-Wxgate-Reason") != "quota_exceeded" && preset != "envelope" {
			t.Errorf("%s: got %s %v, want %s", preset, got, resp.Header, want)
		}
	}
}

// deadStore is a store that is away.
type deadStore struct{}

func (deadStore) Temporary(context.Context, string) ([]byte, error) {
	return nil, storage.ErrUnavailable
}

func (deadStore) ChangeTemporary(context.Context, string, func([]byte) ([]byte, time.Duration, error)) error {
	return errors.New("too late")
}

func TestWithoutAStoreOnlyAnOpenQuotaLetsPass(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdgeWith(t, service.URL, withQuota(), func(d *Deps) { d.Quotas = deadStore{} })
	token := e.token(t, "alice")
	resp, body := e.send(t, head("GET /ai/ask", token))
	if resp.StatusCode != 503 || !strings.Contains(body, "storage_unavailable") || resp.Header.Get("Retry-After") != "5" || len(service.Requests()) != 0 {
		t.Errorf("got %d %s %v, want 503 storage_unavailable", resp.StatusCode, body, resp.Header)
	}
	for range 3 {
		if resp, body := e.send(t, head("GET /open/ask", token)); resp.StatusCode != 200 || resp.Header.Get("RateLimit") != "" {
			t.Errorf("open: got %d %s %v, want 200 without fields", resp.StatusCode, body, resp.Header)
		}
	}
	if got := e.count(t, "wxgate_quota_requests_total", `quota="/open/**"`, `result="uncounted"`); got != 3 {
		t.Errorf("%v are uncounted, want 3", got)
	}
}

// TestARefusalBeforeTheServiceCostsNothing refuses by another limit, also one that is only found behind the quota.
func TestARefusalBeforeTheServiceCostsNothing(t *testing.T) {
	t.Parallel()
	service, arrived := pondering(t)
	e := newEdge(t, service.URL, withQuota(func(cfg *Config) {
		cfg.Limits.PerClient.UpstreamConnections = 1
		cfg.Routes = append(cfg.Routes, RouteConfig{
			Path: "/both", Upstream: "service", Auth: AuthRequired,
			RateLimit: RateLimitConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 1, Per: time.Hour}, Burst: 1, Quota: 2, QuotaName: "ai"},
		})
	}))
	token := e.token(t, "alice")
	l := e.dial(t)
	l.say(t, head("GET /ai/ask", token))
	<-arrived
	for range 3 {
		if resp, body := e.send(t, head("GET /both", token)); resp.StatusCode != 429 || strings.Contains(body, "quota_exceeded") {
			t.Errorf("got %d %s, want 429 of another limit", resp.StatusCode, body)
		}
	}
	count, err := e.quotas.counter.Of(t.Context(), 1, e.snapshot.Load().cfg.Quotas()[1])
	if err != nil || count.Used != 1 || count.Name != "ai" {
		t.Errorf("%d of %s are used, %v; want 1", count.Used, count.Name, err)
	}
	_ = l.Conn.Close()
}

func TestQuotasAreReadAndGranted(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, withQuota())
	o := &operator{e, e.operated(t), ""}
	token := e.token(t, "alice")
	if got := e.statuses(t, 3, head("GET /ai/ask", token)); got != "200 200 429" {
		t.Fatalf("got %s", got)
	}
	for _, row := range []struct {
		request, body string
		status        int
		want          string
	}{
		{"GET /api/users/1/quotas", "", 200, `{"quotas":[{"name":"/open/**","per_day":2,"granted":0,"used":0,"left":2,"resets_at":"`},
		{"GET /api/users/1/quotas", "", 200, `{"name":"ai","per_day":2,"granted":0,"used":2,"left":0,"resets_at":"`},
		{"POST /api/users/1/quotas", `{"name":"ai","grant":1}`, 200, `{"name":"ai","per_day":2,"granted":1,"used":2,"left":1,"resets_at":"`},
		{"GET /api/users/2/quotas", "", 404, ""},
		{"POST /api/users/2/quotas", `{"name":"ai","grant":1}`, 404, ""},
		{"POST /api/users/1/quotas", `{"name":"nothing","grant":1}`, 400, ""},
		{"POST /api/users/1/quotas", `{"name":"ai","grant":0}`, 400, ""},
		{"POST /api/users/1/quotas", `{"name":"ai","grant":1.5}`, 400, ""},
		{"POST /api/users/1/quotas", `{"name":"ai"}`, 400, ""},
		{"POST /api/users/1/quotas", `{"name":"ai","grant":1,"day":"today"}`, 400, ""},
	} {
		got := o.ask(t, row.request, row.body, "Content-Type: application/json")
		if got.status != row.status || !strings.Contains(string(got.json.Data), row.want) {
			t.Errorf("%s %s: got %d %s, want %d %s", row.request, row.body, got.status, got.body, row.status, row.want)
		}
	}
	if got := e.statuses(t, 2, head("GET /ai/ask", token)); got != "200 429" {
		t.Errorf("after one was granted: got %s", got)
	}
	var list admin.QuotaList
	if err := json.Unmarshal(o.ask(t, "GET /api/users/1/quotas", "").json.Data, &list); err != nil || len(list.Quotas) != 3 {
		t.Errorf("got %+v, %v; want three", list, err)
	}
}

// TestAQuotaOfALinkedAccountIsThatOfTheUser: what was granted to the account would be lost.
func TestAQuotaOfALinkedAccountIsThatOfTheUser(t *testing.T) {
	t.Parallel()
	var store *badger.Store
	e := newEdgeWith(t, upstreamtest.Echo(t).URL, withQuota(), func(d *Deps) { store = d.Storage.(*badger.Store) })
	o := &operator{e, e.operated(t), ""}
	for _, app := range []string{"wx1", "wx2"} {
		if _, err := store.Login(t.Context(), storage.Login{AppID: app, OpenID: "alice", UnionID: "u", Link: &storage.Linking{}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, request := range []string{"GET /api/users/2/quotas", "POST /api/users/2/quotas"} {
		got := o.ask(t, request, `{"name":"ai","grant":1}`, "Content-Type: application/json")
		if got.status != 409 || !strings.Contains(string(got.body), "to another user, 1: do it with that one") {
			t.Errorf("%s: got %d %s, want 409 with the user whose it is", request, got.status, got.body)
		}
	}
}

// TestAReloadKeepsWhatWasCounted and goes by the new figure.
func TestAReloadKeepsWhatWasCounted(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, withQuota())
	request := head("GET /open/ask", e.token(t, "alice"))
	before := e.statuses(t, 3, request)
	r := e.snapshot.Load()
	cfg := r.cfg
	cfg.Routes = append([]RouteConfig{}, cfg.Routes...)
	cfg.Routes[len(cfg.Routes)-1].RateLimit.Quota = 3
	e.reload(t, cfg, r.upstreams)
	if got := before + ", " + e.statuses(t, 2, request); got != "200 200 429, 200 429" {
		t.Errorf("got %s", got)
	}
}

func TestExplainCountsNothingAndRoutesSayTheQuota(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Upstreams = []string{"service"}
	withQuota()(&cfg)
	for range 3 {
		got, err := Explain(cfg, Question{Method: http.MethodGet, Target: "/ai/ask", Host: "a"})
		if err != nil || got.Refusal != nil || got.Route == nil || got.Route.RateLimit != "2/day per user (quota ai)" {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if got := rateLimits(t, cfg)[" /open/**"]; got != "2/day per user (quota /open/**), open" {
		t.Errorf("got %q", got)
	}
}
