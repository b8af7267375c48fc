package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"wxgate/gateway/answer"
	"wxgate/upstream/upstreamtest"
)

// waferEndpoints are those of clients that log in by GET, with the code in a header, and log out by GET or DELETE.
func waferEndpoints(cfg *Config) {
	cfg.Endpoints.Login = Paths{"GET /weapp/login", "/weapp/login"}
	cfg.Endpoints.Logout = Paths{"GET /weapp/logout?skey", "DELETE /weapp/logout"}
	cfg.Endpoints.Refresh = Paths{"/weapp/refresh", "GET /weapp/refresh?skey"}
	cfg.Endpoints.Profile = Paths{"GET /weapp/user?skey", "POST /weapp/user/update"}
	cfg.Identity.Allow = []string{"X-WX-Code"}
	cfg.TokenFrom = []string{"Authorization", "X-WX-Skey", "cookie:sid"}
	cfg.SetCookie = "sid"
	cfg.Answers = answer.Config{
		Success: `{"code":{code},"data":{data}}`, Refusal: `{"code":{code},"error":{message}}`, Codes: map[string]string{"success": "0", "default": "-1"},
		Login: `{"code":0,"data":{"skey":{access_token},"userinfo":{"openId":{openid}}}}`, Profile: `{"nickName":{nickname},"bio":{bio},"openId":{openid}}`,
	}
}

// skey is the token in the answer to a login.
func skey(t *testing.T, body string) string {
	t.Helper()
	_, rest, found := strings.Cut(body, `"skey":"`)
	token, _, _ := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("no skey in %s", body)
	}
	return token
}

func TestALoginTakesItsCodeFromWhereClientsPutIt(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, waferEndpoints)
	for what, request := range map[string]func(code string) string{
		"a header": func(code string) string { return head("GET /weapp/login", "", "X-WX-Code: "+code) },
		"a header of a POST": func(code string) string {
			return head("POST /weapp/login", "", "X-WX-Code: "+code, "Content-Length: 0")
		},
		"a query":           func(code string) string { return head("GET /weapp/login?code="+code+"&nickName=%E7%88%B1", "") },
		"a query of a POST": func(code string) string { return head("POST /weapp/login?js_code="+code, "") },
		"jsCode":            func(code string) string { return jsonPost("/weapp/login", fmt.Sprintf(`{"jsCode":%q}`, code)) },
		"loginCode": func(code string) string {
			return jsonPost("/weapp/login", fmt.Sprintf(`{"loginCode":%q,"phoneCode":"x"}`, code))
		},
		"wxCode": func(code string) string {
			return jsonPost("/weapp/login?code=other", fmt.Sprintf(`{"wxCode":%q}`, code))
		},
	} {
		resp, body := e.send(t, request(e.weChat.IssueCode("alice")))
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s, want a login", what, resp.StatusCode, body)
			continue
		}
		if resp, body := e.send(t, head("GET /private/x", "", "X-WX-Skey: "+skey(t, body))); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: its token: %d %s", what, resp.StatusCode, body)
		}
	}
	for what, request := range map[string]string{
		"nothing": head("GET /weapp/login", ""), "a field twice": head("GET /weapp/login?code=a&code=b", ""), "two headers": head("GET /weapp/login", "", "X-WX-Code: a", "X-WX-Code: b"),
		"an invalid query": head("GET /weapp/login?code=%zz", ""),
	} {
		if resp, body := e.send(t, request); resp.Header.Get("X-Wxgate-Reason") != "invalid_request" {
			t.Errorf("%s: %d %s, want invalid_request", what, resp.StatusCode, body)
		}
	}
}

