package gateway

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/gateway/push"
	"wxgate/secret"
	"wxgate/upstream/upstreamtest"
)

// pushing is a gateway with message push, sealed or plain, in front of a service.
func pushing(t *testing.T, service *upstreamtest.Service, key secret.Text, change ...func(*Config)) (*edge, *wechat.Push) {
	t.Helper()
	return pushingAt(t, time.Now, service, key, change...)
}

func pushingAt(t *testing.T, now func() time.Time, service *upstreamtest.Service, key secret.Text, change ...func(*Config)) (*edge, *wechat.Push) {
	t.Helper()
	opens, err := wechat.NewPush(testAppID, pushToken, key)
	if err != nil {
		t.Fatal(err)
	}
	return newEdgeWith(t, service.URL, func(cfg *Config) {
		cfg.PushUpstreams = []string{"service"}
		for _, c := range change {
			c(cfg)
		}
	}, func(d *Deps) {
		d.Pushes = push.Apps{{ID: testAppID, Opens: opens, Upstream: "service", SealPayments: true}}
		d.Pushed, _ = d.Storage.(push.Store)
		d.Now = now
	}), opens
}

func pushRequest(query, body string) string {
	return head("POST /wechat/push?"+query, "", "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body))) + body
}

func TestACapturedPushIsNotDeliveredAgain(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]secret.Text{"sealed": pushKey, "plain": ""} {
		service := upstreamtest.Fixed(t, upstreamtest.OK("text/plain", "success"))
		e, push := pushing(t, service, key)
		query, body, err := push.Request([]byte(`{"MsgType":"event","Event":"pay"}`), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if resp, answer := e.send(t, pushRequest(query.Encode(), string(body))); resp.StatusCode != http.StatusOK || answer != "success" {
				t.Errorf("%s, time %d: %d %s, want success", name, i+1, resp.StatusCode, answer)
			}
		}
		if key == "" { // in plain mode nothing signs the body
			e.send(t, pushRequest(query.Encode(), `{"MsgType":"event","Event":"forged"}`))
		}
		if n := len(service.Requests()); n != 1 {
			t.Errorf("%s: the service got the message %d times, want once", name, n)
		}
		if n := e.count(t, "wxgate_push_repeated_total"); n < 2 {
			t.Errorf("%s: %v repeats are counted, want 2 or more", name, n)
		}
	}
}

func TestWhatCloudRunBringsNeedsNoSignature(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" })
	on := func(cloudRun bool, apps push.Apps) *edge {
		return newEdgeWith(t, service.URL, func(cfg *Config) { cfg.PushUpstreams, cfg.CloudRun = []string{"service"}, cloudRun }, func(d *Deps) { d.Pushes = apps })
	}
	signed, err := wechat.NewPush(testAppID, pushToken, pushKey)
	if err != nil {
		t.Fatal(err)
	}
	unsigned := push.Apps{{ID: testAppID, Upstream: "service"}}
	believing, others := on(true, unsigned), on(false, unsigned)
	verifying := on(true, push.Apps{{ID: testAppID, Opens: signed, Upstream: "service"}})
	const body = `{"MsgType":"event","Event":"x","FromUserName":"o","CreateTime":1}`
	for _, c := range []struct {
		e      *edge
		fields []string
		want   int
	}{
		{believing, []string{"X-WX-SOURCE: wx_unknown", "X-WX-APPID: " + testAppID}, http.StatusOK},
		{believing, []string{"X-WX-SOURCE: wx_unknown", "X-WX-APPID: wx1234"}, http.StatusBadRequest},
		{believing, []string{"X-WX-SOURCE: wx_client", "X-WX-APPID: " + testAppID}, http.StatusBadRequest}, // anybody's callContainer
		{believing, []string{"X-WX-SOURCE: wx_unknown, wx_devtools", "X-WX-APPID: " + testAppID}, http.StatusBadRequest},
		{believing, []string{"X-WX-SOURCE: scf", "X-WX-APPID: " + testAppID}, http.StatusBadRequest},
		{believing, []string{"X-WX-SOURCE: wx_client", "X-WX-SOURCE: wx_client", "X-WX-SOURCES: wx_unknown", "X-WX-APPID: " + testAppID}, http.StatusBadRequest},
		{believing, nil, http.StatusBadRequest},
		{others, []string{"X-WX-SOURCE: wx_unknown", "X-WX-APPID: " + testAppID}, http.StatusBadRequest},
		{verifying, []string{"X-WX-SOURCE: wx_unknown", "X-WX-APPID: " + testAppID}, http.StatusBadRequest},
	} {
		request := head("POST /wechat/push", "", append(c.fields, fmt.Sprintf("Content-Length: %d", len(body)))...) + body
		if resp, answer := c.e.send(t, request); resp.StatusCode != c.want {
			t.Errorf("%q: %d %s, want %d", c.fields, resp.StatusCode, answer, c.want)
		}
	}
	if n := len(service.Requests()); n != 1 {
		t.Errorf("the service got %d messages, want 1", n)
	}
}

