package gateway

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/gateway/push"
	"wxgate/upstream/upstreamtest"
)

// post sends JSON to an endpoint.
func (e *edge) post(tb testing.TB, path, token string, body any, more ...string) (int, map[string]any) {
	tb.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		tb.Fatal(err)
	}
	return e.postText(tb, path, token, string(text), more...)
}

// postRaw sends a body as it is, from nobody.
func (e *edge) postRaw(tb testing.TB, path, text string) (int, map[string]any) {
	tb.Helper()
	return e.postText(tb, path, "", text)
}

// put is a request that replaces something with JSON.
func put(path, token, body string) string {
	return head("PUT "+path, token, "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body))) + body
}

func (e *edge) postText(tb testing.TB, path, token, text string, more ...string) (int, map[string]any) {
	tb.Helper()
	lines := append([]string{"Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(text))}, more...)
	resp, answer := e.send(tb, head("POST "+path, token, lines...)+text)
	var decoded map[string]any
	_ = json.Unmarshal([]byte(answer), &decoded)
	return resp.StatusCode, decoded
}

func TestDataOfTheOldKindIsOpenedForItsUser(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	alice, bob := e.token(t, "alice"), e.token(t, "bob")
	sealed, err := e.weChat.EncryptData("alice", e.weChat.Object("werun", "alice"))
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{"encryptedData": sealed.EncryptedData, "iv": sealed.IV}
	status, answer := e.post(t, "/api/v1/auth/decrypt", alice, body)
	data, _ := answer["data"].(map[string]any)
	if status != http.StatusOK || data["stepInfoList"] == nil {
		t.Errorf("alice's steps: %d %v", status, answer)
	}
	if status, answer := e.post(t, "/api/v1/auth/decrypt", bob, body); status != http.StatusConflict || answer["reason"] != "session_key_stale" {
		t.Errorf("alice's steps for bob: %d %v, want 409", status, answer)
	}
	for name, bad := range map[string]map[string]any{
		"an iv of 3 bytes": {"encryptedData": sealed.EncryptedData, "iv": "AAAA"},
		"no base64":        {"encryptedData": "%%%", "iv": sealed.IV},
		"nothing":          {},
	} {
		if status, answer := e.post(t, "/api/v1/auth/decrypt", alice, bad); status != http.StatusBadRequest {
			t.Errorf("%s: %d %v, want 400", name, status, answer)
		}
	}
}

func TestAPhoneNumberIsForItsOwnerAndNotAskedForOften(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	alice := e.token(t, "alice")
	for i := range 4 {
		status, answer := e.post(t, "/api/v1/auth/phone", alice, map[string]any{"code": e.weChat.IssuePhoneCode("alice")})
		data, _ := answer["data"].(map[string]any)
		switch {
		case i < 3 && (status != http.StatusOK || data["purePhoneNumber"] == "" || data["countryCode"] != "86"):
			t.Errorf("request %d: %d %v", i+1, status, answer)
		case i == 3 && status != http.StatusTooManyRequests:
			t.Errorf("request 4: %d %v, want 429", status, answer)
		}
	}
}

func TestTheHeadersOfCloudRunAreBelievedOnlyWhenTold(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	on := newEdge(t, service.URL, func(cfg *Config) { cfg.CloudRun = true })
	off := newEdge(t, service.URL, nil)
	identity := []string{"X-WX-SOURCE: wx_client", "X-WX-OPENID: oCloudRun1", "X-WX-APPID: " + testAppID}
	if status, answer := off.post(t, "/api/v1/auth/cloud-login", "", map[string]any{}, identity...); status != http.StatusNotFound {
		t.Errorf("switched off: %d %v, want 404", status, answer)
	}
	for name, c := range map[string]struct {
		headers []string
		status  int
	}{
		"all three":             {identity, 200},
		"no source":             {identity[1:], 401},
		"another mini-program":  {[]string{identity[0], identity[1], "X-WX-APPID: wx9"}, 401},
		"no openid":             {[]string{identity[0], identity[2]}, 401},
		"two openids":           {append([]string{"X-WX-OPENID: oOther"}, identity...), 401},
		"an openid in the body": {nil, 401},
	} {
		if status, answer := on.post(t, "/api/v1/auth/cloud-login", "", map[string]any{"openid": "oCloudRun1"}, c.headers...); status != c.status {
			t.Errorf("%s: %d %v, want %d", name, status, answer, c.status)
		}
	}
	resp, body := on.send(t, head("GET /private/x", "", identity...))
	if req := service.Requests(); resp.StatusCode != http.StatusOK || req[len(req)-1].Field("X-User-Id") != "1" || strings.Contains(req[len(req)-1].Head(), "X-WX") {
		t.Errorf("a request without a token: %d %s", resp.StatusCode, body)
	}
	if resp, _ := off.send(t, head("GET /private/x", "", identity...)); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the same where it is off: %d, want 401", resp.StatusCode)
	}
}

const testFunctionKey = "a-function-key-of-these-tests-0123456789"

// signedCall is what the cloud function api-proxy adds to a request that it makes for openid at the time at.
func signedCall(openid, request, body string, at time.Time) []string {
	method, target, _ := strings.Cut(request, " ")
	timestamp := strconv.FormatInt(at.Unix(), 10)
	sum := sha256.Sum256([]byte(body))
	content := hex.EncodeToString(sum[:])
	mac := hmac.New(sha256.New, []byte(testFunctionKey))
	mac.Write([]byte(strings.Join([]string{"v2", timestamp, testAppID, openid, method, target, content}, "\n")))
	return []string{
		"X-Wxgate-Openid: " + openid, "X-Wxgate-Appid: " + testAppID, "X-Wxgate-Timestamp: " + timestamp,
		"X-Wxgate-Content-Sha256: " + content, "X-Wxgate-Signature-V2: " + hex.EncodeToString(mac.Sum(nil)),
	}
}

// signedBefore is what the function added before it signed the content.
func signedBefore(openid, request string, at time.Time) []string {
	method, target, _ := strings.Cut(request, " ")
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(testFunctionKey))
	mac.Write([]byte(strings.Join([]string{timestamp, testAppID, openid, method, target}, "\n")))
	return []string{
		"X-Wxgate-Openid: " + openid, "X-Wxgate-Appid: " + testAppID, "X-Wxgate-Timestamp: " + timestamp,
		"X-Wxgate-Signature: " + hex.EncodeToString(mac.Sum(nil)),
	}
}

func TestTheCloudFunctionIsBelievedWhatItSigned(t *testing.T) {
	t.Parallel()
	const login, page = "POST /api/v1/auth/cloud-login", "GET /private/x?q=1"
	service := upstreamtest.Echo(t)
	on := newEdge(t, service.URL, func(cfg *Config) { cfg.FunctionKey = testFunctionKey })
	off := newEdge(t, service.URL, nil)
	rotated := newEdge(t, service.URL, func(cfg *Config) { cfg.FunctionKey = testFunctionKey + "x" })
	now := time.Now()
	good := signedCall("oFunction1", login, `{"openid":"oFunction1"}`, now)
	cloudRun := []string{"X-WX-SOURCE: wx_client", "X-WX-OPENID: oFunction1", "X-WX-APPID: " + testAppID}
	for name, c := range map[string]struct {
		headers []string
		status  int
	}{
		"signed":                    {good, 200},
		"a wrong signature":         {append([]string{"X-Wxgate-Signature-V2: " + strings.Repeat("0", 64)}, good[:4]...), 401},
		"replayed after the window": {signedCall("oFunction1", login, `{"openid":"oFunction1"}`, now.Add(-2*time.Minute)), 401},
		"signed for another path":   {signedCall("oFunction1", "POST /api/v1/auth/wx-login", `{"openid":"oFunction1"}`, now), 401},
		"another openid":            {append([]string{"X-Wxgate-Openid: oSomebodyElse"}, good[1:]...), 401},
		"a second openid":           {append([]string{"X-Wxgate-Openid: oSomebodyElse"}, good...), 401},
		"a second openid behind it": {append(slices.Clone(good), "X-Wxgate-Openid: oSomebodyElse"), 401},
		"no signature":              {good[:4], 401},
		"the signature of before":   {signedBefore("oFunction1", login, now), 401},
		"signed with another body":  {signedCall("oFunction1", login, "{}", now), 401},
		"the headers of Cloud Run":  {cloudRun, 401},
		"nothing":                   {nil, 401},
	} {
		if status, answer := on.post(t, strings.TrimPrefix(login, "POST "), "", map[string]any{"openid": "oFunction1"}, c.headers...); status != c.status ||
			status == 401 && answer["reason"] != "cloud_identity_missing" {
			t.Errorf("%s: %d %v, want %d", name, status, answer, c.status)
		}
	}
	if status, _ := rotated.post(t, strings.TrimPrefix(login, "POST "), "", map[string]any{}, good...); status != http.StatusUnauthorized {
		t.Errorf("with another secret: %d, want 401", status)
	}
	if status, _ := off.post(t, strings.TrimPrefix(login, "POST "), "", map[string]any{}, good...); status != http.StatusNotFound {
		t.Errorf("without a secret: %d, want 404", status)
	}
	call := signedCall("oFunction1", page, "", now)
	resp, body := on.send(t, head(page, "", call...))
	if req := service.Requests(); resp.StatusCode != http.StatusOK || req[len(req)-1].Field("X-User-Id") != "1" || strings.Contains(req[len(req)-1].Head(), "Wxgate") {
		t.Errorf("a request without a token: %d %s", resp.StatusCode, body)
	}
	if resp, _ := off.send(t, head(page, "", call...)); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the same without a secret: %d, want 401", resp.StatusCode)
	}
}

