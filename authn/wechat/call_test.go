package wechat_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
)

const checkPath = "/wxa/msg_sec_check"

// echoed is what the sandbox saw.
type echoed struct {
	Echo struct {
		Method      string     `json:"method"`
		Path        string     `json:"path"`
		Query       url.Values `json:"query"`
		ContentType string     `json:"content_type"`
		Body        string     `json:"body"`
	} `json:"echo"`
}

func TestACallIsForwardedWithTheTokenAdded(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	query := url.Values{"a": {"1", "2"}, "access_token": {"the caller's"}}
	got, err := client.Call(t.Context(), http.MethodPost, "/cgi-bin/message/subscribe/send", query, []byte(`{"x":"é"}`), "application/json; charset=utf-8")
	var saw echoed
	if err != nil || got.Errcode != 0 || json.Unmarshal(got.Body, &saw) != nil {
		t.Fatalf("Call: got %v and %v, want an echo", got, err)
	}
	e := saw.Echo
	if e.Method != http.MethodPost || e.Path != "/cgi-bin/message/subscribe/send" || e.Body != `{"x":"é"}` || e.ContentType != "application/json; charset=utf-8" || e.Query.Encode() != "a=1&a=2" {
		t.Errorf("what arrived: got %+v, want what was sent", e)
	}
	if query.Get("access_token") != "the caller's" || len(query) != 2 {
		t.Errorf("the caller's query: got %v, want it untouched", query)
	}
	if got, err := client.Call(t.Context(), http.MethodGet, "/cgi-bin/get_api_domain_ip", nil, nil, ""); err != nil || got.Errcode != 0 {
		t.Errorf("a GET: got %v and %v, want errcode 0", got, err)
	}
}

func TestAnErrcodeIsInTheAnswerAndNoError(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	fail(t, s, sandbox.Failure{API: "msg_sec_check", Kinds: []string{"87014"}})
	got, err := newClient(t, s.URL()).Call(t.Context(), http.MethodPost, checkPath, nil, []byte("{}"), "application/json")
	if err != nil || got.Errcode != 87014 || !strings.Contains(string(got.Body), `"errcode":87014`) || calls(s, "msg_sec_check") != 1 {
		t.Errorf("Call: got %v (%s) and %v, want errcode 87014 after one request", got, got.Body, err)
	}
}

func TestACallWhoseTokenIsRefusedIsSentAgainOnce(t *testing.T) {
	t.Parallel()
	for _, errcode := range []string{"40001", "40014", "42001"} {
		s := newSandbox(t)
		client := newClient(t, s.URL())
		mustToken(t, client)
		fail(t, s, sandbox.Failure{API: "msg_sec_check", Kinds: []string{errcode}, Count: 1})
		got, err := client.Call(t.Context(), http.MethodPost, checkPath, nil, []byte(`{"content":"x"}`), "application/json")
		if err != nil || got.Errcode != 0 || !strings.Contains(string(got.Body), `{\"content\":\"x\"}`) {
			t.Errorf("after %s: got %v (%s) and %v, want the echo of the second request", errcode, got, got.Body, err)
		}
		if got := calls(s, "msg_sec_check"); got != 2 {
			t.Errorf("requests after %s: got %d, want 2", errcode, got)
		}
	}
}

func TestACallThatIsAlwaysRefusedIsSentTwiceAndNoMore(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	fail(t, s, sandbox.Failure{API: "msg_sec_check", Kinds: []string{"40001"}})
	client := newClient(t, s.URL())
	got, err := client.Call(t.Context(), http.MethodPost, checkPath, nil, []byte("{}"), "application/json")
	if err != nil || got.Errcode != wechat.ErrCodeInvalidToken || calls(s, "msg_sec_check") != 2 || calls(s, "stable_token") != 3 {
		t.Errorf("Call: got %v and %v after %d requests and %d for a token, want 40001 after 2 and 3",
			got, err, calls(s, "msg_sec_check"), calls(s, "stable_token"))
	}
	if _, err := client.Call(t.Context(), http.MethodPost, checkPath, nil, []byte("{}"), "application/json"); !errors.Is(err, wechat.ErrTokenRefused) {
		t.Errorf("the next Call: got %v, want ErrTokenRefused rather than a second forced refresh within 30 s", err)
	}
}

func TestACallWithATokenThatDiedElsewhereRecovers(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := timedSandbox(t, now)
	client := newClient(t, s.URL()) // by a clock that does not notice the end
	mustToken(t, client)
	now.add(3 * time.Hour)
	if got, err := client.Call(t.Context(), http.MethodPost, checkPath, nil, []byte("{}"), ""); err != nil || got.Errcode != 0 {
		t.Errorf("with an expired token: got %v and %v, want errcode 0", got, err)
	}
	forceRefresh(t, s)
	if got, err := client.Call(t.Context(), http.MethodPost, checkPath, nil, []byte("{}"), ""); err != nil || got.Errcode != 0 {
		t.Errorf("with a token that another program killed: got %v and %v, want errcode 0", got, err)
	}
	if got := calls(s, "msg_sec_check"); got != 4 {
		t.Errorf("requests: got %d, want 4", got)
	}
}

