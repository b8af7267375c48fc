package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/process/handover"
	"wxgate/upstream/upstreamtest"
)

// retryAfter sends a request that is refused for overload and returns when to come back.
func (l line) retryAfter(t *testing.T, request string) string {
	t.Helper()
	l.say(t, request)
	resp, body := l.answer(t)
	if resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"overloaded"`) {
		t.Errorf("got %d %s, want 503 overloaded", resp.StatusCode, body)
	}
	return resp.Header.Get("Retry-After")
}

// TestWhoAsksAgainAtOnceAfterA503WaitsForItsTurn: thousands that did not wait left no processor for those who were let in.
func TestWhoAsksAgainAtOnceAfterA503WaitsForItsTurn(t *testing.T) {
	t.Parallel()
	e := newEdge(t, silent(t).URL, func(cfg *Config) { cfg.Limits.InFlight = 1 })
	alice, bob := head("GET /private/x", e.token(t, "alice")), head("GET /private/x", e.token(t, "bob"))
	holding := e.hold(t, 1, func(int) string { return alice })
	eventually(t, "the only place is taken", func() bool { return e.inFlight() == 1 })
	shared := e.dial(t) // as a proxy's connection is
	for _, request := range []string{alice, bob, alice, head("GET /healthz", ""), bob} {
		if request == head("GET /healthz", "") {
			shared.say(t, request)
			if resp, _ := shared.answer(t); resp.StatusCode != http.StatusOK {
				t.Errorf("health is %d", resp.StatusCode)
			}
		} else if after := shared.retryAfter(t, request); after != "1" {
			t.Errorf("%s\ngot Retry-After %s, want 1", request, after)
		}
	}
	if n := e.count(t, "wxgate_early_retries_total"); n != 0 {
		t.Errorf("%v of other users' requests are held back, want none", n)
	}
	began := time.Now()
	if after := shared.retryAfter(t, bob); after != "2" {
		t.Errorf("the second time Retry-After is %s, want 2", after)
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("bob, who asks again at once, is answered after %v, want his second", took)
	}
	if n := e.count(t, "wxgate_early_retries_total"); n != 1 {
		t.Errorf("%v requests are held back, want 1", n)
	}
	_ = holding[0].Close()
}

// TestWhoWaitsForItsTurnHoldsNothing of its client's share meanwhile.
func TestWhoWaitsForItsTurnHoldsNothing(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { return upstreamtest.OK("text/plain", "hi") })
	e := newEdge(t, service.URL, func(cfg *Config) { cfg.Limits.InFlight = 1 })
	bob := head("GET /private/x", e.token(t, "bob"))
	somebody, _ := e.admission.inFlight.Acquire(nil, limit.Priority{Share: 100}, 1)
	conn := e.dial(t)
	conn.retryAfter(t, bob)
	conn.say(t, bob)
	eventually(t, "the second request waits", func() bool { return e.count(t, "wxgate_early_retries_total") == 1 })
	if n := e.admission.ledger.Clients(); n != 0 {
		t.Errorf("%d clients hold something, want none", n)
	}
	somebody.Release()
	if resp, body := conn.answer(t); resp.StatusCode != http.StatusOK {
		t.Errorf("when there is a place it is %d %s, want 200", resp.StatusCode, body)
	}
}

// TestABanDuringTheWaitForATurnCounts, as one between two requests does.
func TestABanDuringTheWaitForATurnCounts(t *testing.T) {
	t.Parallel()
	e := newEdge(t, silent(t).URL, func(cfg *Config) { cfg.Limits.InFlight = 1 })
	bob := e.token(t, "bob")
	somebody, _ := e.admission.inFlight.Acquire(nil, limit.Priority{Share: 100}, 1)
	conn := e.dial(t)
	conn.retryAfter(t, head("GET /private/x", bob))
	conn.say(t, head("GET /private/x", bob))
	eventually(t, "the second request waits", func() bool { return e.count(t, "wxgate_early_retries_total") == 1 })
	if err := e.deps.Authn.Users.Ban(t.Context(), 1, time.Now().Add(time.Hour)); err != nil { // bob, the first one
		t.Fatal(err)
	}
	somebody.Release()
	if resp, body := conn.answer(t); resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `"token_revoked"`) {
		t.Errorf("got %d %s, want 401 token_revoked", resp.StatusCode, body)
	}
}

// TestAStopDoesNotWaitForWhoWasHeldBack: a process that ends in a hurry has two seconds, and answers whom it can.
func TestAStopDoesNotWaitForWhoWasHeldBack(t *testing.T) {
	t.Parallel()
	e := newEdge(t, silent(t).URL, nil)
	began := time.Now()
	waited := make(chan time.Duration, 1)
	go func() {
		e.admission.awaitRetryTime(new(Exchange), began.Add(time.Hour))
		waited <- time.Since(began)
	}()
	eventually(t, "it waits", func() bool { return e.count(t, "wxgate_early_retries_total") == 1 })
	e.Drain()
	e.Drain() // Shutdown does it again
	if took := <-waited; took >= maxRetryAfter {
		t.Errorf("it waited %v, want no longer than until the stop", took)
	}
}

// TestUploadsBeyondTheSendingPlacesAreOverloadedAndALineASecond: 6,000 addresses filled the 384 sending places of a service,
// and the others were told of an unavailable service, with an ERROR line each.
func TestUploadsBeyondTheSendingPlacesAreOverloadedAndALineASecond(t *testing.T) {
	t.Parallel()
	var log lockedLog
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { return upstreamtest.OK("text/plain", "hi") })
	e := newEdgeOf(t, service.URL, func(cfg *Config) {
		cfg.Server.TrustedProxies = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
	}, func(d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) }, func(cfg *upstreamConfig) {
		cfg.Keepalive.MaxConns, cfg.Queue.Wait = 8, 100*time.Millisecond
	})
	began := time.Now()
	const uploads, sending = 200, 6 // three quarters of the connections
	upload := func(i int) string {
		return head("POST /public/x", "", from(fmt.Sprintf("203.0.%d.7", i)), "Content-Length: 1000000") + strings.Repeat("x", 20_000)
	}
	e.hold(t, sending, upload)
	eventually(t, "the sending places are taken", func() bool { return service.OpenConns() == sending })
	var refused []line
	for i := range uploads {
		conn := e.dial(t)
		conn.say(t, upload(sending+i))
		refused = append(refused, conn)
	}
	for _, conn := range refused {
		if resp, body := conn.answer(t); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"overloaded"`) || resp.Header.Get("Retry-After") != "1" {
			t.Fatalf("one more upload: %d %v %s, want 503 overloaded, Retry-After: 1", resp.StatusCode, resp.Header, body)
		}
	}
	most := 2 + int(time.Since(began).Seconds())
	if n := strings.Count(log.String(), "request failed"); n == 0 || n > most || !strings.Contains(log.String(), "reason=overloaded upstream=service") {
		t.Errorf("%d lines of %d refusals, want one a second, %d at most:\n%.2000s", n, uploads, most, log.String())
	}
	if resp, body := e.send(t, head("GET /public/x", "", from("198.51.100.1"))); resp.StatusCode != http.StatusOK {
		t.Errorf("a request beside them: %d %s, want 200: our own bound opened the breaker?", resp.StatusCode, body)
	}
}

