package gateway

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

// prefetching is a gateway with a route for pre-fetches.
func prefetching(t *testing.T, change func(*Config)) (*edge, *upstreamtest.Service) {
	t.Helper()
	service := upstreamtest.Echo(t)
	return newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/prefetch", Upstream: "service", Auth: AuthPrefetch})
		if change != nil {
			change(cfg)
		}
	}), service
}

func (e *edge) prefetches(t *testing.T, code string) int {
	t.Helper()
	resp, _ := e.send(t, head("GET /prefetch?appid="+testAppID+"&code="+code, ""))
	return resp.StatusCode
}

func TestAPrefetchCodeSentFiveTimesIsSpentOnce(t *testing.T) {
	t.Parallel()
	e, service := prefetching(t, nil)
	good, bad := e.weChat.IssueCode("alice"), "err-40029"
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if status := e.prefetches(t, good); status != http.StatusOK {
				t.Errorf("a code that comes five times: %d, want 200 each time", status)
			}
			if status := e.prefetches(t, bad); status != http.StatusUnauthorized {
				t.Errorf("a bad code that comes five times: %d, want 401 each time", status)
			}
		})
	}
	all.Wait()
	for _, code := range []string{good, bad} {
		if n := e.weChat.Seen(code); n != 1 {
			t.Errorf("%s: WeChat was asked %d times, want once", code, n)
		}
	}
	if got := service.Requests(); len(got) != 5 || got[4].Field("X-User-Id") != "1" {
		t.Errorf("%d requests reached the service, want 5 of user 1", len(got))
	}
}

func TestAFloodOfPrefetchesAsksWeChatNoMoreThanItsLimit(t *testing.T) {
	t.Parallel()
	e, _ := prefetching(t, func(cfg *Config) {
		cfg.Limits.Prefetch = limit.Rate{Count: 20, Per: time.Hour}
		cfg.Limits.Login = limit.BucketConfig{Per: limit.PerIP, Rate: limit.Rate{Count: 1, Per: time.Hour}, Burst: 5} // of the address: not asked for a pre-fetch
	})
	statuses := map[int]int{}
	for i := range 60 {
		statuses[e.prefetches(t, fmt.Sprintf("demo-p%d-%d", i, i))]++
	}
	if statuses[http.StatusOK] != 20 || statuses[http.StatusTooManyRequests] != 40 {
		t.Errorf("60 codes from one address: %v, want 20 taken and 40 refused", statuses)
	}
	if n := e.weChat.Stats().APIs["jscode2session"].Calls; n != 20 {
		t.Errorf("WeChat was asked %d times, want 20", n)
	}
	if n := e.count(t, "wxgate_rate_limited_total", `route="/prefetch"`); n != 40 {
		t.Errorf("counted %v refusals, want 40", n)
	}
	if resp, body := e.send(t, head("GET /prefetch?token="+e.token(t, "alice"), "")); resp.StatusCode != http.StatusOK {
		t.Errorf("a pre-fetch by token while codes are refused: %d %s, want 200", resp.StatusCode, body)
	}
}

func TestOnePersonsPrefetchesAreLimitedByOpenID(t *testing.T) {
	t.Parallel()
	e, _ := prefetching(t, func(cfg *Config) {
		cfg.Limits.Login = limit.BucketConfig{Per: limit.PerIP, Rate: limit.Rate{Count: 1, Per: time.Hour}, Burst: 3}
	})
	last := 0
	for range 4 {
		last = e.prefetches(t, e.weChat.IssueCode("alice"))
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("alice's fourth pre-fetch: %d, want 429", last)
	}
	if status := e.prefetches(t, e.weChat.IssueCode("bob")); status != http.StatusOK {
		t.Errorf("bob's first: %d, want 200", status)
	}
}

func TestAPrefetchThatExpects100SpendsItsCodeOnce(t *testing.T) {
	t.Parallel()
	e, service := prefetching(t, allowsGetBodies)
	code := e.weChat.IssueCode("alice")
	l := e.dial(t)
	l.say(t, head("GET /prefetch?appid="+testAppID+"&code="+code, "", "Expect: 100-continue", "Content-Length: 2"))
	if resp, body := l.answer(t); resp.StatusCode != http.StatusContinue {
		t.Fatalf("%d %s, want 100", resp.StatusCode, body)
	}
	l.say(t, "ab")
	if resp, body := l.answer(t); resp.StatusCode != http.StatusOK {
		t.Errorf("%d %s, want 200", resp.StatusCode, body)
	}
	if n := e.weChat.Seen(code); n != 1 || len(service.Requests()) != 1 {
		t.Errorf("the code was sent %d times and the service asked %d times, want once each", n, len(service.Requests()))
	}
}
