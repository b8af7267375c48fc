package gateway

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/gateway/limit"
	"wxgate/gateway/push"
	"wxgate/upstream/upstreamtest"
)

// crowded is a gateway behind a trusted proxy, so that X-Forwarded-For says who asks, with message push.
func crowded(t *testing.T, service string, change func(*Config)) *edge {
	t.Helper()
	opens, err := wechat.NewPush(testAppID, pushToken, pushKey)
	if err != nil {
		t.Fatal(err)
	}
	return newEdgeWith(t, service, func(cfg *Config) {
		cfg.PushUpstreams = []string{"service"}
		cfg.Limits.Writes = limit.BucketConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 1_000_000, Per: time.Second}, Burst: 1_000_000} // what is held is the subject
		cfg.Server.TrustedProxies = []limit.Network{{Prefix: netPrefix(t, "127.0.0.0/8")}}
		if change != nil {
			change(cfg)
		}
	}, func(d *Deps) {
		d.Pushes = push.Apps{{ID: testAppID, Opens: opens, Upstream: "service", SealPayments: true}}
	})
}

// from says who a request is from.
func from(address string) string { return "X-Forwarded-For: " + address }

// hold opens n connections, says something on each, and lets them be.
func (e *edge) hold(t *testing.T, n int, request func(i int) string) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		conn, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, request(i)); err != nil {
			t.Fatal(err)
		}
		conns[i] = conn
	}
	return conns
}

// refusedHeld is how many requests were refused because their client held too much of a kind.
func (e *edge) refusedHeld(t *testing.T, kind limit.Kind) int {
	t.Helper()
	return int(e.count(t, "wxgate_too_many_held_total", `held="`+kind.String()+`"`))
}

// honestlyServed checks that others are served: a request with a token, one without, and a login.
func (e *edge) honestlyServed(t *testing.T, token string) {
	t.Helper()
	for _, request := range []string{
		head("GET /private/x", token, from("198.51.100.1")), head("GET /public/x", "", from("198.51.100.2")),
		head("POST /private/x", token, from("198.51.100.1"), "Content-Length: 2") + "hi",
	} {
		if resp, body := e.send(t, request); resp.StatusCode != http.StatusOK {
			t.Errorf("%.20q of somebody else: got %d %.200s, want 200", request, resp.StatusCode, body)
		}
	}
	status, answer := e.post(t, "/api/v1/auth/wx-login", "", map[string]string{"code": e.weChat.IssueCode("carol")}, from("198.51.100.3"))
	if status != http.StatusOK {
		t.Errorf("a login of somebody else: got %d %v, want 200", status, answer)
	}
}

