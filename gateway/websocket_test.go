package gateway

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxgate/authn"
	"wxgate/gateway/websocket"
	"wxgate/upstream/upstreamtest"
)

const testKey = "dGhlIHNhbXBsZSBub25jZQ=="

// webSocket is an opening handshake, with fields in place of those of the same name.
func webSocket(line, token string, instead ...string) string {
	fields := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: " + testKey, "Sec-WebSocket-Version: 13"}
	for i, f := range fields {
		for _, other := range instead {
			if name, _, _ := strings.Cut(f, ":"); strings.HasPrefix(other, name+":") {
				fields[i] = other
			}
		}
	}
	for _, other := range instead {
		if name, _, _ := strings.Cut(other, ":"); !strings.Contains("Connection Upgrade Sec-WebSocket-Key Sec-WebSocket-Version", name) {
			fields = append(fields, other)
		}
	}
	return head(line, token, fields...)
}

// switching is a service's 101 for the key of a request.
func switching(req upstreamtest.Request) string {
	sum := sha1.Sum([]byte(req.Field("Sec-WebSocket-Key") + webSocketGUID))
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\nSec-WebSocket-Protocol: chat\r\n" +
		"sec-websocket-accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}

// socketService switches protocols, sends early data, and hands the connection to talk; req is the handshake.
func socketService(t *testing.T, early string, talk func(conn net.Conn, br *bufio.Reader)) *upstreamtest.Service {
	var s *upstreamtest.Service
	ready := make(chan struct{})
	s = upstreamtest.Raw(t, func(conn net.Conn, n int) {
		<-ready
		br := bufio.NewReader(conn)
		req, err := s.Receive(br, n)
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, switching(req)+early)
		talk(conn, br)
	})
	close(ready)
	return s
}

func echo(conn net.Conn, br *bufio.Reader) {
	_, _ = io.Copy(conn, br)
	_ = conn.(*net.TCPConn).CloseWrite()
}

// open sends a handshake with early data behind it and reads the 101.
func (l line) open(t *testing.T, handshake string) *http.Response {
	t.Helper()
	l.say(t, handshake)
	resp, err := http.ReadResponse(l.Reader, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v %v, want 101", resp, err)
	}
	return resp
}

func (l line) expect(t *testing.T, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(l, got); string(got[:n]) != want {
		t.Fatalf("got %q and %v, want %q", got[:n], err, want)
	}
}

func TestAWebSocketCarriesIdentityAndEveryByte(t *testing.T) {
	t.Parallel()
	const early, greeting = "\x81\x85\x00\x00\x00\x00early", "\x81\x05hello"
	service := socketService(t, greeting, echo)
	e := newEdge(t, service.URL, nil)
	l := e.dial(t)
	resp := l.open(t, webSocket("GET /private/chat?room=1", e.token(t, "alice"), "X-User-Id: 99", "Sec-WebSocket-Protocol: chat, talk",
		"Connection: keep-alive, Upgrade", "Origin: https://servicewechat.com")+early)
	l.expect(t, greeting+early)
	for name, want := range map[string]string{"Upgrade": "WebSocket", "Connection": "upgrade", "Sec-Websocket-Protocol": "chat", "Content-Type": "", "Content-Length": ""} {
		if got := resp.Header.Values(name); strings.Join(got, "|") != want {
			t.Errorf("the 101 has %s %q, want %q", name, got, want)
		}
	}
	if resp.Header.Get("X-Request-Id") == "" || len(resp.Header.Values("Sec-WebSocket-Accept")) != 1 {
		t.Errorf("the 101 has %v", resp.Header)
	}
	req := service.Requests()[0]
	for name, want := range map[string]string{
		"X-User-Id": "1", "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": testKey, "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Protocol": "chat, talk", "Origin": "https://servicewechat.com", "Content-Length": "",
	} {
		if got := strings.Join(req.Values(name), "|"); got != want {
			t.Errorf("the handshake arrived with %s %q, want %q", name, got, want)
		}
	}
	if e.count(t, "wxgate_websockets", `route="/private/**"`) != 1 {
		t.Error("the open WebSocket is not counted")
	}
	big := strings.Repeat("0123456789abcdef", 64<<10)
	go func() { _, _ = io.WriteString(l.Conn, big) }()
	l.expect(t, big)
	_ = l.Conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(l); err != nil || len(rest) > 0 {
		t.Errorf("at the end came %q and %v", rest, err)
	}
	eventually(t, "it is closed and no longer counted", func() bool {
		return e.count(t, "wxgate_websockets") == 0 && service.OpenConns() == 0
	})
	l2 := e.dial(t)
	l2.say(t, webSocket("GET /private/chat", ""))
	if resp, body := l2.answer(t); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %d %s, want 401", resp.StatusCode, body)
	}
	if n := service.Conns(); n != 1 {
		t.Errorf("the service saw %d connections, want 1: a tunnel's is never used again", n)
	}
}

func TestAHandshakeThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	service := socketService(t, "", echo)
	e := newEdge(t, service.URL, nil)
	for _, c := range []struct {
		name, raw string
		status    int
	}{
		{"POST", webSocket("POST /public/x", "", "Content-Length: 0"), 400},
		{"a body", webSocket("GET /public/x", "", "Content-Length: 1") + "a", 400},
		{"Connection: close", webSocket("GET /public/x", "", "Connection: close, Upgrade"), 400},
		{"two Connections, one of them close", webSocket("GET /public/x", "", "Connection: Upgrade\r\nConnection: close"), 400},
		{"no Connection: upgrade", webSocket("GET /public/x", "", "Connection: keep-alive"), 400},
		{"no key", webSocket("GET /public/x", "", "Sec-WebSocket-Key:"), 400},
		{"a short key", webSocket("GET /public/x", "", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"), 400},
		{"a key that is no base64", webSocket("GET /public/x", "", "Sec-WebSocket-Key: !GhlIHNhbXBsZSBub25jZQ=="), 400},
		{"a key with stray bits", webSocket("GET /public/x", "", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR=="), 400},
		{"a key behind a no-break space", webSocket("GET /public/x", "", "Sec-WebSocket-Key: \u00a0"+testKey), 400},
		{"a version before an ideographic space", webSocket("GET /public/x", "", "Sec-WebSocket-Version: 13\u3000"), 426},
		{"two keys", webSocket("GET /public/x", "", "Sec-WebSocket-Key: "+testKey+"\r\nSec-WebSocket-Key: "+testKey), 400},
		{"version 8", webSocket("GET /public/x", "", "Sec-WebSocket-Version: 8"), 426},
		{"no version", webSocket("GET /public/x", "", "Sec-WebSocket-Version:"), 426},
		{"no route", webSocket("GET /nowhere", ""), 404},
	} {
		resp, body := e.send(t, c.raw)
		if resp.StatusCode != c.status || c.status != 404 && !strings.Contains(body, `"reason":"invalid_request"`) {
			t.Errorf("%s: %d %s, want %d", c.name, resp.StatusCode, body, c.status)
		}
		if c.status == 426 && (resp.Header.Get("Sec-WebSocket-Version") != "13" || resp.Header.Get("Upgrade") != "websocket") {
			t.Errorf("%s: the 426 has %v, want the version and the protocol (RFC 6455 §4.4, RFC 9110 §15.5.22)", c.name, resp.Header)
		}
	}
	if n := len(service.Requests()); n != 0 {
		t.Errorf("%d of them reached the service", n)
	}
}

func TestAnUpgradeToSomethingElseIsIgnored(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	for name, raw := range map[string]string{
		"h2c":         head("GET /public/x", "", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"),
		"an old HTTP": strings.Replace(webSocket("GET /public/x", ""), "HTTP/1.1", "HTTP/1.0", 1),
	} {
		resp, body := e.send(t, raw)
		req := service.Requests()[len(service.Requests())-1]
		if resp.StatusCode != 200 || req.Field("Upgrade") != "" || req.Field("Connection") != "" || req.Field("HTTP2-Settings") != "" {
			t.Errorf("%s: %d %s; the service received\n%s", name, resp.StatusCode, body, req.Raw)
		}
	}
}

func TestAServiceThatDoesNotSwitchIsHeard(t *testing.T) {
	t.Parallel()
	accept := strings.ReplaceAll(strings.Split(switching(upstreamtest.Request{Fields: []upstreamtest.Field{{Name: "Sec-WebSocket-Key", Value: testKey}}}), "accept: ")[1], "\r\n", "")
	const switched = "HTTP/1.1 101 Switching Protocols\r\n"
	for _, c := range []struct {
		name, answer string
		status       int
		body         string
	}{
		{"a refusal", "HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nno no", 403, "no no"},
		{"a page", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, "hi"},
		{"the wrong accept", switched + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n", 502, "upstream_invalid"},
		{"no accept", switched + "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502, "upstream_invalid"},
		{"two accepts", switched + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n", 502, "upstream_invalid"},
		{"no Connection", switched + "Upgrade: websocket\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n", 502, "upstream_invalid"},
		{"HTTP/1.0", strings.Replace(switched, "1.1", "1.0", 1) + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n", 502, "upstream_invalid"},
		{"a 101 with a body", switched + "Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 3\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\nabc", 502, "upstream_invalid"},
		{"nothing", "", 502, "upstream_reset"},
	} {
		e := newEdge(t, upstreamtest.Fixed(t, c.answer).URL, nil)
		if resp, body := e.send(t, webSocket("GET /public/x", "")); resp.StatusCode != c.status || !strings.Contains(body, c.body) {
			t.Errorf("%s: got %d %q, want %d %q", c.name, resp.StatusCode, body, c.status, c.body)
		}
		if n := e.count(t, "wxgate_websockets"); n != 0 {
			t.Errorf("%s: %v WebSockets are open", c.name, n)
		}
	}
}

// received collects what a service reads until its connection ends.
func received(t *testing.T) (service *upstreamtest.Service, all chan string) {
	all = make(chan string, 4)
	return socketService(t, "", func(_ net.Conn, br *bufio.Reader) {
		text, _ := io.ReadAll(br)
		all <- string(text)
	}), all
}

func TestAWebSocketEndsWithItsSession(t *testing.T) {
	t.Parallel()
	service, all := received(t)
	e := newEdge(t, service.URL, nil)
	token := e.token(t, "alice")
	alice, bob, nobody := e.dial(t), e.dial(t), e.dial(t)
	alice.open(t, webSocket("GET /private/x", token))
	bob.open(t, webSocket("GET /private/x", e.token(t, "bob")))
	nobody.open(t, webSocket("GET /public/x", ""))
	if resp, body := e.send(t, head("POST /api/v1/auth/logout", token, "Content-Length: 0")); resp.StatusCode != 200 {
		t.Fatalf("logout: %d %s", resp.StatusCode, body)
	}
	loggedOut := time.Now()
	alice.expect(t, string(websocket.CloseFrame(websocket.ClosePolicy, false)))
	t.Logf("the WebSocket outlived its session by %v", time.Since(loggedOut))
	alice.say(t, "\x88\x82\x00\x00\x00\x00\x03\xf0") // the client's Close
	if rest, err := io.ReadAll(alice); err != nil || len(rest) > 0 {
		t.Errorf("after the Close came %q and %v", rest, err)
	}
	if got, want := <-all, string(websocket.CloseFrame(websocket.ClosePolicy, true)); got != want {
		t.Errorf("the service received %q, want the Close %q", got, want)
	}
	eventually(t, "the two of others are left", func() bool { return e.count(t, "wxgate_websockets") == 2 })
}

func TestAWebSocketIsToldOfTheEndOfTheGateway(t *testing.T) {
	t.Parallel()
	service, all := received(t)
	e := newEdge(t, service.URL, nil)
	whole, half := e.dial(t), e.dial(t)
	whole.open(t, webSocket("GET /public/x", ""))
	half.open(t, webSocket("GET /public/x", "")+"\x81\x85\x00\x00\x00\x00ab") // the rest of the frame never comes
	eventually(t, "both are open", func() bool { return e.count(t, "wxgate_websockets") == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	start := time.Now()
	if err := e.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	t.Logf("shut down in %v", time.Since(start))
	for name, l := range map[string]line{"whole": whole, "half": half} {
		l.expect(t, string(websocket.CloseFrame(websocket.CloseGoingAway, false)))
		if rest, _ := io.ReadAll(l); len(rest) > 0 {
			t.Errorf("%s: after the Close came %q", name, rest)
		}
	}
	got := []string{<-all, <-all}
	want := string(websocket.CloseFrame(websocket.CloseGoingAway, true))
	if got[0] != want && got[1] != want {
		t.Errorf("the service received %q, want one Close %q", got, want)
	}
	for _, text := range got {
		if text != want && text != "\x81\x85\x00\x00\x00\x00ab" {
			t.Errorf("the service received %q: our Close stands inside a frame", text)
		}
	}
}

func TestASilentWebSocketEnds(t *testing.T) {
	t.Parallel()
	service := socketService(t, "", echo)
	e := newEdgeOf(t, service.URL, nil, nil, func(target *upstreamConfig) { target.Timeouts.WebSocket = 3 * time.Second })
	busy, silent := e.dial(t), e.dial(t)
	busy.open(t, webSocket("GET /public/x", ""))
	silent.open(t, webSocket("GET /public/x", ""))
	ended := make(chan error, 1)
	go func() {
		got := make([]byte, 4)
		_, err := io.ReadFull(silent, got)
		if err == nil && string(got) != string(websocket.CloseFrame(websocket.CloseGoingAway, false)) {
			err = fmt.Errorf("got %q, want a Close", got)
		}
		ended <- err
	}()
	for {
		busy.say(t, "\x89\x80\x00\x00\x00\x00")
		busy.expect(t, "\x89\x80\x00\x00\x00\x00")
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestAWebSocketOccupiesAPlaceAmongThoseOfItsService(t *testing.T) {
	t.Parallel()
	service := socketService(t, "", echo)
	e := newEdgeOf(t, service.URL, nil, nil, func(target *upstreamConfig) { target.Keepalive.MaxWebSockets = 1 })
	l := e.dial(t)
	l.open(t, webSocket("GET /public/x", ""))
	if resp, body := e.send(t, webSocket("GET /public/x", "")); resp.StatusCode != 503 {
		t.Errorf("beyond max_websockets: %d %s, want 503", resp.StatusCode, body)
	}
	_ = l.Close()
	eventually(t, "its place is free", func() bool { return e.count(t, "wxgate_websockets") == 0 })
	e.dial(t).open(t, webSocket("GET /public/x", ""))
}

func TestAnAbandonedWebSocketEndsAtBothEnds(t *testing.T) {
	t.Parallel()
	service, all := received(t)
	e := newEdge(t, service.URL, nil)
	l := e.dial(t)
	l.open(t, webSocket("GET /public/x", ""))
	upstreamtest.Reset(l.Conn)
	_ = l.Close()
	<-all
	l = e.dial(t)
	l.open(t, webSocket("GET /public/x", ""))
	service.CloseConns()
	if rest, err := io.ReadAll(l); len(rest) > 0 {
		t.Errorf("got %q and %v, want the end", rest, err)
	}
}

func TestARefreshEndsNoWebSocketAndExpiryDoes(t *testing.T) {
	t.Parallel()
	_, _, _, auth := newTestAuthn(t)
	alive := authn.Subject{UserID: 1, SessionID: "s", TokenID: "t", ExpiresAt: time.Now().Add(time.Hour)}
	if err := auth.Tokens.Alive(alive); err != nil {
		t.Errorf("got %v for a session that goes on", err)
	}
	alive.ExpiresAt = time.Now().Add(-time.Hour)
	if err := auth.Tokens.Alive(alive); err == nil {
		t.Error("got nil for a token that expired an hour ago")
	}
}

// TestAHandshakeThatNobodyWaitsForFreesTheService has clients that are gone, or told to go, when the service says 101.
func TestAHandshakeThatNobodyWaitsForFreesTheService(t *testing.T) {
	t.Parallel()
	for name, during := range map[string]func(t *testing.T, e *edge, client line) (ended func()){
		"a client that resets": func(_ *testing.T, _ *edge, client line) func() {
			upstreamtest.Reset(client.Conn)
			return func() {}
		},
		"a stop": func(t *testing.T, e *edge, _ line) func() {
			stopped := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				stopped <- e.Shutdown(ctx)
			}()
			eventually(t, "nobody is accepted any more", func() bool {
				conn, err := net.Dial("tcp", e.addr)
				if err == nil {
					_ = conn.Close()
				}
				return err != nil
			})
			return func() {
				if err := <-stopped; err != nil {
					t.Errorf("the stop ended with %v", err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked, answer := make(chan struct{}), make(chan struct{})
			var s *upstreamtest.Service
			ready := make(chan struct{})
			s = upstreamtest.Raw(t, func(conn net.Conn, n int) {
				<-ready
				br := bufio.NewReader(conn)
				req, err := s.Receive(br, n)
				if err != nil {
					return
				}
				close(asked)
				<-answer
				_, _ = io.WriteString(conn, switching(req))
				_, _ = io.Copy(io.Discard, br)
			})
			close(ready)
			e := newEdge(t, s.URL, nil)
			client := e.dial(t)
			client.say(t, webSocket("GET /public/x", ""))
			<-asked
			ended := during(t, e, client)
			close(answer)
			ended()
			eventually(t, "the service is left alone", func() bool { return s.OpenConns() == 0 })
			eventually(t, "no WebSocket is counted", func() bool { return e.count(t, "wxgate_websockets") == 0 })
		})
	}
}
