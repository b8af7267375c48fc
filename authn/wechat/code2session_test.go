package wechat_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
	"wxgate/upstream/upstreamtest"
)

func TestALoginReturnsOpenIDAndSessionKey(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	code := s.IssueCode("alice")
	session, err := newClient(t, s.URL()).Code2Session(t.Context(), code)
	if err != nil {
		t.Fatalf("Code2Session: got %v, want a session", err)
	}
	if key, err := base64.StdEncoding.DecodeString(session.SessionKey); err != nil || len(key) != 16 {
		t.Errorf("session_key: got %d bytes and %v, want 16 bytes of base64", len(key), err)
	}
	if len(session.OpenID) != 28 || session.OpenID[0] != 'o' || session.UnionID != "" {
		t.Errorf("openid, unionid: got %q, %q, want o… of 28 bytes and no unionid", session.OpenID, session.UnionID)
	}
	if got := s.Seen(code); got != 1 {
		t.Errorf("requests with the code: got %d, want 1", got)
	}
}

func TestAMiniProgramOnTheOpenPlatformGetsAUnionID(t *testing.T) {
	t.Parallel()
	s, err := sandbox.New(sandbox.Config{AppID: appID, Secret: plain, OpenPlatform: true})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	session, err := newClient(t, server.URL).Code2Session(t.Context(), "demo-alice")
	if err != nil || len(session.UnionID) != 28 {
		t.Errorf("unionid: got %q and %v, want 28 bytes", session.UnionID, err)
	}
}

func TestEveryErrcodeArrivesAsAnError(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	codes := append(wechat.KnownCodes(), 61003, 41021, 99999)
	for _, errcode := range codes {
		for _, form := range []string{"err-", "strcode-"} {
			code := form + strconv.Itoa(errcode)
			session, err := client.Code2Session(t.Context(), code)
			var answer *wechat.Error
			if !errors.As(err, &answer) || answer.Code != errcode || answer.API != "jscode2session" || answer.RequestID == "" {
				t.Errorf("Code2Session(%s): got %#v, want an *Error with errcode %d and a rid", code, err, errcode)
			}
			if session != (wechat.Session{}) || s.Seen(code) != 1 {
				t.Errorf("Code2Session(%s): got %d sends and session %t, want 1 and none", code, s.Seen(code), session != wechat.Session{})
			}
			tellsNothing(t, err, code)
		}
	}
}

func TestTheMessageOfAnInvalidCodeIsFreeOfItsRid(t *testing.T) {
	t.Parallel()
	_, err := newClient(t, newSandbox(t).URL()).Code2Session(t.Context(), "neverIssued")
	var answer *wechat.Error
	if !errors.As(err, &answer) || answer.Code != wechat.ErrCodeInvalidCode || answer.Message != "invalid code" {
		t.Errorf("unknown code: got %v, want errcode 40029 with the message %q", err, "invalid code")
	}
}

func TestACodeWorksOnce(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client, code := newClient(t, s.URL()), s.IssueCode("alice")
	if _, err := client.Code2Session(t.Context(), code); err != nil {
		t.Fatal(err)
	}
	_, err := client.Code2Session(t.Context(), code)
	var answer *wechat.Error
	if !errors.As(err, &answer) || answer.Code != wechat.ErrCodeCodeUsed {
		t.Errorf("second use: got %v, want errcode 40163", err)
	}
}

func TestAWrongAppIDOrSecretIsWeChatsError(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	for _, row := range []struct {
		change func(*wechat.Config)
		want   int
	}{
		{func(c *wechat.Config) { c.AppID = "WX4F4BC4DEC97D474B" }, wechat.ErrCodeInvalidAppID},
		{func(c *wechat.Config) { c.Secret = "another-secret" }, wechat.ErrCodeInvalidSecret},
	} {
		_, err := newClient(t, s.URL(), row.change).Code2Session(t.Context(), "demo-alice")
		var answer *wechat.Error
		if !errors.As(err, &answer) || answer.Code != row.want {
			t.Errorf("got %v, want errcode %d", err, row.want)
		}
		tellsNothing(t, err, "demo-alice")
	}
}