// halfSent are requests of which 527 bytes of a longer body are sent.
func halfSent(token string) map[string]string {
	const length = "Content-Length: 600"
	half := strings.Repeat("x", 527)
	return map[string]string{
		"a login":            head("POST /api/v1/auth/wx-login", "", length) + half,
		"an open route":      head("POST /public/x", "", length) + half,
		"with a false token": head("POST /public/x", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA", length) + half,
		"a push":             head(fmt.Sprintf("POST /wechat/push?timestamp=%d&nonce=1&msg_signature=2", time.Now().Unix()), "", length) + half,
		"a user's":           head("POST /private/x", token, length) + half,
		"a user's profile":   head("PUT /api/v1/user/profile", token, length, "Content-Type: application/json") + half,
		"a user's upload":    head("POST /private/x", token, "Content-Length: 1000000") + half,
		"a user's chunks":    head("POST /private/x", token, "Transfer-Encoding: chunked") + "400\r\n" + half,
		"an open upload":     head("POST /public/x", "", "Content-Length: 1000000") + half,
	}
}

// TestAThousandHalfSentBodiesOfOneClientHoldNothingOfOthers: each kind at once was 503 for everybody.
func TestAThousandHalfSentBodiesOfOneClientHoldNothingOfOthers(t *testing.T) {
	t.Parallel()
	e := crowded(t, upstreamtest.Echo(t).URL, nil)
	mallory, alice := e.token(t, "mallory"), e.token(t, "alice")
	most := DefaultConfig().Limits.PerClient.InFlight
	for what, request := range halfSent(mallory) {
		before := e.refusedHeld(t, limit.Requests)
		conns := e.hold(t, 1000/len(halfSent("")), func(int) string {
			return strings.Replace(request, "\r\n", "\r\n"+from("203.0.113.7")+"\r\n", 1)
		})
		want := len(conns) - most
		eventually(t, what+" is refused beyond the bound", func() bool { return e.refusedHeld(t, limit.Requests) == before+want })
		if places := e.inFlight(); places != 0 && !strings.Contains(what, "upload") && !strings.Contains(what, "chunks") {
			t.Errorf("%s: %d places are taken by bodies that are not there yet, want none", what, places)
		}
		e.honestlyServed(t, alice)
		for _, conn := range conns {
			_ = conn.Close()
		}
		eventually(t, what+": nothing is held", func() bool { return e.admission.ledger.Clients() == 0 })
	}
}

// TestHalfSentBodiesOfManyClientsHoldNothingOfOthers: each from an address of its own, more than there are places.
func TestHalfSentBodiesOfManyClientsHoldNothingOfOthers(t *testing.T) {
	t.Parallel()
	e := crowded(t, upstreamtest.Echo(t).URL, func(cfg *Config) { cfg.Limits.InFlight = 40 })
	alice := e.token(t, "alice")
	mallories := make([]string, 8)
	for i := range mallories {
		mallories[i] = e.token(t, fmt.Sprint("mallory", i))
	}
	const clients = 80
	for what := range halfSent("") {
		refused := int(e.count(t, "wxgate_requests_total", `reason="overloaded"`))
		conns := e.hold(t, clients, func(i int) string {
			request := halfSent(mallories[i%len(mallories)])[what]
			return strings.Replace(request, "\r\n", fmt.Sprintf("\r\n%s\r\n", from(fmt.Sprintf("203.0.113.%d", i+1))), 1)
		})
		eventually(t, what+" is held or refused", func() bool {
			return int(e.count(t, "wxgate_requests_in_flight")+e.count(t, "wxgate_requests_total", `reason="overloaded"`)) >= clients+refused
		})
		e.honestlyServed(t, alice)
		for _, conn := range conns {
			_ = conn.Close()
		}
		eventually(t, what+": nothing is held", func() bool { return e.admission.ledger.Clients() == 0 && e.count(t, "wxgate_requests_in_flight") == 0 })
	}
}

// silent runs a service that never answers.
func silent(t *testing.T) *upstreamtest.Service {
	return upstreamtest.Raw(t, func(conn net.Conn, _ int) { _, _ = io.Copy(io.Discard, conn) })
}

// TestAFalseTokenDoesNotCountAsAToken: on an open route a token is not looked at.
func TestAFalseTokenDoesNotCountAsAToken(t *testing.T) {
	t.Parallel()
	service := silent(t)
	e := crowded(t, service.URL, func(cfg *Config) { cfg.Limits.InFlight = 8 })
	alice := e.token(t, "alice")
	e.hold(t, 6, func(i int) string {
		return head("GET /public/x", "false", from(fmt.Sprintf("203.0.113.%d", i+1)))
	})
	eventually(t, "six are in flight", func() bool { return e.inFlight() == 6 })
	if resp, body := e.send(t, head("GET /public/x", "false", from("203.0.113.9"))); resp.StatusCode != 503 {
		t.Errorf("a seventh with a false token: got %d %s, want 503", resp.StatusCode, body)
	}
	e.hold(t, 2, func(int) string { return head("GET /private/x", alice) })
	eventually(t, "those with a token are let in", func() bool { return e.inFlight() == 8 })
}

// TestOneUserHoldsAShareOfTheConnectionsToAService: with slow readers, whose answers flow on, and with idle WebSockets.
func TestOneUserHoldsAShareOfTheConnectionsToAService(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(r upstreamtest.Request) string {
		if r.Field("Upgrade") != "" {
			return switching(r)
		}
		if strings.HasPrefix(r.Target, "/private/large") {
			return "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + strings.Repeat("x", 100_000)
		}
		return upstreamtest.OK("text/plain", "hi")
	})
	e := crowded(t, service.URL, nil)
	per := DefaultConfig().Limits.PerClient
	mallory, alice := e.token(t, "mallory"), e.token(t, "alice")
	for kind, attack := range map[limit.Kind]struct {
		n       int
		request string
	}{
		limit.Connections: {per.UpstreamConnections, head("GET /private/large", mallory)},
		limit.WebSockets:  {per.WebSockets, webSocket("GET /private/x", mallory)},
	} {
		heads := 0
		for range attack.n {
			conn := e.dial(t)
			_ = conn.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
			conn.say(t, attack.request)
			if resp, err := http.ReadResponse(conn.Reader, nil); err == nil && resp.StatusCode < 300 {
				heads++
			}
		}
		resp, body := e.send(t, attack.request)
		if heads != attack.n || resp.StatusCode != http.StatusTooManyRequests || !strings.Contains(body, `"too_many_held"`) || resp.Header.Get("Retry-After") != "1" {
			t.Errorf("%v: %d are let in and the next gets %d %.200s, want %d and 429", kind, heads, resp.StatusCode, body, attack.n)
		}
		if n := e.refusedHeld(t, kind); n != 1 {
			t.Errorf("%v: %d refusals are counted, want 1", kind, n)
		}
		e.honestlyServed(t, alice)
		if e.dial(t).open(t, webSocket("GET /private/x", alice)).StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("%v: alice gets no WebSocket", kind)
		}
	}
	if resp, _ := e.send(t, head("GET /private/x", mallory)); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("while the answers flow: got %d, want 429", resp.StatusCode)
	}
}

