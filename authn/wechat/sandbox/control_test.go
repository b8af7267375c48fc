package sandbox_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
	"wxgate/secret"
)

// control posts to the control API and wants a 200.
func control(t *testing.T, s *sandbox.Sandbox, path, body string) []byte {
	t.Helper()
	status, _, text := call(t, http.MethodPost, s.URL()+"/sandbox/"+path, body)
	if status != http.StatusOK {
		t.Errorf("POST /sandbox/%s %s: got %d %s, want 200", path, body, status, text)
	}
	return text
}

// try logs in and names what came: a session, an errcode, or broken.
func try(t *testing.T, s *sandbox.Sandbox, code string) string {
	t.Helper()
	query := url.Values{"appid": {appID}, "secret": {appSecret}, "js_code": {code}, "grant_type": {"authorization_code"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/sns/jscode2session?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return "broken"
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	var a answer
	switch {
	case err != nil || response.StatusCode != http.StatusOK || json.Unmarshal(body, &a) != nil || (a.OpenID == "" && a.Errcode == nil):
		return "broken"
	case a.Errcode != nil:
		return a.code()
	}
	return "session"
}

func TestTheNextCallsFailAsScripted(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	control(t, s, "fail", `{"api":"jscode2session","kinds":["-1"],"count":2}`)
	code := s.IssueCode("alice")
	got := []string{try(t, s, code), try(t, s, code), try(t, s, code), try(t, s, code)}
	if want := []string{"-1", "-1", "session", "40163"}; !slices.Equal(got, want) {
		t.Errorf("four tries of one code: got %q, want %q: -1 spends no code", got, want)
	}
	stats := s.Stats()
	if stats.APIs["jscode2session"] != (sandbox.APIStats{Calls: 4, Failed: 2}) || stats.Codes[code] != 4 || !slices.Equal(stats.Twice, []string{code}) || len(stats.Resent) != 0 {
		t.Errorf("stats: got %+v, want 4 calls, 2 failed, the code twice and never after a lost answer", stats)
	}
}

func TestALostAnswerSpendsTheCodeAndASecondSendIsSeen(t *testing.T) {
	t.Parallel()
	for _, kind := range sandbox.Kinds() {
		if kind == "timeout" {
			continue // has its own test
		}
		s := start(t, nil)
		control(t, s, "fail", `{"kinds":["`+kind+`"],"count":1}`)
		code := s.IssueCode("alice")
		if got := []string{try(t, s, code), try(t, s, code)}; !slices.Equal(got, []string{"broken", "40163"}) {
			t.Errorf("%s: got %q, want broken and 40163", kind, got)
		}
		if got := s.Stats(); !slices.Equal(got.Resent, []string{code}) {
			t.Errorf("%s: resent got %q, want the code", kind, got.Resent)
		}
	}
}

func TestATimeoutHoldsTheCallUntilTheClientLeaves(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	control(t, s, "fail", `{"api":"jscode2session","kinds":["timeout"]}`)
	code := s.IssueCode("alice")
	impatient(t, s, code)
	control(t, s, "fail", `{"api":"jscode2session"}`)
	if got := try(t, s, code); got != "40163" {
		t.Errorf("the code after it: got %s, want 40163", got)
	}
	if got := s.Stats().Resent; !slices.Equal(got, []string{code}) {
		t.Errorf("resent: got %q, want the code", got)
	}
}

func TestTheSameSeedFailsTheSameCalls(t *testing.T) {
	t.Parallel()
	run := func(seed string) []string {
		s := start(t, nil)
		control(t, s, "fail", `{"api":"*","rate":0.3,"kinds":["-1","45011","html"],"seed":`+seed+`}`)
		var got []string
		for i := range 90 {
			got = append(got, try(t, s, fmt.Sprintf("demo-p%d", i)))
		}
		return got
	}
	one, again, other := run("7"), run("7"), run("8")
	if !slices.Equal(one, again) || slices.Equal(one, other) {
		t.Errorf("seeds 7, 7 and 8: got equal %t and %t, want true and false", slices.Equal(one, again), slices.Equal(one, other))
	}
	kinds := map[string]int{}
	for _, what := range one {
		kinds[what]++
	}
	if failed := 90 - kinds["session"]; failed < 12 || failed > 42 || kinds["-1"] == 0 || kinds["45011"] == 0 || kinds["broken"] == 0 {
		t.Errorf("90 calls at a rate of 0.3: got %v, want about 27 failures of three kinds", kinds)
	}
}

func TestAnAPIOfItsOwnGoesBeforeTheStar(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	control(t, s, "fail", `{"kinds":["45009"]}`)
	control(t, s, "fail", `{"api":"jscode2session","kinds":["-1"]}`)
	if a, b := try(t, s, "demo-alice"), stable(t, s, false); a != "-1" || b.Errcode != 45009 {
		t.Errorf("login and token: got %s and %d, want -1 and 45009", a, b.Errcode)
	}
	control(t, s, "fail", `{"api":"jscode2session"}`)
	if got := try(t, s, "demo-alice"); got != "45009" {
		t.Errorf("login after its own rule ended: got %s, want 45009", got)
	}
	control(t, s, "fail", `{}`)
	if got := try(t, s, "demo-alice"); got != "session" {
		t.Errorf("login after all rules ended: got %s, want a session", got)
	}
}

func TestLatencyDelaysOneAPI(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	control(t, s, "latency", `{"api":"*","ms":60000}`)
	control(t, s, "latency", `{"api":"stable_token","ms":0}`)
	control(t, s, "latency", `{"api":"jscode2session","ms":150}`)
	stable(t, s, false) // the test hangs, and fails, when the star goes before it
	begin := time.Now()
	try(t, s, "demo-alice")
	if took := time.Since(begin); took < 150*time.Millisecond {
		t.Errorf("a login took %s, want 150ms and more", took)
	}
}

func TestAClientThatLeavesASlowAnswerHasSpentItsCode(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	control(t, s, "latency", `{"api":"jscode2session","ms":60000}`)
	code := s.IssueCode("alice")
	impatient(t, s, code)
	control(t, s, "latency", `{"api":"jscode2session","ms":0}`)
	impatient(t, s, code)
	if got := s.Stats().Resent; !slices.Equal(got, []string{code}) {
		t.Errorf("resent: got %q, want the code", got)
	}
	deadline := time.Now().Add(10 * time.Second)
	for try(t, s, code) != "40163" { // the first call may still be on its way out
		if time.Now().After(deadline) {
			t.Fatal("the code: got another answer, want 40163")
		}
	}
}

// impatient logs in and leaves after 100 ms.
func impatient(t *testing.T, s *sandbox.Sandbox, code string) {
	t.Helper()
	client := &http.Client{Timeout: 100 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	query := url.Values{"appid": {appID}, "secret": {appSecret}, "js_code": {code}, "grant_type": {"authorization_code"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/sns/jscode2session?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := client.Do(request); err == nil {
		_ = response.Body.Close()
	}
}

func TestTheClockMovesCodesAndTokens(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	code, token := s.IssueCode("alice"), stable(t, s, false).Token
	control(t, s, "clock", `{"advance":"2h"}`)
	if got := try(t, s, code); got != "40029" {
		t.Errorf("a code after two hours: got %s, want 40029", got)
	}
	if got := server(t, s, "POST", "/wxa/x?access_token="+token, "{}"); got.Errcode != 42001 {
		t.Errorf("a token after two hours: got %d, want 42001", got.Errcode)
	}
}

func TestResetIsANewSandbox(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	code, token := s.IssueCode("alice"), stable(t, s, false).Token
	control(t, s, "fail", `{"kinds":["-1"]}`)
	control(t, s, "latency", `{"ms":60000}`)
	control(t, s, "clock", `{"advance":"2h"}`)
	control(t, s, "reset", "")
	if stats := s.Stats(); len(stats.APIs) != 0 || len(stats.Codes) != 0 {
		t.Errorf("stats: got %+v, want none", stats)
	}
	if got := try(t, s, code); got != "40029" {
		t.Errorf("a code from before: got %s, want 40029", got)
	}
	if got := server(t, s, "POST", "/wxa/x?access_token="+token, "{}"); got.Errcode != 40001 {
		t.Errorf("a token from before: got %d, want 40001", got.Errcode)
	}
	if got := try(t, s, "demo-alice"); got != "session" {
		t.Errorf("a login: got %s, want a session", got)
	}
}

func TestStatsOverHTTPAreThoseInGo(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for range 2 {
		try(t, s, "demo-alice")
		try(t, s, "demo-alice-1")
	}
	_, _, body := call(t, http.MethodGet, s.URL()+"/sandbox/stats", "")
	const want = `{"apis":{"jscode2session":{"calls":4,"failed":0}},"codes":{"demo-alice":2,"demo-alice-1":2},"twice":["demo-alice-1"],"resent":[]}`
	if got := strings.TrimSpace(string(body)); got != want {
		t.Errorf("GET /sandbox/stats: got %s, want %s", got, want)
	}
}

func TestEncryptOverHTTPOpens(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	key := login(t, s, "demo-alice").SessionKey
	for body, member := range map[string]string{
		`{"person":"alice","kind":"phone"}`: `"phoneNumber"`, `{"person":"alice","object":{"mine":1}}`: `"mine":1`,
	} {
		var data sandbox.OpenData
		if err := json.Unmarshal(control(t, s, "encrypt", body), &data); err != nil {
			t.Fatal(err)
		}
		if plain, err := wechat.Decrypt(key, data.IV, data.EncryptedData, appID); err != nil || !strings.Contains(string(plain), member) {
			t.Errorf("POST /sandbox/encrypt %s: got %s and %v, want %s", body, plain, err, member)
		}
	}
}

func TestAControlRequestThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, row := range [][2]string{
		{"phone-code", `{}`},
		{"encrypt", `{"person":"alice"}`},
		{"encrypt", `{"person":"alice","kind":"unheard"}`},
		{"encrypt", `{"person":"neverLoggedIn","kind":"phone"}`},
		{"fail", `{"kinds":["unheard"]}`},
		{"fail", `{"kinds":["0"]}`},
		{"fail", `{"kinds":["-1"],"rate":1.1}`},
		{"fail", `{"kinds":["-1"],"rate":-0.1}`},
		{"fail", `{"kinds":["-1"],"count":-1}`},
		{"fail", `{"kind":["-1"]}`},
		{"fail", `x`},
		{"latency", `{"ms":-1}`},
		{"latency", `{"ms":60001}`},
		{"clock", `{"advance":"soon"}`},
		{"push", `{"url":"http://192.168.1.1:80/x","message":{}}`},
		{"push", `{"url":"http://127.0.0.1.example.com:80/x","message":{}}`},
		{"push", `{"url":"http://127.0.0.1:80@example.com:80/x","message":{}}`},
		{"push", `{"url":"ftp://127.0.0.1:80/x","message":{}}`},
	} {
		if status, _, text := call(t, http.MethodPost, s.URL()+"/sandbox/"+row[0], row[1]); status != http.StatusBadRequest || len(text) == 0 {
			t.Errorf("POST /sandbox/%s %s: got %d %s, want 400 and why", row[0], row[1], status, text)
		}
	}
}

// pushed runs a receiver of pushes, and a sandbox with and without a key.
func pushed(t *testing.T, key secret.Text) (*sandbox.Sandbox, *httptest.Server) {
	t.Helper()
	receiver, err := wechat.NewPush(appID, "push-token", key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			echo, err := receiver.Echo(r.URL.Query())
			if err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			}
			_, _ = io.WriteString(w, echo)
			return
		}
		body, _ := io.ReadAll(r.Body)
		message, err := receiver.Open(r.URL.Query(), body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		_, _ = w.Write(message.Body)
	}))
	t.Cleanup(server.Close)
	s, err := sandbox.New(sandbox.Config{AppID: appID, Secret: appSecret, PushToken: "push-token", PushAESKey: key, MchID: "1900000001", APIv3Key: "0123456789abcdef0123456789abcdef"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, server
}

func TestAPushArrivesPlainAndSealed(t *testing.T) {
	t.Parallel()
	for _, key := range []secret.Text{"", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"} {
		s, receiver := pushed(t, key)
		for _, message := range []string{`{"MsgType":"event"}`, "<xml><MsgType>event</MsgType></xml>"} {
			if status, answer, err := s.SendPush(t.Context(), receiver.URL+"/wechat/push", []byte(message)); err != nil || status != 200 || answer != message {
				t.Errorf("SendPush(%s): got %d %q and %v, want 200 and the message", message, status, answer, err)
			}
		}
		if err := s.VerifyPush(t.Context(), receiver.URL); err != nil {
			t.Errorf("VerifyPush: got %v, want nil", err)
		}
		got := string(control(t, s, "push", `{"url":"`+receiver.URL+`/push","message":{"a":1}}`))
		if want := `{"answer":"{\"a\":1}","status":200}`; strings.TrimSpace(got) != want {
			t.Errorf("POST /sandbox/push: got %s, want %s", got, want)
		}
		if _, _, err := s.SendPush(t.Context(), receiver.URL, []byte("neither")); err == nil {
			t.Error("SendPush of neither JSON nor XML: got no error, want one")
		}
	}
}

func TestAPushToAWrongReceiverIsTold(t *testing.T) {
	t.Parallel()
	s, _ := pushed(t, "")
	_, other := pushed(t, "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
	if status, _, err := s.SendPush(t.Context(), other.URL, []byte("{}")); err != nil || status != http.StatusForbidden {
		t.Errorf("a plain push to who wants it sealed: got %d and %v, want 403", status, err)
	}
	nobody := httptest.NewServer(http.NotFoundHandler())
	if err := s.VerifyPush(t.Context(), nobody.URL); err == nil {
		t.Error("VerifyPush of who echoes nothing: got no error, want one")
	}
	nobody.Close()
	if _, _, err := s.SendPush(t.Context(), nobody.URL, []byte("{}")); err == nil {
		t.Error("SendPush to nobody: got no error, want one")
	}
	without := start(t, nil)
	if _, _, err := without.SendPush(t.Context(), other.URL, []byte("{}")); err == nil || without.VerifyPush(t.Context(), other.URL) == nil {
		t.Error("push without Config.PushToken: got no error, want one")
	}
	if _, err := sandbox.New(sandbox.Config{AppID: appID, Secret: appSecret, PushToken: "t", PushAESKey: "short"}); err == nil {
		t.Error("New with a short PushAESKey: got no error, want one")
	}
}

// curlLine is one of the package comment's.
var curlLine = regexp.MustCompile(`(?m)^//\tcurl \$S(/sandbox/[a-z-]+)(?: +-d '([^']*)')?`)

func TestTheCurlLinesOfThePackageCommentWork(t *testing.T) {
	t.Parallel()
	s, receiver := pushed(t, "")
	login(t, s, "demo-alice")
	source, err := os.ReadFile("sandbox.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := curlLine.FindAllStringSubmatch(string(source), -1)
	if len(lines) < 10 {
		t.Fatalf("curl lines in the package comment: got %d, want all of them", len(lines))
	}
	for _, line := range lines {
		method, body := http.MethodPost, strings.ReplaceAll(line[2], "http://127.0.0.1:8080", receiver.URL)
		if line[1] == "/sandbox/stats" || line[1] == "/sandbox/pay" && body == "" {
			method = http.MethodGet
		}
		if status, _, text := call(t, method, s.URL()+line[1], body); status != http.StatusOK {
			t.Errorf("%s %s %s: got %d %s, want 200", method, line[1], body, status, text)
		}
	}
}
