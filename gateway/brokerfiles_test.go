package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
	"wxgate/gateway/admin"
)

// form is content with one part that is called media.
func form(t *testing.T, content string) (body, contentType string) {
	t.Helper()
	var text bytes.Buffer
	form := multipart.NewWriter(&text)
	part, err := form.CreateFormFile("media", "汤.jpg")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte(content))
	_ = form.Close()
	return text.String(), form.FormDataContentType()
}

func TestServicesSendAndGetFiles(t *testing.T) {
	t.Parallel()
	var log lockedLog
	o := newServices(t, func(d *Deps) { d.Log = slog.New(slog.NewTextHandler(&log, nil)) }, serviceWith("recipes", admin.ScopeWeChat)).as("recipes")
	for _, length := range []int{100, 3 << 20} {
		content := strings.Repeat("\r\n--soup\x00", length/9)
		body, contentType := form(t, content)
		var media struct {
			ID string `json:"media_id"`
		}
		got := o.want(t, "POST /api/wechat/cgi-bin/media/upload?type=image", body, http.StatusOK, "", "Content-Type", contentType)
		if err := json.Unmarshal([]byte(got.body), &media); err != nil || media.ID == "" {
			t.Fatalf("an upload of %d bytes: %s", length, got.body)
		}
		got = o.want(t, "GET /api/wechat/cgi-bin/media/get?media_id="+media.ID, "", http.StatusOK, "")
		if got.body != content || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment; ") || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%d bytes came back as %d, %v", length, len(got.body), got.header)
		}
	}
	got := o.want(t, "GET /api/wechat/wxaapi/newtmpl/gettemplate", "", http.StatusOK, "")
	if !strings.Contains(got.body, `"priTmplId"`) {
		t.Errorf("the templates: %s", got.body)
	}
	got = o.want(t, "POST /api/wechat/wxa/getwxacodeunlimit", `{"scene":"recipe=7"}`, http.StatusOK, "")
	if _, err := png.Decode(strings.NewReader(got.body)); err != nil || got.header.Get("Content-Type") != "image/png" {
		t.Errorf("a code: %v %v", got.header, err)
	}
	got = o.want(t, "POST /api/wechat/wxa/getwxacodeunlimit", `{"scene":"a b"}`, http.StatusOK, "")
	if !strings.Contains(got.body, `"errcode":40129`) {
		t.Errorf("a code that WeChat refuses: %s", got.body)
	}
	o.want(t, "HEAD /api/wechat/cgi-bin/media/get", "", http.StatusBadRequest, "")
	o.want(t, "GET /api/wechat/wxaapi/newtmpl/gettemplate", "", http.StatusBadRequest, "invalid_request", "X-App-Id", "wx9")
	if got := log.String(); !strings.Contains(got, `api=/wxa/getwxacodeunlimit appid="" outcome=`) || !strings.Contains(got, `outcome="errcode 40129"`) || strings.Contains(got, "soup") {
		t.Errorf("the log has\n%s", got)
	}
}

func TestATokenThatDiedElsewhereIsRenewedForServices(t *testing.T) {
	t.Parallel()
	for request, body := range map[string]string{"POST /api/wechat/wxa/getwxacodeunlimit": `{"scene":"a"}`, "GET /api/wechat/wxaapi/newtmpl/gettemplate": ""} {
		o := newServices(t, nil, serviceWith("recipes", admin.ScopeWeChat)).as("recipes") // a token is forced once in 30 s
		api := request[strings.LastIndex(request, "/")+1:]
		if err := o.weChat.Fail(sandbox.Failure{API: api, Kinds: []string{"42001"}, Count: 1}); err != nil {
			t.Fatal(err)
		}
		got := o.want(t, request, body, http.StatusOK, "")
		if calls := o.weChat.Stats().APIs[api].Calls; strings.Contains(got.body, "42001") || calls != 2 {
			t.Errorf("%s: got %.40q after %d calls, want the answer to the second", request, got.body, calls)
		}
	}
}

func TestContentForWeChatIsBounded(t *testing.T) {
	t.Parallel()
	o := newServices(t, nil, serviceWith("recipes", admin.ScopeWeChat, admin.ScopeSign)).as("recipes")
	large, contentType := form(t, strings.Repeat("x", 16<<20))
	o.want(t, "POST /api/wechat/cgi-bin/media/upload?type=image", large, http.StatusRequestEntityTooLarge, "body_too_large", "Content-Type", contentType)
	o.want(t, "POST /api/wechat/xpay/query_order", `{"a":"`+strings.Repeat("x", 64<<10)+`"}`, http.StatusRequestEntityTooLarge, "body_too_large")
	if calls := o.weChat.Stats().APIs["query_order"].Calls; calls != 0 {
		t.Errorf("WeChat got %d calls to sign, want none", calls)
	}
}

// TestAFileThatBreaksOffEndsTheConnection: half a picture under a 200 would be stored as a whole one.
func TestAFileThatBreaksOffEndsTheConnection(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cgi-bin/stable_token" {
			_, _ = io.WriteString(w, `{"access_token":"a-token-of-some-length","expires_in":7200}`)
			return
		}
		w.Header().Set("Content-Type", "image/jpeg")
		_, _ = w.Write(make([]byte, 5000)) // chunked: nobody could tell by the length
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(server.Close)
	client, err := wechat.New(wechat.Config{AppID: testAppID, Secret: "a-secret-of-the-app", BaseURL: server.URL, Timeout: 10 * time.Second}, wechat.Deps{Metrics: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	var log lockedLog
	o := newServices(t, func(d *Deps) {
		d.WeChat, d.Log = map[string]admin.Broker{testAppID: client}, slog.New(slog.NewTextHandler(&log, nil))
	}, serviceWith("recipes", admin.ScopeWeChat))
	req, err := http.NewRequest(http.MethodGet, o.url+"/api/wechat/cgi-bin/media/get?media_id=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tokenOf("recipes"))
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("half a file ended like a whole one")
	}
	eventually(t, "the call is logged and counted", func() bool {
		return strings.Contains(log.String(), "outcome=wx_bad_response") &&
			strings.Contains(o.ask(t, "GET /metrics", "").body, `wxgate_service_calls_total{code="aborted",endpoint="GET /api/wechat/{path...}",service="recipes"} 1`)
	})
}

func TestAnUploadThatStopsIsNotSent(t *testing.T) {
	t.Parallel()
	o := newServices(t, nil, serviceWith("recipes", admin.ScopeWeChat)).as("recipes")
	from, to := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, o.url+"/api/wechat/cgi-bin/media/upload?type=image", from)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tokenOf("recipes"))
	req.ContentLength = 1000
	go func() {
		_, _ = to.Write(make([]byte, 500))
		_ = to.CloseWithError(fmt.Errorf("the service crashed"))
	}()
	if resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("got %d", resp.StatusCode)
	}
	if calls := o.weChat.Stats().APIs["upload"].Calls; calls != 0 {
		t.Errorf("WeChat got %d calls with half the content, want none", calls)
	}
}