// TestSlowReadersOfManyClientsHoldTheConnectionsOfOneServiceAlone: eight clients may hold them all, each its share. What
// needs no connection is served, the others are told at once, and it ends with them.
func TestSlowReadersOfManyClientsHoldTheConnectionsOfOneServiceAlone(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(r upstreamtest.Request) string {
		if strings.HasPrefix(r.Target, "/private/large") {
			return "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + strings.Repeat("x", 100_000)
		}
		return upstreamtest.OK("text/plain", "hi")
	})
	const clients, each = 4, 2
	e := newEdgeOf(t, service.URL, func(cfg *Config) { cfg.Limits.PerClient.UpstreamConnections = each }, nil, func(target *upstreamConfig) {
		target.Keepalive.MaxConns, target.Queue.Wait = clients*each, 50*time.Millisecond
	})
	alice := e.token(t, "alice")
	var readers []line
	for i := range clients {
		token := e.token(t, fmt.Sprint("reader", i))
		for range each {
			conn := e.dial(t)
			conn.say(t, head("GET /private/large", token))
			if resp, err := http.ReadResponse(conn.Reader, nil); err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("a slow reader gets %v, %v", resp, err)
			}
			readers = append(readers, conn)
		}
	}
	if resp, body := e.send(t, head("GET /private/x", alice)); resp.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"overloaded"`) {
		t.Errorf("without a connection left: %d %s, want 503 overloaded", resp.StatusCode, body)
	}
	if resp, body := e.send(t, head("GET /api/v1/user/profile", alice)); resp.StatusCode != http.StatusOK {
		t.Errorf("what needs no service: %d %s, want 200", resp.StatusCode, body)
	}
	for _, conn := range readers {
		_ = conn.Close()
	}
	eventually(t, "alice is served again", func() bool {
		resp, _ := e.send(t, head("GET /private/x", alice))
		return resp.StatusCode == http.StatusOK
	})
}

// TestThoseWhoCannotBeToldApartShareAQuarter: everybody behind a proxy of this machine that is not trusted.
func TestThoseWhoCannotBeToldApartShareAQuarter(t *testing.T) {
	t.Parallel()
	service := silent(t)
	e := newEdge(t, service.URL, func(cfg *Config) { cfg.Limits.InFlight = 400 })
	alice := e.token(t, "alice")
	e.hold(t, 100, func(i int) string { return head("GET /public/x", "", from(fmt.Sprintf("203.0.113.%d", i))) })
	eventually(t, "a quarter is in flight", func() bool { return e.inFlight() == 100 })
	if resp, body := e.send(t, head("GET /public/x", "")); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("one more: got %d %s, want 429", resp.StatusCode, body)
	}
	e.hold(t, 1, func(int) string { return head("GET /private/x", alice) })
	eventually(t, "a user is let in", func() bool { return e.inFlight() == 101 })
	if n := e.count(t, "wxgate_too_many_held_total", `held="in_flight"`, `client="crowd"`); n != 1 {
		t.Errorf("%v refusals of the crowd are counted, want 1", n)
	}
}

// TestWebSocketsDoNotStarveRequests: they had the same connections.
func TestWebSocketsDoNotStarveRequests(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(r upstreamtest.Request) string {
		if r.Field("Upgrade") != "" {
			return switching(r)
		}
		return upstreamtest.OK("text/plain", "hi")
	})
	e := newEdgeOf(t, service.URL, nil, nil, func(target *upstreamConfig) {
		target.Keepalive.MaxConns, target.Keepalive.MaxWebSockets, target.Queue.InFlight = 2, 8, 2
	})
	alice := e.token(t, "alice")
	for range 8 {
		e.dial(t).open(t, webSocket("GET /private/x", alice))
	}
	if got := e.statuses(t, 3, head("GET /private/x", alice)); got != "200 200 200" {
		t.Errorf("beside 8 WebSockets: got %s, want 200 200 200", got)
	}
}

// TestNothingIsHeldAfterAStorm sends requests of every end that there is, many at a time; the end of every edge checks
// that nothing is held.
func TestNothingIsHeldAfterAStorm(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(r upstreamtest.Request) string {
		switch {
		case r.Field("Upgrade") != "":
			return switching(r)
		case strings.Contains(r.Target, "broken"):
			return "HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\nshort"
		case strings.Contains(r.Target, "large"):
			return "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 200_000)
		case strings.Contains(r.Target, "nonsense"):
			return "nonsense"
		}
		return upstreamtest.OK("text/plain", "hi")
	})
	e := crowded(t, service.URL, nil)
	token := e.token(t, "alice")
	requests := []string{
		head("GET /private/x", token), head("GET /public/broken", ""), head("GET /public/large", ""), head("GET /public/nonsense", ""),
		strings.Replace(head("GET /public/large", ""), "HTTP/1.1", "HTTP/1.0", 1), webSocket("GET /private/x", token), head("GET /private/x", "false"),
		head("POST /small/x", "", "Content-Length: 2000"), head("POST /small/x", "", "Transfer-Encoding: chunked") + "800\r\n" + strings.Repeat("x", 2048),
		head("POST /public/x", "", "Content-Length: 9", "Expect: 100-continue"), head("POST /public/x", "", "Content-Length: 100000") + "half",
		head("POST /public/x", "", "Content-Length: 100") + "half", head("POST /api/v1/auth/refresh", token), head("GET /healthz", ""),
		head("POST /public/x", "", "Transfer-Encoding: chunked") + "zz\r\n", head("GET /quick/x", ""), head("GET /nowhere", ""),
	}
	var storm sync.WaitGroup
	for i := range 40 {
		storm.Go(func() {
			for n := range requests {
				conn, err := net.Dial("tcp", e.addr)
				if err != nil {
					continue
				}
				_ = conn.SetDeadline(time.Now().Add(20 * time.Millisecond * time.Duration(i%5)))
				_, _ = io.WriteString(conn, requests[(n+i)%len(requests)])
				_, _ = bufio.NewReader(conn).ReadString('\n')
				_ = conn.Close() // with most of the answer unread
			}
		})
	}
	storm.Wait()
	eventually(t, "nothing is held", func() bool {
		places, uploads := e.admission.inFlight.Taken()
		return e.admission.ledger.Clients() == 0 && places == 0 && uploads == 0
	})
	if all, light := e.admission.inFlight.Service("service").Taken(); all != 0 || light != 0 {
		t.Errorf("%d places of the service are held", all)
	}
}

// TestAPushIsNotCountedForWeChatsAddress: a few addresses of WeChat's send the messages of everybody.
func TestAPushIsNotCountedForWeChatsAddress(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { <-answer; return upstreamtest.OK("text/plain", "ok") })
	e := crowded(t, service.URL, func(cfg *Config) { cfg.Limits.PerClient.InFlight = 2 })
	defer close(answer)
	push, _ := wechat.NewPush(testAppID, pushToken, pushKey)
	e.hold(t, 5, func(i int) string {
		sealed, err := push.Seal(fmt.Appendf(nil, `{"MsgType":"event","Event":"x%d"}`, i), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		query := push.Query(time.Now())
		query.Set("msg_signature", sealed.Signature)
		query.Set("timestamp", sealed.Timestamp)
		query.Set("nonce", sealed.Nonce)
		query.Set("encrypt_type", "aes")
		length := fmt.Sprintf("Content-Length: %d", len(sealed.JSON()))
		return head("POST /wechat/push?"+query.Encode(), "", from("203.0.113.7"), "Content-Type: application/json", length) + string(sealed.JSON())
	})
	eventually(t, "all five are at the service", func() bool { return e.inFlight() == 5 })
	if n := e.refusedHeld(t, limit.Requests); n != 0 {
		t.Errorf("%d messages are refused, want none", n)
	}
}