// jsonPost is a POST of JSON by nobody.
func jsonPost(path, body string) string {
	return head("POST "+path, "", "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(body))) + body
}

func TestEndpointsAnswerTheMethodsOfTheirClients(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, waferEndpoints)
	for _, logout := range []func(token string) string{
		func(token string) string { return head("GET /weapp/logout?skey="+token, "") },
		func(token string) string { return head("DELETE /weapp/logout", token) },
	} {
		token := e.tokenAt(t)
		if resp, body := e.send(t, head("GET /weapp/user?skey="+token, "")); resp.StatusCode != 200 || !strings.HasPrefix(body, `{"nickName":"","bio":"","openId":"o`) {
			t.Errorf("the profile: %d %s", resp.StatusCode, body)
		}
		change := `{"bio":"爱做菜"}`
		resp, body := e.send(t, head("POST /weapp/user/update", token, "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(change)))+change)
		if resp.StatusCode != 200 || !strings.Contains(body, `"bio":"爱做菜"`) {
			t.Errorf("a changed profile: %d %s", resp.StatusCode, body)
		}
		_, _ = e.send(t, head("POST /weapp/user/update", token, "Content-Type: application/json", "Content-Length: 10")+`{"bio":""}`)
		if resp, body := e.send(t, head("GET /weapp/refresh?skey="+token, "")); resp.StatusCode != 200 || !strings.Contains(body, token) {
			t.Errorf("a refresh by GET: %d %s", resp.StatusCode, body)
		}
		if resp, body := e.send(t, logout(token)); resp.StatusCode != 200 {
			t.Errorf("a logout: %d %s", resp.StatusCode, body)
		}
		if resp, _ := e.send(t, head("GET /private/x", token)); resp.Header.Get("X-Wxgate-Reason") != "token_revoked" {
			t.Errorf("after the logout: %d, want token_revoked", resp.StatusCode)
		}
	}
	for _, line := range []string{"POST /weapp/logout", "PUT /weapp/user", "GET /weapp/user/update"} {
		if resp, body := e.send(t, head(line, e.tokenAt(t))); resp.StatusCode != 404 {
			t.Errorf("%s: %d %s, want 404", line, resp.StatusCode, body)
		}
	}
}

// tokenAt logs alice in where the clients do.
func (e *edge) tokenAt(t *testing.T) string {
	t.Helper()
	_, body := e.send(t, head("GET /weapp/login?code="+e.weChat.IssueCode("alice"), ""))
	return skey(t, body)
}

func TestARefreshTokenIsTheTokenInTheBody(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, waferEndpoints)
	token := e.tokenAt(t)
	for what, body := range map[string]string{"snake": fmt.Sprintf(`{"refresh_token":%q}`, token), "camel": fmt.Sprintf(`{"refreshToken":%q}`, token)} {
		if resp, got := e.send(t, jsonPost("/weapp/refresh", body)); resp.StatusCode != 200 || !strings.Contains(got, token) {
			t.Errorf("%s: %d %s", what, resp.StatusCode, got)
		}
	}
	if status, got := e.postForm(t, "/weapp/refresh", "application/x-www-form-urlencoded", "grant_type=refresh_token&refresh_token="+token); status != 200 {
		t.Errorf("a form: %d %v", status, got)
	}
	for body, reason := range map[string]string{`{}`: "token_missing", `[]`: "token_missing", `{"refresh_token":7}`: "token_missing", `{"refresh_token":"e30.e30.AAAA"}`: "token_invalid"} {
		if resp, got := e.send(t, jsonPost("/weapp/refresh", body)); resp.Header.Get("X-Wxgate-Reason") != reason {
			t.Errorf("%s: %d %s, want %s", body, resp.StatusCode, got, reason)
		}
	}
}

// otherNames are what clients of other backends call our fields.
func otherNames(cfg *Config) {
	waferEndpoints(cfg)
	f := &cfg.Endpoints.Fields
	f.Code, f.RefreshToken, f.PhoneCode = []string{"principal"}, []string{"refresh"}, []string{"phoneCode"}
	f.Nickname, f.Avatar, f.Bio = []string{"nick_name"}, []string{"headimgurl"}, []string{"intro"}
}

// TestACodeInTheQueryCountsIfTheBodyHasNone has clients whose wrapper sends a body with each POST.
func TestACodeInTheQueryCountsIfTheBodyHasNone(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), otherNames)
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct{ contentType, path, body string }{
		{"application/json", "?code=CODE", `{}`},
		{"application/json", "?code=CODE", `{"type":"routine","code":""}`},
		{"application/json", "?jsCode=CODE&x=1", `{"type":"routine","js_code":null}`},
		{"application/json", "?principal=CODE", `null`},
		{form, "?code=CODE", "type=routine"},
		{"application/json", "?code=other", `{"code":"CODE"}`},
		{"application/json", "?code=other", `{"principal":"CODE"}`},
		{"application/json", "", `{"principal":"CODE","nick_name":"alice"}`},
		{form, "", "principal=CODE"},
		{"application/json", "?a=1&a=2", `{"code":"CODE"}`},
	} {
		fill := strings.NewReplacer("CODE", e.weChat.IssueCode("alice"))
		if status, got := e.postForm(t, "/weapp/login"+fill.Replace(c.path), c.contentType, fill.Replace(c.body)); status != 200 {
			t.Errorf("%s %s: %d %v, want a login", c.path, c.body, status, got)
		}
	}
	for _, c := range []struct{ query, body string }{
		{"", `{}`}, {"?code=CODE&code=CODE", `{}`}, {"?code=%zz", `{}`}, {"?code=CODE", `{"code":7}`}, {"?code=CODE", `{`}, {"?Principal=CODE", `{}`}, {"", `{"Principal":"CODE"}`}, {"", `{"principal":7}`},
	} {
		fill := strings.NewReplacer("CODE", e.weChat.IssueCode("alice"))
		if resp, got := e.send(t, jsonPost("/weapp/login"+fill.Replace(c.query), fill.Replace(c.body))); resp.StatusCode != 400 {
			t.Errorf("%s %s: %d %s, want 400", c.query, c.body, resp.StatusCode, got)
		}
	}
}

