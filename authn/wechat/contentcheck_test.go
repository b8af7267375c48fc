package wechat_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
)

// officialSample is the bad text of WeChat's own page.
const officialSample = "特3456书yuuo莞6543李zxcz蒜7782法fgnv级"

// loggedIn is a sandbox that somebody uses, and a client of it.
func loggedIn(t *testing.T, person string) (*sandbox.Sandbox, *wechat.Client) {
	t.Helper()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	if _, err := client.Code2Session(t.Context(), s.IssueCode(person)); err != nil {
		t.Fatal(err)
	}
	return s, client
}

func TestATextIsJudged(t *testing.T) {
	t.Parallel()
	s, client := loggedIn(t, "alice")
	for text, want := range map[wechat.ProfileText]wechat.ContentResult{
		{Nickname: "小厨师"}:                             wechat.ContentPass,
		{Bio: "爱做饭"}:                                  wechat.ContentPass,
		{Nickname: officialSample}:                    wechat.ContentRisky,
		{Nickname: "小厨师", Bio: officialSample}:        wechat.ContentRisky,
		{Nickname: "存疑的人"}:                            wechat.ContentReview,
		{Nickname: `"},"scene":9,"`, Bio: "</xml>\n"}: wechat.ContentPass,
	} {
		got, err := client.CheckProfile(t.Context(), s.OpenID("alice"), text)
		if err != nil || got.Result != want || got.Label == 0 {
			t.Errorf("%s %s: got %+v and %v, want %s with a label", text.Nickname, text.Bio, got, err, want)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v %s", wechat.ProfileText{Nickname: "A"}, wechat.ProfileText{Bio: "B"}, wechat.ProfileText{Bio: "C"}, wechat.ProfileText{Bio: "D"}); strings.ContainsAny(got, "ABCD") {
		t.Errorf("a text prints as %s", got)
	}
}

// TestOnlyWhoIsHereCanBeChecked: WeChat knows nobody else, or forgets them after two hours.
func TestOnlyWhoIsHereCanBeChecked(t *testing.T) {
	t.Parallel()
	s, client := loggedIn(t, "alice")
	check := func(openID string) (errcode int) {
		_, err := client.CheckProfile(t.Context(), openID, wechat.ProfileText{Nickname: officialSample})
		_, imageErr := client.CheckImage(t.Context(), openID, "https://example.com/"+officialSample)
		for _, err := range []error{err, imageErr} {
			answer, ok := errors.AsType[*wechat.Error](err)
			if !ok || errcode != 0 && answer.Code != errcode {
				t.Fatalf("got %v, want an errcode, the same for both", err)
			}
			errcode = answer.Code
			tellsNothing(t, err, officialSample)
			tellsNothing(t, err, openID)
		}
		return errcode
	}
	if got := check("oNobody"); got != 43104 {
		t.Errorf("an unknown openid: %d, want 43104", got)
	}
	s.Advance(2*time.Hour + time.Second)
	if got := check(s.OpenID("alice")); got != 61010 {
		t.Errorf("somebody who was here two hours ago: %d, want 61010", got)
	}
}

// TestWhatIsNoResultIsNone: only what the page has counts, and no error shows the text.
func TestWhatIsNoResultIsNone(t *testing.T) {
	t.Parallel()
	var answer string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "stable_token") {
			_, _ = io.WriteString(w, `{"access_token":"a-token","expires_in":7200}`)
			return
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	client := newClient(t, server.URL)
	for _, row := range []struct {
		answer string
		want   wechat.ContentCheck // without a result: an error
	}{
		{`{"errcode":0,"result":{"suggest":"risky","label":20001}}`, wechat.ContentCheck{Result: wechat.ContentRisky, Label: 20001}},
		{`{"errcode":"0","result":{"suggest":"pass","label":"100"}}`, wechat.ContentCheck{Result: wechat.ContentPass, Label: 100}},
		{`{"result":{"suggest":"review","label":{"a":1}}}`, wechat.ContentCheck{Result: wechat.ContentReview}},
		{`{"errcode":0,"result":{"suggest":"pass","label":1e99}}`, wechat.ContentCheck{Result: wechat.ContentPass}},
		{`{"errcode":0,"result":{"suggest":"pass"},"detail":null}`, wechat.ContentCheck{Result: wechat.ContentPass}},
		{`{"errcode":87014,"errmsg":"risky content rid: 1"}`, wechat.ContentCheck{Result: wechat.ContentRisky}},
		{`{"errcode":"87014"}`, wechat.ContentCheck{Result: wechat.ContentRisky}},
		{`{"errcode":0}`, wechat.ContentCheck{}},
		{`{"errcode":0,"result":null}`, wechat.ContentCheck{}},
		{`{"errcode":0,"result":[]}`, wechat.ContentCheck{}},
		{`{"errcode":0,"result":{"label":100}}`, wechat.ContentCheck{}},
		{`{"errcode":0,"result":{"suggest":"PASS","label":100}}`, wechat.ContentCheck{}},
		{`{"errcode":0,"result":{"suggest":"block` + officialSample + `"}}`, wechat.ContentCheck{}},
		{`{"errcode":0,"result":{"suggest":1}}`, wechat.ContentCheck{}},
		{`{"errcode":0,"result":"pass","detail":[{"errcode":0,"suggest":"pass"}]}`, wechat.ContentCheck{}},
		{`{"errcode":45009,"errmsg":"` + officialSample + `"}`, wechat.ContentCheck{}},
		{`{"errcode":{}}`, wechat.ContentCheck{}},
		{`<html>` + officialSample, wechat.ContentCheck{}},
		{``, wechat.ContentCheck{}},
	} {
		answer = row.answer
		got, err := client.CheckProfile(t.Context(), "oAlice", wechat.ProfileText{Nickname: officialSample})
		if got != row.want || (err == nil) != (row.want.Result != "") {
			t.Errorf("%s: got %+v and %v, want %+v", row.answer, got, err, row.want)
		}
		if err != nil {
			tellsNothing(t, err, officialSample)
		}
	}
	for _, row := range []string{`{"errcode":0}`, `{"errcode":0,"trace_id":7}`, `{"errcode":0,"trace_id":"` + strings.Repeat("x", 129) + `"}`} {
		answer = row
		if trace, err := client.CheckImage(t.Context(), "oAlice", "https://example.com/a.png"); trace != "" || err == nil {
			t.Errorf("a picture, %.40s: got %q and %v, want an error", row, trace, err)
		}
	}
}

func TestTheResultOfAPictureIsPushed(t *testing.T) {
	t.Parallel()
	s, err := sandbox.New(sandbox.Config{AppID: appID, Secret: plain, PushToken: "push-token"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	client := newClient(t, s.URL())
	if _, err := client.Code2Session(t.Context(), s.IssueCode("alice")); err != nil {
		t.Fatal(err)
	}
	events := make(chan map[string]json.RawMessage, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var event map[string]json.RawMessage
		if json.NewDecoder(r.Body).Decode(&event) == nil {
			events <- event
		}
	}))
	t.Cleanup(receiver.Close)
	s.PushTo(receiver.URL)
	for address, want := range map[string]wechat.ContentCheck{
		"https://example.com/a.png":     {Result: wechat.ContentPass, Label: 100},
		"https://example.com/risky.png": {Result: wechat.ContentRisky, Label: 20002},
		"https://example.com/missing":   {},
	} {
		trace, err := client.CheckImage(t.Context(), s.OpenID("alice"), address)
		if err != nil {
			t.Fatal(err)
		}
		event := <-events
		if got := wechat.ParseContentCheck(event["result"]); got != want || string(event["trace_id"]) != `"`+trace+`"` {
			t.Errorf("%s: got %+v of %s, want %+v of %s", address, got, event["trace_id"], want, trace)
		}
	}
}
