package wechat_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
)

func mustLogin(t *testing.T, client *wechat.Client, code string) wechat.Session {
	t.Helper()
	session, err := client.Code2Session(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func TestOnlyTheKeyOfTheLastLoginIsValid(t *testing.T) {
	t.Parallel()
	client := newClient(t, newSandbox(t).URL())
	old := mustLogin(t, client, "demo-alice")
	last := mustLogin(t, client, "demo-alice")
	for name, row := range map[string]struct {
		key  string
		want bool
	}{"last": {last.SessionKey, true}, "old": {old.SessionKey, false}, "none": {"", false}} {
		if got, err := client.CheckSession(t.Context(), last.OpenID, row.key); err != nil || got != row.want {
			t.Errorf("CheckSession of the %s key: got %t and %v, want %t", name, got, err, row.want)
		}
	}
}

func TestCheckSessionOfAStrangerIsAnError(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	valid, err := client.CheckSession(t.Context(), "oNobodyAtAll", hmacKey)
	var answer *wechat.Error
	if valid || !errors.As(err, &answer) || answer.Code != wechat.ErrCodeInvalidOpenID || answer.API != "checksession" {
		t.Errorf("CheckSession: got %t and %v, want errcode 40003", valid, err)
	}
	fail(t, s, sandbox.Failure{API: "checksession", Kinds: []string{"html"}})
	if valid, err := client.CheckSession(t.Context(), "oNobodyAtAll", hmacKey); valid || !errors.Is(err, wechat.ErrBadResponse) {
		t.Errorf("CheckSession while html: got %t and %v, want ErrBadResponse", valid, err)
	}
	tellsNothing(t, err, hmacKey)
}

func TestAResetKeyReplacesTheOldOne(t *testing.T) {
	t.Parallel()
	client := newClient(t, newSandbox(t).URL())
	old := mustLogin(t, client, "demo-alice")
	fresh, err := client.ResetSessionKey(t.Context(), old.OpenID, old.SessionKey)
	if err != nil || fresh.OpenID != old.OpenID || fresh.SessionKey == old.SessionKey {
		t.Fatalf("ResetSessionKey: got %v, want another key of the same person", err)
	}
	for key, want := range map[string]bool{fresh.SessionKey: true, old.SessionKey: false} {
		if got, err := client.CheckSession(t.Context(), old.OpenID, key); err != nil || got != want {
			t.Errorf("CheckSession after the reset: got %t and %v, want %t", got, err, want)
		}
	}
	_, err = client.ResetSessionKey(t.Context(), old.OpenID, old.SessionKey)
	var answer *wechat.Error
	if !errors.As(err, &answer) || answer.Code != wechat.ErrCodeInvalidSignature {
		t.Errorf("a second reset with the old key: got %v, want errcode 87009", err)
	}
	tellsNothing(t, err, old.SessionKey)
}

func TestAResetForSomebodyElseIsABadResponse(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`{"errcode":0,"openid":"oBob","session_key":"AAAAAAAAAAAAAAAAAAAAAA=="}`,
		`{"errcode":0,"openid":"oAlice","session_key":"` + hmacKey + `"}`,
		`{"errcode":0,"openid":"oAlice"}`,
	} {
		got, err := newClient(t, answering(t, "application/json", answer)).ResetSessionKey(t.Context(), "oAlice", hmacKey)
		if !errors.Is(err, wechat.ErrBadResponse) || got != (wechat.Session{}) {
			t.Errorf("answer %s: got %v, want ErrBadResponse", answer, err)
		}
	}
}

func TestTheSignatureTravelsInTheQueryOfAGETAndTheKeyDoesNot(t *testing.T) {
	t.Parallel()
	requests := make(chan *http.Request, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cgi-bin/stable_token" {
			_, _ = w.Write([]byte(`{"access_token":"a-token","expires_in":7200}`))
			return
		}
		requests <- r
		_, _ = w.Write([]byte(`{"errcode":0,"errmsg":"ok"}`))
	}))
	t.Cleanup(server.Close)
	if valid, err := newClient(t, server.URL).CheckSession(t.Context(), "oAlice", hmacKey); err != nil || !valid {
		t.Fatalf("CheckSession: got %t and %v, want true", valid, err)
	}
	got := <-requests
	const want = "/wxa/checksession?access_token=a-token&openid=oAlice&sig_method=hmac_sha256&signature=46e043c5525c2d817c44be603d30837a808a1d930d038f6fdc3e62a201fed128"
	if got.Method != http.MethodGet || got.RequestURI != want || strings.Contains(got.RequestURI, hmacKey) {
		t.Errorf("request: got %s %s, want GET %s", got.Method, got.RequestURI, want)
	}
}

func TestAnErrmsgThatQuotesTheTokenIsHidden(t *testing.T) {
	t.Parallel()
	client := newClient(t, answering(t, "application/json", `{"errcode":48001,"errmsg":"a-token-of-some-length may not, `+plain+`"}`))
	_, err := client.CheckSession(t.Context(), "oAlice", hmacKey)
	if want := "wechat checksession: errcode 48001: *** may not, ***"; err == nil || err.Error() != want {
		t.Errorf("CheckSession: got %v, want %s", err, want)
	}
}
