package sandbox_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wxgate/authn/wechat/sandbox"
)

const (
	appID     = "wx4f4bc4dec97d474b"
	appSecret = "0123456789abcdef0123456789abcdef"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// start runs a sandbox for the length of the test.
func start(t *testing.T, now func() time.Time) *sandbox.Sandbox {
	t.Helper()
	s, err := sandbox.New(sandbox.Config{AppID: appID, Secret: appSecret, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// answer is what code2Session sends, with errcode as it came.
type answer struct {
	OpenID     string `json:"openid"`
	UnionID    string `json:"unionid"`
	SessionKey string `json:"session_key"`
	Errcode    any    `json:"errcode"`
	Errmsg     string `json:"errmsg"`
}

func (a answer) code() string { return fmt.Sprintf("%v", a.Errcode) }

// login calls code2Session, with the parameters changed by pairs of name and value.
func login(t *testing.T, s *sandbox.Sandbox, code string, changes ...string) answer {
	t.Helper()
	query := url.Values{"appid": {appID}, "secret": {appSecret}, "js_code": {code}, "grant_type": {"authorization_code"}}
	for i := 0; i < len(changes); i += 2 {
		query.Set(changes[i], changes[i+1])
	}
	status, header, body := call(t, http.MethodGet, s.URL()+"/sns/jscode2session?"+query.Encode(), "")
	if status != http.StatusOK || header.Get("Content-Type") != "text/plain" {
		t.Errorf("login with %s: got status %d and %s, want 200 and text/plain", code, status, header.Get("Content-Type"))
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		t.Errorf("login with %s: got %s, want JSON", code, body)
	}
	return a
}

func call(t *testing.T, method, address, body string) (int, http.Header, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header, text
}

func TestAnIssuedCodeLogsInOnce(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	code := s.IssueCode("alice")
	first := login(t, s, code)
	if len(first.OpenID) != 28 || first.OpenID[0] != 'o' || first.Errcode != nil {
		t.Errorf("first login: got %+v, want an openid o… of 28 bytes and no errcode", first)
	}
	if key, err := base64.StdEncoding.DecodeString(first.SessionKey); err != nil || len(key) != 16 {
		t.Errorf("session_key: got %q, want base64 of 16 bytes", first.SessionKey)
	}
	second := login(t, s, code)
	if second.code() != "40163" || !strings.HasPrefix(second.Errmsg, "code been used, rid: ") || s.Seen(code) != 2 {
		t.Errorf("second login: got %+v after %d sends, want 40163 with a rid after 2", second, s.Seen(code))
	}
}

func TestACodeDiesAfterFiveMinutes(t *testing.T) {
	t.Parallel()
	now := &clock{now: time.Unix(1_800_000_000, 0)}
	s := start(t, now.Now)
	old, older := s.IssueCode("alice"), s.IssueCode("alice")
	now.add(sandbox.CodeTTL - time.Second)
	if got := login(t, s, old); got.Errcode != nil {
		t.Errorf("after 4:59: got %+v, want a session", got)
	}
	now.add(time.Second)
	if got := login(t, s, older); got.code() != "40029" {
		t.Errorf("after 5:00: got %+v, want 40029", got)
	}
}

func TestAPersonKeepsTheOpenIDAndChangesTheSessionKey(t *testing.T) {
	t.Parallel()
	s, again := start(t, nil), start(t, nil)
	first, second, restarted, bob := login(t, s, "demo-alice"), login(t, s, s.IssueCode("alice")), login(t, again, "demo-alice"), login(t, s, "demo-bob")
	if first.OpenID != second.OpenID || first.OpenID != restarted.OpenID || first.OpenID == bob.OpenID {
		t.Errorf("openids: got %s, %s, %s and for bob %s, want three equal and another", first.OpenID, second.OpenID, restarted.OpenID, bob.OpenID)
	}
	if first.SessionKey == second.SessionKey {
		t.Errorf("session_key of two logins: got %s twice, want two", first.SessionKey)
	}
}

func TestADemoCodeIsReusableAndItsVariantsAreNot(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, row := range []struct{ code, want string }{
		{"demo-alice", "<nil>"},
		{"demo-alice", "<nil>"},
		{"demo-alice-1", "<nil>"},
		{"demo-alice-1", "40163"},
		{"demo-alice-2", "<nil>"},
		{"slow-1ms-alice", "<nil>"},
		{"slow-1ms-alice", "<nil>"},
		{"slow-1ms-alice-1", "<nil>"},
		{"slow-1ms-alice-1", "40163"},
		{"demo-", "40029"},
		{"demo", "40029"},
		{"demo--1", "40029"},
		{"slow-alice", "40029"},
		{"slow-1ms-", "40029"},
		{"err-x", "40029"},
		{"err-", "40029"},
		{"broken-unheard", "40029"},
		{"anything", "40029"},
		{"err-45011", "45011"},
		{"err-45011", "45011"},
		{"err--1", "-1"},
		{"err-99999", "99999"},
		{"strcode-40029", "40029"},
	} {
		if got := login(t, s, row.code); got.code() != row.want {
			t.Errorf("login with %s: got %+v, want errcode %s", row.code, got, row.want)
		}
	}
}

func TestAStrcodeIsAJSONString(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for code, want := range map[string]any{"strcode-40029": "40029", "err-40029": float64(40029)} {
		if got := login(t, s, code).Errcode; got != want {
			t.Errorf("errcode for %s: got %#v, want %#v", code, got, want)
		}
	}
}

func TestAParameterFaultSpendsNoCode(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	code := s.IssueCode("alice")
	for _, row := range []struct{ name, value, want string }{
		{"appid", "", "41002"},
		{"secret", "", "41004"},
		{"js_code", "", "41008"},
		{"grant_type", "", "40002"},
		{"grant_type", "client_credential", "40002"},
		{"appid", strings.ToUpper(appID), "40013"},
		{"secret", appSecret[1:], "40125"},
	} {
		if got := login(t, s, code, row.name, row.value); got.code() != row.want || strings.Contains(got.Errmsg, appSecret[1:]) {
			t.Errorf("%s=%q: got %+v, want %s", row.name, row.value, got, row.want)
		}
	}
	if got := login(t, s, code); got.Errcode != nil {
		t.Errorf("the code after it: got %+v, want a session", got)
	}
}

func TestACodeIsIssuedOverHTTP(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	_, _, body := call(t, http.MethodPost, s.URL()+"/sandbox/code", `{"person":"alice"}`)
	var issued struct{ Code string }
	if err := json.Unmarshal(body, &issued); err != nil || len(issued.Code) != 32 {
		t.Fatalf("POST /sandbox/code: got %s, want a code of 32 characters", body)
	}
	if got, want := login(t, s, issued.Code).OpenID, login(t, s, "demo-alice").OpenID; got != want {
		t.Errorf("openid by the issued code: got %s, want %s", got, want)
	}
}

func TestACodeForNobodyIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for _, body := range []string{"", "{}", `{"person":""}`, `{"person":7}`, `{"person":"` + strings.Repeat("a", 65) + `"}`, strings.Repeat(" ", 5000) + `{"person":"a"}`} {
		if status, _, text := call(t, http.MethodPost, s.URL()+"/sandbox/code", body); status != http.StatusBadRequest {
			t.Errorf("POST /sandbox/code %.40q: got %d %s, want 400", body, status, text)
		}
	}
}

func TestOnlyGETLogsIn(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	if status, _, _ := call(t, http.MethodPost, s.URL()+"/sns/jscode2session", ""); status != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d, want 405", status)
	}
}

func TestEveryAddressButLoopbackIsRefused(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{":0", "0.0.0.0:0", "[::]:0", "192.168.1.1:0", "example.com:0", "127.0.0.1", "", "localhost.example.com:0"} {
		s, err := sandbox.New(sandbox.Config{AppID: appID, Secret: appSecret})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(listen); err == nil || !strings.HasPrefix(err.Error(), "sandbox: ") || s.URL() != "" {
			t.Errorf("Start(%q): got %v and URL %q, want an error and none", listen, err, s.URL())
		}
		_ = s.Close()
	}
}

func TestASandboxWithoutAppIDOrSecretIsRefused(t *testing.T) {
	t.Parallel()
	for _, config := range []sandbox.Config{{}, {AppID: appID}, {Secret: appSecret}} {
		if _, err := sandbox.New(config); err == nil {
			t.Errorf("New(%+v): got no error, want one", config)
		}
	}
}

func TestASandboxStartsOnce(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	if err := s.Start("127.0.0.1:0"); err == nil {
		t.Error("second Start: got no error, want one")
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: got %v, want nil", err)
		}
	}
	if err := s.Start("127.0.0.1:0"); err == nil {
		t.Error("Start after Close: got no error, want one")
	}
}

func TestCloseEndsASlowAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	query := url.Values{"appid": {appID}, "secret": {appSecret}, "js_code": {"slow-60000ms-alice"}, "grant_type": {"authorization_code"}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		transport := &http.Transport{DisableKeepAlives: true}
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/sns/jscode2session?"+query.Encode(), nil)
		if response, err := transport.RoundTrip(request); err == nil {
			_ = response.Body.Close()
		}
	}()
	for s.Seen("slow-60000ms-alice") == 0 {
		select {
		case <-done:
			t.Fatal("the slow login ended before Close")
		case <-time.After(time.Millisecond):
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: got %v, want nil", err)
	}
	<-done
}

func TestAPrintedSandboxHoldsNoSecret(t *testing.T) {
	t.Parallel()
	s, err := sandbox.New(sandbox.Config{AppID: appID, Secret: appSecret})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, s); strings.Contains(got, appSecret) {
			t.Errorf("Sprintf(%q, sandbox): got %s, want no secret in it", verb, got)
		}
	}
}

func TestOneCodeAmongManyClientsIsSpentOnce(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	code := s.IssueCode("alice")
	answers := make(chan answer, 20)
	var group sync.WaitGroup
	for range cap(answers) {
		group.Go(func() { answers <- login(t, s, code) })
	}
	group.Wait()
	close(answers)
	sessions := 0
	for a := range answers {
		if a.Errcode == nil {
			sessions++
		}
	}
	if sessions != 1 || s.Seen(code) != cap(answers) {
		t.Errorf("sessions from one code: got %d from %d sends, want 1 from %d", sessions, s.Seen(code), cap(answers))
	}
}
