package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"wxgate/upstream/upstreamtest"
)

// TestLoginsTakeWhatClientsSend has the bodies of public clients: JSON and forms, both names of the code, and the profile
// in each of its places.
func TestLoginsTakeWhatClientsSend(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	const form, plain = "application/x-www-form-urlencoded", "application/json"
	const picture = "https://img.example.com/a.png"
	for i, c := range []struct{ contentType, body, nickname string }{
		{plain, `{"code":"CODE","nickName":"NAME","avatarUrl":"` + picture + `"}`, "NAME"},
		{plain, `{"js_code":"CODE","nickname":"NAME","avatar":"` + picture + `"}`, "NAME"},
		{plain, `{"code":"CODE","js_code":7,"userInfo":{"nickName":"NAME","avatarUrl":"` + picture + `","gender":1}}`, "NAME"},
		{plain, `{"code":"CODE","userInfo":{"errMsg":"ok","rawData":"{}","userInfo":{"nickName":"NAME","avatarUrl":"` + picture + `"}}}`, "NAME"},
		{"json", `{"code":"CODE","userInfo":{"nickname":"NAME","avatar":"` + picture + `"}}`, "NAME"},
		{form + "; charset=UTF-8", "code=CODE&nickName=NAME&avatarUrl=https%3A%2F%2Fimg.example.com%2Fa.png", "NAME"},
		{form, "js_code=CODE&userInfo.nickName=NAME&userInfo.avatarUrl=https%3A%2F%2Fimg.example.com%2Fa.png", "NAME"},
		{form, "js_code=CODE&userInfo%5BnickName%5D=NAME&userInfo[avatarUrl]=https%3A%2F%2Fimg.example.com%2Fa.png", "NAME"},
		{form, "code=CODE&userInfo=%7B%22nickName%22%3A%22NAME%22%2C%22avatarUrl%22%3A%22" + picture + "%22%7D&x.y.z=1&x=2", "NAME"},
		{plain, `{"code":"CODE","userInfo":"[object Object]"}`, ""},
		{plain, `{"code":"CODE","userInfo":[1]}`, ""},
	} {
		name := fmt.Sprintf("reader%d", i)
		for path, token := range map[string]string{"/api/v1/auth/wx-login": "access_token", "/api/v1/user/login": "skey"} {
			code := e.weChat.IssueCode(name)
			body := strings.NewReplacer("CODE", code, "NAME", name).Replace(c.body)
			status, answer := e.postForm(t, path, c.contentType, body)
			data, _ := answer["data"].(map[string]any)
			if status != http.StatusOK || data[token] == nil {
				t.Errorf("%s, %s %s: %d %v, want a token", path, c.contentType, body, status, answer)
				continue
			}
			user, _ := data["user"].(map[string]any)
			want := strings.Replace(c.nickname, "NAME", name, 1)
			if user != nil && (user["nickname"] != want || (user["avatar"] == picture) != (want != "")) {
				t.Errorf("%s: the user is %v, want nickname %q", body, user, want)
			}
		}
	}
}

func TestAFormThatCanBeReadInTwoWaysIsRefused(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	for body, contentType := range map[string]string{
		"code=alice&code=bob": "application/x-www-form-urlencoded", "code=%zz": "application/x-www-form-urlencoded",
		"code=alice;x=1": "application/x-www-form-urlencoded", "": "application/x-www-form-urlencoded", "nickName=x": "application/x-www-form-urlencoded",
		`{"code":"alice"}`: "text/plain", `{"code":"alice"} `: "multipart/form-data; boundary=x", "code=alice": "application/json",
	} {
		if status, answer := e.postForm(t, "/api/v1/auth/wx-login", contentType, body); status != http.StatusBadRequest || answer["reason"] != "invalid_request" {
			t.Errorf("%s %q: %d %v, want 400 invalid_request", contentType, body, status, answer)
		}
	}
}

func TestOtherEndpointsTakeFormsToo(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	token, body := e.token(t, "alice"), "bio=%E4%BC%9A+%26+a%2Bb"
	resp, got := e.send(t, head("PUT /api/v1/user/profile", token, "Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len(body)))+body)
	if resp.StatusCode != http.StatusOK || !strings.Contains(got, `"bio":"会 & a+b"`) {
		t.Errorf("got %d %s, want the bio of the form", resp.StatusCode, got)
	}
}

// postForm sends a body of some kind, from nobody.
func (e *edge) postForm(tb testing.TB, path, contentType, body string) (int, map[string]any) {
	tb.Helper()
	resp, text := e.send(tb, head("POST "+path, "", "Content-Type: "+contentType, fmt.Sprintf("Content-Length: %d", len(body)))+body)
	return resp.StatusCode, decodeJSON(text)
}

// decodeJSON is an answer as an object, nil if it is none.
func decodeJSON(text string) (decoded map[string]any) {
	_ = json.Unmarshal([]byte(text), &decoded)
	return decoded
}
