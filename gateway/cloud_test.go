package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/websocket"
	"wxgate/upstream/upstreamtest"
)

// clouded is a gateway that believes the cloud function, with user 1 logged in through it as oFunction1.
func clouded(t *testing.T, service *upstreamtest.Service) *edge {
	t.Helper()
	e := newEdge(t, service.URL, func(cfg *Config) { cfg.FunctionKey = testFunctionKey })
	const login = "POST /api/v1/auth/cloud-login"
	if status, answer := e.post(t, "/api/v1/auth/cloud-login", "", map[string]any{}, signedCall("oFunction1", login, "{}", time.Now())...); status != http.StatusOK {
		t.Fatalf("the cloud login: %d %v", status, answer)
	}
	return e
}

func TestAPatchThroughTheCloudFunctionIsBelievedHoweverLateItsBodyComes(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := clouded(t, service)
	for _, expect := range []string{"Expect: 100-continue", "X-Nothing: x"} {
		l := e.dial(t)
		call := append(signedCall("oFunction1", "POST /private/x", "ab", time.Now()), "X-HTTP-Method-Override: PATCH", "Content-Length: 2", expect)
		l.say(t, head("POST /private/x", "", call...))
		if strings.HasPrefix(expect, "Expect") {
			if resp, body := l.answer(t); resp.StatusCode != http.StatusContinue {
				t.Fatalf("got %d %s, want 100", resp.StatusCode, body)
			}
		} else { // the head has been looked at by the time another connection was served
			e.send(t, head("GET /healthz", ""))
		}
		l.say(t, "ab")
		if resp, body := l.answer(t); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: got %d %s, want 200", expect, resp.StatusCode, body)
		}
	}
	for _, req := range service.Requests() {
		if req.Method != http.MethodPatch || req.Field("X-User-Id") != "1" || string(req.Body) != "ab" {
			t.Errorf("the service got\n%s\nwant a PATCH of user 1", req.Raw)
		}
	}
}

// wholeOf is how many requests a service received that look like one: of a broken one it sees a beginning.
func wholeOf(service *upstreamtest.Service) (whole int) {
	for _, req := range service.Requests() {
		if looksWhole(req.Raw) {
			whole++
		}
	}
	return whole
}

func TestACapturedSignatureOfTheCloudFunctionCarriesNoOtherBody(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := clouded(t, service)
	long := strings.Repeat("a", 100<<10)
	chunks := func(body string) string {
		return fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	}
	length := func(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }
	for name, c := range map[string]struct {
		signed, sent string
		ok           bool
	}{
		"its own body":                {"pay=1", length("pay=1"), true},
		"its own body in chunks":      {"pay=1", chunks("pay=1"), true},
		"its own long body":           {long, length(long), true},
		"its own long body in chunks": {long, chunks(long), true},
		"none, as signed":             {"", "\r\n", true},
		"another body":                {"pay=1", length("pay=9"), false},
		"another body in chunks":      {"pay=1", chunks("pay=9"), false},
		"a longer body":               {"pay=1", length("pay=10"), false},
		"another long body":           {long, length(long[1:] + "b"), false},
		"another long body in chunks": {long, chunks(long[1:] + "b"), false},
		"none":                        {"pay=1", "\r\n", false},
		"a body where there was none": {"", length("pay=9"), false},
	} {
		before := wholeOf(service)
		call := signedCall("oFunction1", "POST /private/x", c.signed, time.Now())
		l := e.dial(t)
		l.say(t, "POST /private/x HTTP/1.1\r\nHost: a\r\n"+strings.Join(call, "\r\n")+"\r\n"+c.sent)
		resp, body := l.answer(t)
		if whole := wholeOf(service) > before; whole != c.ok || (resp.StatusCode == http.StatusOK) != c.ok {
			t.Errorf("%s: %d %s, and the service got it whole: %t; want %t", name, resp.StatusCode, body, whole, c.ok)
		}
		if !c.ok && resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d %s, want 401", name, resp.StatusCode, body)
		}
	}
}

func TestAWebSocketWithACloudIdentityStaysOpenUntilItsUserIsBanned(t *testing.T) {
	t.Parallel()
	e := clouded(t, socketService(t, "", echo))
	l := e.dial(t)
	l.open(t, webSocket("GET /private/chat", "", signedCall("oFunction1", "GET /private/chat", "", time.Now())...))
	const hello = "\x81\x85\x00\x00\x00\x00hello"
	looked := time.NewTimer(3 * websocket.RecheckEvery)
	defer looked.Stop()
	for open := true; open; {
		l.say(t, hello)
		l.expect(t, hello)
		select {
		case <-looked.C:
			open = false
		case <-time.After(websocket.RecheckEvery / 8):
		}
	}
	if err := e.deps.Authn.Users.Ban(t.Context(), 1, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(l); !strings.HasPrefix(string(rest), "\x88\x02\x03\xf0") {
		t.Errorf("after the ban: %q and %v, want close 1008", rest, err)
	}
}

func TestACloudLoginThatNobodyVouchesForSaysSo(t *testing.T) {
	t.Parallel()
	e := clouded(t, upstreamtest.Echo(t))
	status, answer := e.post(t, "/api/v1/auth/cloud-login", "", map[string]any{"openid": "oFunction1"})
	if status != http.StatusUnauthorized || answer["reason"] != "cloud_identity_missing" || strings.Contains(fmt.Sprint(answer["message"]), "请先登录") {
		t.Errorf("got %d %v, want 401 cloud_identity_missing", status, answer)
	}
}