func TestAPictureIsPassedAsItIs(t *testing.T) {
	t.Parallel()
	got, err := newClient(t, newSandbox(t).URL()).Call(t.Context(), http.MethodPost, "/wxa/getwxacodeunlimit", nil, []byte(`{"scene":"a=1"}`), "application/json")
	if err != nil || got.Errcode != 0 || got.ContentType != "image/png" {
		t.Fatalf("Call: got %v and %v, want a picture", got, err)
	}
	if _, err := png.Decode(strings.NewReader(string(got.Body))); err != nil {
		t.Errorf("the picture: got %v, want a PNG", err)
	}
}

func TestACallThatFailsAmbiguouslyIsSentOnce(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	mustToken(t, client)
	for i, kind := range []string{"reset", "html", "half", "502", "empty", "notjson", "trailing", "cut"} {
		fail(t, s, sandbox.Failure{API: "msg_sec_check", Kinds: []string{kind}})
		_, err := client.Call(t.Context(), http.MethodPost, checkPath, nil, []byte("{}"), "application/json")
		if !errors.Is(err, wechat.ErrBadResponse) || calls(s, "msg_sec_check") != i+1 {
			t.Errorf("Call while %s: got %v after %d requests, want ErrBadResponse after %d", kind, err, calls(s, "msg_sec_check"), i+1)
		}
		tellsNothing(t, err, "access_token=")
	}
	short := newClient(t, s.URL(), timeout(2*time.Second))
	fail(t, s, sandbox.Failure{API: "msg_sec_check", Kinds: []string{"timeout"}})
	if _, err := short.Call(t.Context(), http.MethodPost, checkPath, nil, []byte("{}"), ""); !errors.Is(err, wechat.ErrTimeout) {
		t.Errorf("Call without an answer: got %v, want ErrTimeout", err)
	}
}

func TestAnAnswerIsTakenUpToOneMebibyte(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]error{1 << 20: nil, 1<<20 + 1: wechat.ErrBadResponse} {
		server := answering(t, "image/jpeg", strings.Repeat("x", length))
		if got, err := newClient(t, server).Call(t.Context(), http.MethodGet, "/cgi-bin/media/get", nil, nil, ""); !errors.Is(err, want) || (want == nil && len(got.Body) != length) {
			t.Errorf("answer of %d bytes: got %d and %v, want %v", length, len(got.Body), err, want)
		}
	}
}

func TestOnlyAJSONObjectOrAFileIsAnAnswer(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		contentType, body string
		errcode           int
		want              error
	}{
		{"text/plain", `{"errcode":47001}`, 47001, nil},
		{"application/json", "\uFEFF {\"errcode\":\"45009\"}", 45009, nil},
		{"application/json", `{"list":[]}`, 0, nil},
		{"image/jpeg", `{"errcode":40029}`, 40029, nil},
		{"image/jpeg", "\xff\xd8", 0, nil},
		{"application/octet-stream", "", 0, nil},
		{"Audio/MP3; a=b", "x", 0, nil},
		{"text/html", "<html>", 0, wechat.ErrBadResponse},
		{"", "\xff\xd8", 0, wechat.ErrBadResponse},
		{"application/json", `{"errcode":4.5}`, 0, wechat.ErrBadResponse},
		{"application/json", `[]`, 0, wechat.ErrBadResponse},
		{"application/json", ``, 0, wechat.ErrBadResponse},
	} {
		got, err := newClient(t, answering(t, row.contentType, row.body)).Call(t.Context(), http.MethodGet, "/cgi-bin/x", nil, nil, "")
		if !errors.Is(err, row.want) || got.Errcode != row.errcode || (err == nil && string(got.Body) != row.body) {
			t.Errorf("%s %q: got %v (%q) and %v, want errcode %d and %v", row.contentType, row.body, got, got.Body, err, row.errcode, row.want)
		}
	}
}

func TestAPathOfOursOrOfOddShapeIsNotForwarded(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	for _, row := range [][2]string{
		{"GET", "/sns/jscode2session"},
		{"GET", "/SNS/jscode2session"},
		{"GET", "/cgi-bin/token"},
		{"POST", "/cgi-bin/stable_token"},
		{"POST", "/CGI-bin/Stable_Token"},
		{"POST", ""},
		{"POST", "/"},
		{"POST", "/wxa"},
		{"POST", "wxa/x"},
		{"POST", "/wxa/"},
		{"POST", "/wxa//x"},
		{"POST", "/wxa/../cgi-bin/token"},
		{"POST", "/wxa/%2e%2e/x"},
		{"POST", "/wxa/x?a=b"},
		{"POST", "/wxa/x#a"},
		{"POST", "/wxa/x y"},
		{"POST", "//evil.example/x"},
		{"POST", "/wxa/x\n"},
		{"POST", "@evil.example/x"},
		{"POST", "/wxa/" + strings.Repeat("x", 65)},
		{"PUT", "/wxa/x"},
		{"", "/wxa/x"},
		{"post", "/wxa/x"},
	} {
		if _, err := client.Call(t.Context(), row[0], row[1], nil, nil, ""); !errors.Is(err, wechat.ErrInvalidCall) {
			t.Errorf("Call %s %q: got %v, want ErrInvalidCall", row[0], row[1], err)
		}
	}
	if got := s.Stats().APIs; len(got) != 0 {
		t.Errorf("requests: got %v, want none", got)
	}
}