func TestARefreshTokenHasTheNameAndPlaceOfTheClient(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, func(cfg *Config) {
		otherNames(cfg)
		cfg.Endpoints.Logout = Paths{"/weapp/logout", "GET /weapp/logout?skey"}
	})
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct{ contentType, query, body string }{
		{"application/json", "", `{"refresh":"TOKEN"}`},
		{"application/json", "", `{"refresh_token":"TOKEN","refresh":"other"}`},
		{form, "", "refresh=TOKEN"},
		{"", "?refreshToken=TOKEN", ""},
		{"application/json", "?refresh=TOKEN", "{}"},
		{"application/json", "?refresh=other", `{"refreshToken":"TOKEN"}`},
	} {
		token := e.tokenAt(t)
		fill := strings.NewReplacer("TOKEN", token)
		if status, got := e.postForm(t, "/weapp/refresh"+fill.Replace(c.query), c.contentType, fill.Replace(c.body)); status != 200 {
			t.Errorf("a refresh with %s %s: %d %v", c.query, c.body, status, got)
		}
		if status, got := e.postForm(t, "/weapp/logout"+fill.Replace(c.query), c.contentType, fill.Replace(c.body)); status != 200 {
			t.Errorf("a logout with %s %s: %d %v", c.query, c.body, status, got)
		}
		if resp, _ := e.send(t, head("GET /private/x", token)); resp.Header.Get("X-Wxgate-Reason") != "token_revoked" {
			t.Errorf("after the logout: %d, want token_revoked", resp.StatusCode)
		}
	}
	token := e.tokenAt(t)
	for line, reason := range map[string]string{
		"GET /weapp/refresh?refresh=" + token: "token_missing", "GET /weapp/logout?refresh=" + token: "token_missing", "POST /weapp/logout": "token_missing",
		"POST /weapp/logout?Refresh=" + token: "token_missing", "POST /weapp/logout?refresh=e30.e30.AAAA": "token_invalid", "POST /weapp/logout?refresh=x": "token_malformed",
		"POST /weapp/logout?refresh=" + token + "&refresh=" + token: "token_missing",
	} {
		if resp, got := e.send(t, head(line, "")); resp.StatusCode != 401 || resp.Header.Get("X-Wxgate-Reason") != reason {
			t.Errorf("%s: %d %s, want %s", line, resp.StatusCode, got, reason)
		}
	}
	if resp, got := e.send(t, head("POST /weapp/logout?refresh="+token, "e30.e30.AAAA")); resp.Header.Get("X-Wxgate-Reason") != "token_invalid" {
		t.Errorf("a token in the head counts before one of the query: %d %s", resp.StatusCode, got)
	}
}