func TestAnExpectationDoesNotCostTheIdentityOfTheCloud(t *testing.T) {
	t.Parallel()
	const request = "POST /private/x"
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) { cfg.FunctionKey = testFunctionKey })
	now := time.Now()
	e.post(t, "/api/v1/auth/cloud-login", "", map[string]any{}, signedCall("oFunction1", "POST /api/v1/auth/cloud-login", "{}", now)...)
	client := e.dial(t)
	client.say(t, head(request, "", append(signedCall("oFunction1", request, "ab", now), "Expect: 100-continue", "Content-Length: 2")...))
	for _, status := range []int{http.StatusContinue, http.StatusOK} {
		if status == http.StatusOK {
			client.say(t, "ab")
		}
		if resp, body := client.answer(t); resp.StatusCode != status {
			t.Errorf("got %d %s, want %d", resp.StatusCode, body, status)
		}
	}
	if forwarded := service.Requests(); len(forwarded) != 1 || forwarded[0].Field("X-User-Id") != "1" {
		t.Errorf("the service got %d requests, want one of user 1", len(forwarded))
	}
}

func TestAPrefetchIsOfTheUserOfItsCodeOrToken(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/prefetch", Upstream: "service", Auth: AuthPrefetch})
	})
	token := e.token(t, "alice")
	for name, query := range map[string]string{
		"a code":  "appid=" + testAppID + "&code=" + e.weChat.IssueCode("alice") + "&path=pages%2Findex&query=a%3D1",
		"a token": "appid=" + testAppID + "&token=" + token + "&path=pages%2Findex&query=a%3D1",
	} {
		resp, body := e.send(t, head("GET /prefetch?"+query, ""))
		requests := service.Requests()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
			continue
		}
		if got := requests[len(requests)-1]; got.Field("X-User-Id") != "1" || got.Field("Authorization") != "" || got.Target != "/prefetch?appid="+testAppID+"&path=pages%2Findex&query=a%3D1" {
			t.Errorf("%s arrived as\n%s", name, got.Head())
		}
	}
	for name, query := range map[string]string{
		"neither": "path=x", "both": "code=a&token=b", "a used code": "code=demo-x-1&code=demo-x-1", "a bad token": "token=x",
		"an encoded name": "%63ode=" + e.weChat.IssueCode("alice") + "&code=x",
	} {
		if resp, _ := e.send(t, head("GET /prefetch?"+query, "")); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", name, resp.StatusCode)
		}
	}
}