func TestTheOpenInterfaceServiceIsCalledWithoutAToken(t *testing.T) {
	t.Parallel()
	var queries []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RequestURI())
		_, _ = w.Write([]byte(`{"errcode":40001,"errmsg":"not authorized"}`))
	}))
	t.Cleanup(server.Close)
	client := clientWith(t, server.URL, wechat.Deps{OpenInterface: true})
	got, err := client.Call(t.Context(), http.MethodPost, checkPath, url.Values{"access_token": {"x"}, "a": {"1"}}, []byte("{}"), "")
	if want := checkPath + "?a=1"; err != nil || got.Errcode != 40001 || len(queries) != 1 || queries[0] != want {
		t.Errorf("Call: got %v and %v after %q, want 40001 after %s alone", got, err, queries, want)
	}
}

func TestTheOpenInterfaceServiceIsPlainHTTP(t *testing.T) {
	t.Parallel()
	config := wechat.DefaultConfig()
	config.AppID, config.Secret = appID, plain
	if _, err := wechat.New(config, wechat.Deps{Metrics: prometheus.NewRegistry(), OpenInterface: true}); err == nil || !strings.HasPrefix(err.Error(), "wechat.base_url: ") {
		t.Errorf("New over https: got %v, want a fault of wechat.base_url", err)
	}
}

func TestAnAnswerIsPrintedWithoutItsBody(t *testing.T) {
	t.Parallel()
	answer := wechat.Answer{Errcode: 7, Body: []byte("13580006666")}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got, want := fmt.Sprintf(verb, answer), "errcode 7 in 11 bytes"; got != want {
			t.Errorf("Sprintf(%q, answer): got %s, want %s", verb, got, want)
		}
	}
}

func TestCallsAreCountedByAPIAndErrcode(t *testing.T) {
	t.Parallel()
	s, registry := newSandbox(t), prometheus.NewRegistry()
	client, err := wechat.New(wechat.Config{AppID: appID, Secret: plain, BaseURL: s.URL(), Timeout: 10 * time.Second}, wechat.Deps{Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	fail(t, s, sandbox.Failure{API: "msg_sec_check", Kinds: []string{"87014"}})
	for _, path := range []string{checkPath, "/wxa/business/something_new", "/wxa/business/something_newer"} {
		if _, err := client.Call(t.Context(), http.MethodPost, path, nil, []byte("{}"), ""); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = client.PhoneNumber(t.Context(), "err-45011", "oAny")
	got := counted(t, registry)
	for label, want := range map[string]float64{"msg_sec_check 87014": 1, "other 0": 2, "getuserphonenumber 45011": 1, "stable_token 0": 1, "jscode2session 0": 0} {
		if value, ok := got[label]; !ok || value != want {
			t.Errorf("requests_total %s: got %v (there %t), want %v", label, value, ok, want)
		}
	}
}

// counted gathers requests_total by api and errcode.
func counted(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if labels := metric.GetLabel(); len(labels) == 2 {
				values[labels[0].GetValue()+" "+labels[1].GetValue()] = metric.GetCounter().GetValue()
			}
		}
	}
	return values
}

// answering is the address of a server that gives out a token and otherwise always the same answer.
func answering(t *testing.T, contentType, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cgi-bin/stable_token" {
			_, _ = w.Write([]byte(`{"access_token":"a-token-of-some-length","expires_in":7200}`))
			return
		}
		w.Header()["Content-Type"] = []string{contentType}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestTwoHundredLoginsOverABadLineSendNoCodeTwice(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	fail(t, s, sandbox.Failure{API: "jscode2session", Rate: 0.3, Kinds: []string{"timeout", "reset", "-1", "45011", "html", "half", "502"}, Seed: 1})
	client := newClient(t, s.URL(), timeout(3*time.Second)) // a busy machine needs some of it to send at all
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			for range 10 {
				_, err := client.Code2Session(t.Context(), s.IssueCode("alice"))
				var answer *wechat.Error
				if err != nil && !errors.As(err, &answer) && !errors.Is(err, wechat.ErrTimeout) && !errors.Is(err, wechat.ErrBadResponse) {
					t.Errorf("Code2Session: got %v, want a session or one of the promised errors", err)
				}
			}
		})
	}
	group.Wait()
	if stats := s.Stats(); len(stats.Codes) != 200 || len(stats.Twice) != 0 || stats.APIs["jscode2session"].Failed < 30 {
		t.Errorf("stats: got %d codes, %d twice and %v, want 200, 0 and about 60 failed", len(stats.Codes), len(stats.Twice), stats.APIs)
	}
}