func TestEveryBrokenAnswerIsABadResponseAndSentOnce(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	for _, how := range sandbox.Broken() {
		code := "broken-" + how + "-alice"
		session, err := client.Code2Session(t.Context(), code)
		if how == "bom" {
			if err != nil || session.OpenID == "" {
				t.Errorf("Code2Session(%s): got %v, want a session in spite of the byte order mark", code, err)
			}
			continue
		}
		if !errors.Is(err, wechat.ErrBadResponse) || session != (wechat.Session{}) {
			t.Errorf("Code2Session(%s): got %v, want ErrBadResponse and no session", code, err)
		}
		if got := s.Seen(code); got != 1 {
			t.Errorf("requests with %s: got %d, want 1", code, got)
		}
		tellsNothing(t, err, code)
	}
}

func TestASlowWeChatIsATimeoutWithinTheBudget(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	const budget, code = 2 * time.Second, "slow-30000ms-alice"
	start := time.Now()
	_, err := newClient(t, s.URL(), timeout(budget)).Code2Session(t.Context(), code)
	took := time.Since(start)
	if !errors.Is(err, wechat.ErrTimeout) {
		t.Errorf("Code2Session(%s): got %v, want ErrTimeout", code, err)
	}
	if took < budget || took > 25*time.Second {
		t.Errorf("Code2Session(%s): took %s, want %s or a little more, not the 30 s of the answer", code, took, budget)
	}
	if got := s.Seen(code); got != 1 {
		t.Errorf("requests with %s: got %d, want 1", code, got)
	}
	tellsNothing(t, err, code)
}

func TestABodyThatNeverEndsIsATimeout(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"openid":`))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	_, err := newClient(t, server.URL, timeout(100*time.Millisecond)).Code2Session(t.Context(), "demo-alice")
	if !errors.Is(err, wechat.ErrTimeout) {
		t.Errorf("got %v, want ErrTimeout", err)
	}
}

func TestAConnectionThatIsNeverAcceptedIsATimeout(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel completes the handshake, nobody speaks TLS
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	client := newClient(t, "https://"+listener.Addr().String(), timeout(100*time.Millisecond))
	if _, err := client.Code2Session(t.Context(), "demo-alice"); !errors.Is(err, wechat.ErrTimeout) {
		t.Errorf("got %v, want ErrTimeout", err)
	}
}

func TestTheCallersDeadlineIsATimeoutAndItsCancelIsItsOwn(t *testing.T) {
	t.Parallel()
	client := newClient(t, newSandbox(t).URL())
	hurried, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Code2Session(hurried, "slow-30000ms-alice"); !errors.Is(err, wechat.ErrTimeout) {
		t.Errorf("deadline: got %v, want ErrTimeout", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Code2Session(gone, "demo-alice"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancel: got %v, want context.Canceled", err)
	}
}

func TestNoConnectionIsUnreachable(t *testing.T) {
	t.Parallel()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = discard()
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	plainHTTP := newSandbox(t).URL()
	for name, base := range map[string]string{
		"connection refused":         upstreamtest.Refused(t),
		"does not resolve":           "https://no-such-host.invalid",
		"certificate is not trusted": untrusted.URL,
		"far end does not speak TLS": "https" + plainHTTP[len("http"):],
	} {
		_, err := newClient(t, base).Code2Session(t.Context(), "demo-alice")
		if !errors.Is(err, wechat.ErrUnreachable) {
			t.Errorf("%s: got %v, want ErrUnreachable", name, err)
		}
		tellsNothing(t, err, "demo-alice")
	}
}

func TestAMalformedCodeIsNotSent(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	for _, code := range []string{"", "a b", "a&appid=wx1", "a\r\nX: y", "代码", "a.b", string(make([]byte, 129))} {
		if _, err := client.Code2Session(t.Context(), code); !errors.Is(err, wechat.ErrInvalidCode) || s.Seen(code) != 0 {
			t.Errorf("Code2Session(%q): got %v and %d sends, want ErrInvalidCode and none", code, err, s.Seen(code))
		}
	}
}

func TestConcurrentLoginsGetEachTheirOwnSession(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			person := "p" + strconv.Itoa(i%8)
			got, err := client.Code2Session(t.Context(), s.IssueCode(person))
			want, wantErr := client.Code2Session(t.Context(), "demo-"+person)
			if err != nil || wantErr != nil || got.OpenID != want.OpenID || got.SessionKey == want.SessionKey {
				t.Errorf("login %d of %s: got %q (%v), want openid %q (%v) and another session_key", i, person, got.OpenID, err, want.OpenID, wantErr)
			}
		})
	}
	group.Wait()
}