const (
	pushToken = "push-token"
	pushKey   = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

func TestAPushedMessageReachesTheServiceAsPlainJSON(t *testing.T) {
	t.Parallel()
	opens, err := wechat.NewPush(testAppID, pushToken, pushKey)
	if err != nil {
		t.Fatal(err)
	}
	service := upstreamtest.Fixed(t, upstreamtest.OK("text/plain", "success"))
	e := newEdgeWith(t, service.URL, func(cfg *Config) { cfg.PushUpstreams = []string{"service"} }, func(d *Deps) {
		d.Pushes = push.Apps{{ID: testAppID, Opens: opens, Upstream: "service", SealPayments: true}}
	})
	sealed, err := opens.Seal([]byte(`{"MsgType":"event","Event":"user_enter_tempsession"}`), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	deliver := func(query url.Values, body []byte) (int, string) {
		resp, answer := e.send(t, head("POST /wechat/push?"+query.Encode(), "", "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body)))+string(body))
		return resp.StatusCode, answer
	}
	query := opens.Query(time.Now())
	query.Set("msg_signature", sealed.Signature)
	query.Set("timestamp", sealed.Timestamp)
	query.Set("nonce", sealed.Nonce)
	query.Set("encrypt_type", "aes")
	if status, answer := deliver(query, sealed.JSON()); status != http.StatusOK || answer != "success" {
		t.Fatalf("a message: %d %s", status, answer)
	}
	if got := service.Requests()[0]; string(got.Body) != `{"MsgType":"event","Event":"user_enter_tempsession"}` || got.Target != "/wechat/push" {
		t.Errorf("the service received\n%s", got.Raw)
	}
	forged := bytes.Replace(sealed.JSON(), []byte(sealed.Encrypt), []byte("A"+sealed.Encrypt), 1)
	if status, answer := deliver(query, forged); status != http.StatusBadRequest {
		t.Errorf("a forged message: %d %s", status, answer)
	}
	query.Set("timestamp", "1000000000")
	if status, answer := deliver(query, sealed.JSON()); status != http.StatusBadRequest {
		t.Errorf("a message of another time: %d %s", status, answer)
	}
	if off := newEdge(t, service.URL, nil); true {
		if resp, _ := off.send(t, head("GET /wechat/push", "")); resp.StatusCode != http.StatusNotFound {
			t.Errorf("switched off: %d, want 404", resp.StatusCode)
		}
	}
}

func TestServicesCallWeChatWithoutItsToken(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	url := e.operated(t)
	call := func(path, body string) (int, string) {
		resp, err := (&http.Client{Timeout: 30 * time.Second}).Post(url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text)
	}
	if status, answer := call("/api/wechat/wxa/msg_sec_check", `{"content":"你好"}`); status != http.StatusOK || !strings.Contains(answer, `"errcode":0`) {
		t.Errorf("a call: %d %s", status, answer)
	}
	for _, path := range []string{"/api/wechat/cgi-bin/token", "/api/wechat/sns/jscode2session", "/api/wechat/cgi-bin/stable_token"} {
		if status, answer := call(path, `{}`); status == http.StatusOK || strings.Contains(answer, "access_token\":") {
			t.Errorf("%s gave %d %s; the token and the secret must not come out this way", path, status, answer)
		}
	}
}
