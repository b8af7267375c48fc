package sandbox_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"

	"wxgate/authn/wechat/sandbox"
)

// sessionOf returns whether what came back is a whole 200 with an openid and a session_key of 24 characters.
func sessionOf(t *testing.T, s *sandbox.Sandbox, code string) bool {
	t.Helper()
	query := url.Values{"appid": {appID}, "secret": {appSecret}, "js_code": {code}, "grant_type": {"authorization_code"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/sns/jscode2session?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	var a answer
	broken := json.Unmarshal(bytes.TrimPrefix(body, []byte("\uFEFF")), &a) != nil
	return err == nil && !broken && response.StatusCode == http.StatusOK && a.OpenID != "" && len(a.SessionKey) == 24
}

func TestEveryBrokenCodeBreaksItsAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, how := range sandbox.Broken() {
		for _, code := range []string{"broken-" + how, "broken-" + how + "-alice"} {
			if got, want := sessionOf(t, s, code), how == "bom"; got != want || s.Seen(code) != 1 {
				t.Errorf("code %s: got session %t after %d sends, want %t after 1", code, got, s.Seen(code), want)
			}
		}
	}
	if !sessionOf(t, s, "demo-alice") {
		t.Error("code demo-alice: got no session, want one, or the rows above prove nothing")
	}
}