// TestWhoAsksForSomethingElseBetweenIsHeldBackAllTheSame alternates between a service and an endpoint, both refused: neither
// was ever the one that was refused last.
func TestWhoAsksForSomethingElseBetweenIsHeldBackAllTheSame(t *testing.T) {
	t.Parallel()
	e := newEdge(t, silent(t).URL, func(cfg *Config) { cfg.Limits.InFlight, cfg.PublicKeys = 2, true })
	alice, bob := head("GET /private/x", e.token(t, "alice")), head("GET /private/x", e.token(t, "bob"))
	e.hold(t, 2, func(int) string { return alice })
	eventually(t, "both places are taken", func() bool { return e.inFlight() == 2 })
	conn := e.dial(t)
	other := head("GET /api/v1/user/profile", e.token(t, "bob"))
	for i, request := range []string{bob, other, bob} {
		if after, want := conn.retryAfter(t, request), []string{"1", "2", "4"}[i]; after != want {
			t.Errorf("Retry-After: %s, want %s", after, want)
		}
	}
	if n := e.count(t, "wxgate_early_retries_total"); n != 1 {
		t.Errorf("%v waited, want the last one", n)
	}
}

// cloudUser is a user whom WeChat Cloud Run names, and who has logged in.
func cloudUser(t *testing.T, e *edge) (fields []string) {
	t.Helper()
	fields = []string{"X-WX-SOURCE: wx_client", "X-WX-OPENID: oCloudRun1", "X-WX-APPID: " + testAppID}
	if status, body := e.post(t, "/api/v1/auth/cloud-login", "", map[string]any{}, fields...); status != http.StatusOK {
		t.Fatal(status, body)
	}
	return fields
}

// TestACloudUserWhoIsHeldBackHoldsNothing is TestWhoWaitsForItsTurnHoldsNothing for one whom the platform names: the store was
// asked for it.
func TestACloudUserWhoIsHeldBackHoldsNothing(t *testing.T) {
	t.Parallel()
	e := newEdgeOf(t, silent(t).URL, func(cfg *Config) { cfg.CloudRun = true }, nil, func(cfg *upstreamConfig) {
		cfg.Keepalive.MaxConns, cfg.Queue.Wait = 1, 50*time.Millisecond
	})
	bob, alice := head("GET /private/x", "", cloudUser(t, e)...), head("GET /private/x", e.token(t, "alice"))
	e.hold(t, 1, func(int) string { return alice })
	eventually(t, "the connection is taken", func() bool { return e.inFlight() == 1 })
	conn := e.dial(t)
	conn.retryAfter(t, bob)
	conn.say(t, bob)
	eventually(t, "it is held back", func() bool { return e.count(t, "wxgate_early_retries_total") == 1 })
	if n := e.inFlight(); n != 1 {
		t.Errorf("%d places are taken, want alice's alone", n)
	}
}

// TestASlowBodyOfACloudUserDoesNotStopAHandOver sends one byte of a body whose sender the store was asked for.
func TestASlowBodyOfACloudUserDoesNotStopAHandOver(t *testing.T) {
	t.Parallel()
	gate := handover.NewGate()
	e := newEdgeWith(t, silent(t).URL, func(cfg *Config) { cfg.CloudRun = true }, func(d *Deps) { d.Gate = gate })
	conn := e.dial(t)
	conn.say(t, head("POST /private/x", "", append(cloudUser(t, e), "Content-Length: 100")...)+"x")
	eventually(t, "the request has come", func() bool { return e.admission.ledger.Clients() > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), listen.DefaultConfig().BodyGrace/2)
	defer cancel()
	if err := gate.Shut(ctx); err != nil {
		t.Errorf("the hand-over waits for the body: %v", err)
	}
	gate.Open()
}