func TestASignedPushWithoutABodyIsRefused(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e, push := pushing(t, service, pushKey)
	query, _, err := push.Request([]byte(`{"MsgType":"event"}`), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if resp, body := e.send(t, head("POST /wechat/push?"+query.Encode(), "", "Content-Length: 0")); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, `"invalid_request"`) {
		t.Errorf("got %d %s, want 400 invalid_request", resp.StatusCode, body)
	}
}

// TestAForgedPushIsRefusedBeforeItsBodyComes, as far as its query says so.
func TestAForgedPushIsRefusedBeforeItsBodyComes(t *testing.T) {
	t.Parallel()
	for mode, key := range map[string]secret.Text{"sealed": pushKey, "plain": ""} {
		e, push := pushing(t, upstreamtest.Echo(t), key)
		stale, unsigned, forged := push.Query(time.Now().Add(-time.Hour)), push.Query(time.Now()), push.Query(time.Now())
		unsigned.Del("signature")
		forged.Set("signature", strings.Repeat("0", 40))
		for name, query := range map[string]url.Values{"nothing": {}, "stale": stale, "no signature": unsigned, "forged": forged} {
			if resp, body := e.send(t, head("POST /wechat/push?"+query.Encode(), "", "Content-Length: 1000")); resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s mode, %s: %d %s before a body, want 400", mode, name, resp.StatusCode, body)
			}
		}
	}
}

// TestTheTimeForAPushBeginsWithItsRequest has most of it pass before the body comes: WeChat would not wait for the service.
func TestTheTimeForAPushBeginsWithItsRequest(t *testing.T) {
	t.Parallel()
	var late atomic.Int64
	service := upstreamtest.Fixed(t, upstreamtest.OK("text/plain", "success"))
	e, push := pushingAt(t, func() time.Time { return time.Now().Add(time.Duration(late.Load())) }, service, pushKey)
	query, body, err := push.Request([]byte(`{"MsgType":"text","MsgId":7}`), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	l := e.dial(t)
	l.say(t, head("POST /wechat/push?"+query.Encode(), "", "Expect: 100-continue", fmt.Sprintf("Content-Length: %d", len(body))))
	if resp, _ := l.answer(t); resp.StatusCode != http.StatusContinue {
		t.Fatalf("got %d, want 100", resp.StatusCode)
	}
	late.Store(int64(4600 * time.Millisecond))
	l.say(t, string(body))
	if resp, text := l.answer(t); resp.StatusCode < 500 || len(service.Requests()) != 0 {
		t.Errorf("got %d %s, and the service was asked %d times; want a failure, and never", resp.StatusCode, text, len(service.Requests()))
	}
}

func TestAPushThatTheServiceDidNotTakeMayComeAgain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		if asked.Add(1) == 1 {
			return "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	})
	e, push := pushing(t, service, pushKey)
	query, body, err := push.Request([]byte(`{"MsgType":"event"}`), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{http.StatusBadGateway, http.StatusOK} {
		if resp, answer := e.send(t, pushRequest(query.Encode(), string(body))); resp.StatusCode != want {
			t.Errorf("time %d: %d %s, want %d", i+1, resp.StatusCode, answer, want)
		}
	}
}

func TestACallOfTheBrokerLeavesALineWithoutItsContent(t *testing.T) {
	t.Parallel()
	var log lockedLog
	e := newEdgeWith(t, upstreamtest.Refused(t), nil, func(d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	url := e.operated(t)
	for _, path := range []string{"/wxa/msg_sec_check?q=secret-query", "/cgi-bin/token", "/wxa/msg%0Asec"} {
		resp, err := (&http.Client{Timeout: 30 * time.Second}).Post(url+"/api/wechat"+path, "application/json", strings.NewReader(`{"content":"secret-content"}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	for _, want := range []string{`api=/wxa/msg_sec_check`, `outcome="errcode 0"`, `api=/cgi-bin/token`, `outcome=invalid_request`, "api=other", "from=127.0.0.1:"} {
		if got := log.String(); !strings.Contains(got, want) {
			t.Errorf("the log lacks %s:\n%s", want, got)
		}
	}
	if got := log.String(); strings.Contains(got, "secret-") || strings.Count(got, "wechat call") != 3 {
		t.Errorf("the log has\n%s\nwant three lines without what was said", got)
	}
}