func TestAProfileHasTheNamesOfALogin(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), func(cfg *Config) {
		otherNames(cfg)
		cfg.Answers.Profile = `{"n":{nickname},"a":{avatar},"b":{bio}}`
	})
	token := e.tokenAt(t)
	const a, b = "https://img.example.com/a.png", "https://img.example.com/b.png"
	for _, c := range []struct{ body, want string }{
		{`{"nickName":"甲","avatarUrl":"` + a + `"}`, `{"n":"甲","a":"` + a + `","b":""}`},
		{`{"nickname":"乙","avatar":"` + b + `"}`, `{"n":"乙","a":"` + b + `","b":""}`},
		{`{"userInfo":{"nickName":"丙","avatarUrl":"` + a + `","gender":0}}`, `{"n":"丙","a":"` + a + `","b":""}`},
		{`{"nick_name":"丁","headimgurl":"` + b + `","intro":"会"}`, `{"n":"丁","a":"` + b + `","b":"会"}`},
		{`{"nick_name":7,"bio":"不","intro":"是"}`, `{"n":"丁","a":"` + b + `","b":"不"}`},
		{`{"avatarUrl":"","intro":""}`, `{"n":"丁","a":"","b":""}`},
	} {
		resp, got := e.send(t, head("POST /weapp/user/update", token, "Content-Type: application/json", fmt.Sprintf("Content-Length: %d", len(c.body)))+c.body)
		if resp.StatusCode != 200 || got != c.want {
			t.Errorf("%s: %d %s, want %s", c.body, resp.StatusCode, got, c.want)
		}
	}
}

// TestPagesOfOthersCannotUseTheCookie: they can neither log a visitor in as somebody else nor out, by GET either.
func TestPagesOfOthersCannotUseTheCookie(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, waferEndpoints)
	for from, sets := range map[string]bool{"": true, "Sec-Fetch-Site: same-origin": true, "Origin: http://localhost": false, "Sec-Fetch-Site: cross-site": false, "Origin: https://evil.example": false, "Origin: null": false} {
		var lines []string
		if from != "" {
			lines = append(lines, from)
		}
		resp, body := e.send(t, head("GET /weapp/login?code="+e.weChat.IssueCode("alice"), "", lines...))
		want := ""
		if sets {
			want = "sid=" + skey(t, body) + "; Max-Age=604800; Path=/; Secure; HttpOnly; SameSite=Lax"
		}
		if got := resp.Header.Get("Set-Cookie"); got != want {
			t.Errorf("a login from %q: %q, want %q", from, got, want)
		}
	}
	cookie := "Cookie: sid=" + e.tokenAt(t)
	for _, line := range []string{"GET /weapp/logout", "GET /weapp/refresh", "DELETE /weapp/logout", "POST /weapp/refresh"} {
		if resp, body := e.send(t, head(line, "", cookie, "Sec-Fetch-Site: cross-site")); resp.Header.Get("X-Wxgate-Reason") != "token_missing" || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s from elsewhere: %d %s, want token_missing", line, resp.StatusCode, body)
		}
	}
	resp, body := e.send(t, head("GET /weapp/logout", "", cookie, "Sec-Fetch-Site: same-origin"))
	if got := resp.Header.Get("Set-Cookie"); resp.StatusCode != 200 || got != "sid=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax" {
		t.Errorf("a logout: %d %s, cookie %q", resp.StatusCode, body, got)
	}
}
