package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func TestTheLifeOfASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	w.want("no token", w.call("GET", "/api/v1/recipes", "", ""), http.StatusUnauthorized, "token_missing")
	token := w.login("alice")
	w.want("list", w.call("GET", "/api/v1/recipes", token, ""), http.StatusOK, "")
	made := w.call("POST", "/api/v1/recipes", token, `{"title":"红烧肉","ingredients":["五花肉 500 克","冰糖 30 克"],"steps":["焯水","炒糖色","小火炖一小时"],"minutes":90}`)
	w.want("create", made, http.StatusOK, "")
	renewed, _ := w.call("POST", "/api/v1/auth/refresh", token, "").data()["access_token"].(string)
	w.want("list with the new token", w.call("GET", "/api/v1/recipes", renewed, ""), http.StatusOK, "")
	out := w.call("POST", "/api/v1/auth/logout", renewed, "")
	w.want("logout", out, http.StatusOK, "")
	if out.json["message"] != "退出成功" || out.data()["message"] != "退出成功" {
		t.Errorf("logout says %s", out.body)
	}
	w.want("after logout", w.call("GET", "/api/v1/recipes", renewed, ""), http.StatusUnauthorized, "token_revoked")
	w.want("the replaced token after logout", w.call("GET", "/api/v1/recipes", token, ""), http.StatusUnauthorized, "token_revoked")
	if code := w.stop(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
	w.serve()
	w.want("after logout and a restart", w.call("GET", "/api/v1/recipes", renewed, ""), http.StatusUnauthorized, "token_revoked")
	w.want("refresh after logout and a restart", w.call("POST", "/api/v1/auth/refresh", renewed, ""), http.StatusUnauthorized, "token_revoked")
	if id := w.userID(w.login("alice")); id != 1 {
		t.Errorf("alice is user %d after a restart, want 1", id)
	}
}

func (w *world) userID(token string) int {
	w.t.Helper()
	id, _ := w.call("GET", "/api/v1/user/profile", token, "").data()["id"].(float64)
	return int(id)
}

func TestAnswersAreWrittenAsAgreed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	code := w.weChat.IssueCode("alice")
	got := w.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q,"nickName":"小爱","avatarUrl":"https://cdn.example/a.png"}`, code))
	want := `^\{"code":200,"message":"success","data":\{"access_token":"[\w.-]+","token_type":"Bearer","expires_in":604800,` +
		`"user":\{"id":1,"openid":"o[\w-]+","nickname":"小爱","avatar":"https://cdn.example/a.png","created_at":"[\dT:.-]+Z"\}\},"timestamp":"[\dT:.-]+Z"\}$`
	if !regexp.MustCompile(want).MatchString(got.body) {
		t.Errorf("login answers\n%s\nwant\n%s", got.body, want)
	}
	got = w.call("POST", "/api/v1/auth/wechat-login", "", `{"code":"err-40029"}`)
	want = `^\{"code":401,"message":"微信登录失败: invalid code \(错误码: 40029\)","error":"Unauthorized","reason":"wx_code_invalid","request_id":"[\w-]+","timestamp":"[\dT:.-]+Z"\}$`
	if got.status != http.StatusUnauthorized || !regexp.MustCompile(want).MatchString(got.body) {
		t.Errorf("a refused login answers %d\n%s\nwant\n%s", got.status, got.body, want)
	}
	got = w.call("POST", "/api/v1/user/login", "", fmt.Sprintf(`{"js_code":%q}`, w.weChat.IssueCode("alice")))
	want = `^\{"statusCode":200,"message":"success","data":\{"skey":"[\w.-]+","user_id":1\}\}$`
	if !regexp.MustCompile(want).MatchString(got.body) {
		t.Errorf("the second dialect answers\n%s\nwant\n%s", got.body, want)
	}
}

func TestEveryErrcodeOfWeChatHasItsStatusAndReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	for code, want := range map[string]struct {
		status int
		reason string
	}{
		"err-40029":          {401, "wx_code_invalid"},
		"err-40163":          {401, "wx_code_used"},
		"err-40226":          {403, "wx_user_blocked"},
		"err-45011":          {429, "wx_rate_limited"},
		"err--1":             {503, "wx_busy"},
		"err-45009":          {503, "wx_busy"},
		"err-40013":          {500, "wx_misconfigured"},
		"err-40125":          {500, "wx_misconfigured"},
		"err-41008":          {500, "wx_misconfigured"},
		"err-12345":          {502, "wx_bad_response"},
		"broken-html-eve":    {502, "wx_bad_response"},
		"broken-half-eve":    {502, "wx_bad_response"},
		"broken-empty-eve":   {502, "wx_bad_response"},
		"broken-reset-eve":   {502, "wx_bad_response"},
		"broken-502-eve":     {502, "wx_bad_response"},
		"slow-10s-eve":       {504, "wx_timeout"},
		"broken-noopenid-ev": {502, "wx_bad_response"},
	} {
		got := w.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, code))
		w.want(code, got, want.status, want.reason)
		if want.status == 429 && got.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", code)
		}
		sends := 1
		if code == "err--1" { // WeChat is busy and the code is not spent: asked twice more
			sends = 3
		}
		if n := w.weChat.Seen(code); n != sends {
			t.Errorf("%s was sent %d times, want %d", code, n, sends)
		}
	}
	if strings.Contains(w.output.String(), appSecret) {
		t.Error("the log holds the app secret")
	}
}

func TestBadInputGetsAClearAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	token := w.login("alice")
	for name, c := range map[string]struct {
		path, body, contentType string
		status                  int
		reason                  string
	}{
		"not JSON":                 {"/api/v1/auth/wx-login", `{"code":`, "application/json", 400, "invalid_request"},
		"no body":                  {"/api/v1/auth/wx-login", ``, "application/json", 400, "invalid_request"},
		"a number for the code":    {"/api/v1/auth/wx-login", `{"code":7}`, "application/json", 400, "invalid_request"},
		"two JSON values":          {"/api/v1/auth/wx-login", `{"code":"a"}{}`, "application/json", 400, "invalid_request"},
		"a form of a wrong code":   {"/api/v1/auth/wx-login", `code=abc`, "application/x-www-form-urlencoded", 401, "wx_code_invalid"},
		"a code twice in a form":   {"/api/v1/auth/wx-login", `code=abc&code=abd`, "application/x-www-form-urlencoded", 400, "invalid_request"},
		"XML":                      {"/api/v1/auth/wx-login", `<code>abc</code>`, "application/xml", 400, "invalid_request"},
		"plain text":               {"/api/v1/auth/wx-login", `code=abc`, "text/plain", 400, "invalid_request"},
		"not UTF-8":                {"/api/v1/auth/wx-login", "{\"code\":\"a\xff\"}", "application/json", 400, "invalid_request"},
		"a code of 10 KB":          {"/api/v1/auth/wx-login", `{"code":"` + strings.Repeat("a", 10<<10) + `"}`, "application/json", 400, "invalid_request"},
		"a nickname of 1 MB":       {"/api/v1/auth/wx-login", `{"code":"abc","nickName":"` + strings.Repeat("n", 1<<20) + `"}`, "application/json", 413, "body_too_large"},
		"a control character":      {"/api/v1/auth/wx-login", `{"code":"a\u0000b"}`, "application/json", 400, "invalid_request"},
		"deep JSON":                {"/api/v1/auth/wx-login", strings.Repeat("[", 60_000), "application/json", 400, "invalid_request"},
		"a body over the limit":    {"/api/v1/recipes", strings.Repeat(" ", 5<<20), "application/json", 413, "body_too_large"},
		"an unknown path":          {"/nowhere", `{}`, "application/json", 404, "no_route"},
		"an encoded dot segment":   {"/api/%2e%2e/whoami", `{}`, "application/json", 400, "invalid_request"},
		"a token that is no token": {"/api/v1/auth/refresh", `{}`, "application/json", 401, ""},
	} {
		got := w.call("POST", c.path, token, c.body, "Content-Type", c.contentType)
		if name != "a token that is no token" {
			w.want(name, got, c.status, c.reason)
		}
	}
	w.want("a token that is no token", w.call("GET", "/api/v1/recipes", "x.y.z", ""), 401, "token_malformed")
	if w.gone() {
		t.Fatalf("the process has ended:\n%s", w.output)
	}
}

func TestEmojiInANicknameArrivePercentEncoded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	got := w.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q,"nickname":"小 🐟\"%%"}`, w.weChat.IssueCode("alice")))
	token, _ := got.data()["access_token"].(string)
	seen := w.call("GET", "/whoami", token, "", "X-User-Id", "999", "X_User_Nickname", "root").body
	if !strings.Contains(seen, "%E5%B0%8F%20%F0%9F%90%9F%22%25") && !strings.Contains(seen, `%E5%B0%8F%20%F0%9F%90%9F"%25`) && !strings.Contains(seen, `%E5%B0%8F%20%F0%9F%90%9F\"%25`) {
		t.Errorf("the service saw %s", seen)
	}
	if strings.Contains(seen, "999") || strings.Contains(seen, "root") {
		t.Errorf("a forged header arrived: %s", seen)
	}
	anonymous := w.call("GET", "/whoami", "", "", "X-User-Id", "999", "X-WX-OPENID", "o123").body
	if strings.Contains(anonymous, "999") || strings.Contains(anonymous, "o123") {
		t.Errorf("a forged header arrived on an optional route: %s", anonymous)
	}
}

func TestTheProfileIsReadAndChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	token := w.login("alice")
	got := w.call("PUT", "/api/v1/user/profile", token, `{"nickname":"小爱","bio":"爱做饭\n也爱吃"}`)
	w.want("change", got, http.StatusOK, "")
	got = w.call("GET", "/api/v1/user/profile", token, "")
	var keys []string
	for key := range got.data() {
		keys = append(keys, key)
	}
	if len(keys) != 11 || got.data()["nickname"] != "小爱" || got.data()["bio"] != "爱做饭\n也爱吃" {
		t.Errorf("the profile is %s", got.body)
	}
	w.want("an avatar that is a script", w.call("PUT", "/api/v1/user/profile", token, `{"avatar":"javascript:x"}`), 400, "invalid_request")
}

func TestSimultaneousFirstLoginsOfOnePersonMakeOneUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	ids := w.loginsAtOnce(64, func(int) string { return "alice" })
	for i, id := range ids {
		if id != 1 {
			t.Errorf("login %d got id %d, want 1", i, id)
		}
	}
}

func TestAThousandLoginsOfAHundredPeopleNumberThemDensely(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	seen := map[int]bool{}
	for _, id := range w.loginsAtOnce(1000, func(i int) string { return fmt.Sprintf("person%d", i%100) }) {
		seen[id] = true
	}
	for id := 1; id <= 100; id++ {
		if !seen[id] {
			t.Errorf("nobody has id %d", id)
		}
	}
	if len(seen) != 100 {
		t.Errorf("there are %d ids, want 100", len(seen))
	}
}

// loginsAtOnce logs people in from 64 connections and returns their ids.
func (w *world) loginsAtOnce(n int, person func(i int) string) []int {
	ids := make([]int, n)
	next := make(chan int)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for i := range next {
				got, err := w.try("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q}`, w.weChat.IssueCode(person(i))))
				if err != nil || got.status != http.StatusOK {
					w.t.Errorf("login %d: %v, %d %s", i, err, got.status, got.body)
					continue
				}
				var login struct {
					Data struct {
						User struct{ ID int }
					}
				}
				_ = json.Unmarshal([]byte(got.body), &login)
				ids[i] = login.Data.User.ID
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	all.Wait()
	return ids
}
