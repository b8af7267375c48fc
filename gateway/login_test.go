package gateway

import (
	"net/http"
	"strings"
	"testing"

	"wxgate/upstream/upstreamtest"
)

// loggedIn logs alice in with something beside the code, and returns what the gateway then has of her.
func (e *edge) loggedIn(t *testing.T, beside string) (status int, user map[string]any) {
	t.Helper()
	body := `{"code":"` + e.weChat.IssueCode("alice") + `"` + beside + `}`
	status, answer := e.postRaw(t, "/api/v1/auth/wx-login", body)
	data, _ := answer["data"].(map[string]any)
	user, _ = data["user"].(map[string]any)
	return status, user
}

func TestWhatAClientSendsBesideTheCodeNeitherRefusesALoginNorWorsensTheProfile(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	const name, picture = "小爱", "https://img.example.com/a.png"
	if status, user := e.loggedIn(t, `,"nickName":"`+name+`","avatarUrl":"`+picture+`"`); status != http.StatusOK || user["avatar"] != picture {
		t.Fatalf("the first login: %d %v", status, user)
	}
	for _, beside := range []string{
		`,"avatarUrl":"http://127.0.0.1:54321/__tmp__/abc.png"`, `,"avatarUrl":"http://localhost:54321/__tmp__/abc.png"`,
		`,"avatarUrl":"http://usr/abc.png"`, `,"avatarUrl":"http://tmp/abc.png"`, `,"avatarUrl":"http://store/abc.png"`,
		`,"avatarUrl":"wxfile://tmp_abc.png"`, `,"avatarUrl":"/images/x.png"`, `,"avatarUrl":"data:image/png;base64,AAAA"`,
		`,"avatarUrl":"blob:https://x/y"`, `,"avatarUrl":"cloud://env/x.png"`, `,"avatarUrl":"https://"`, `,"avatarUrl":""`,
		`,"avatarUrl":"` + picture + strings.Repeat("a", 600) + `"`, `,"avatarUrl":null`, `,"avatarUrl":7`, `,"avatarUrl":{"url":"x"}`,
		`,"avatar":["https://x.example/y"]`,
		`,"nickName":"微信用户"`, `,"nickName":""`, `,"nickName":"   "`, `,"nickName":null`, `,"nickName":12`, `,"nickName":{}`,
		`,"nickName":"` + strings.Repeat("很", 65) + `"`, `,"nickName":"a\u0000b"`, `,"nickName":"a\nb"`, `,"nickName":"\ud83d"`,
		",\"nickName\":\"cut \xf0\x9f\"",
		`,"gender":9,"country":{},"city":null,"language":["x"],"scope":1e999`, `,"nickname":false,"bio":"x"`,
	} {
		status, user := e.loggedIn(t, beside)
		if status != http.StatusOK || user["nickname"] != name || user["avatar"] != picture {
			t.Errorf("beside the code came %.80q: %d %v, want 200 and the profile as it was", beside, status, user)
		}
	}
	if status, user := e.loggedIn(t, `,"nickName":"","nickname":"小爱二","avatarUrl":"http://127.0.0.1:8080/uploads/b.png"`); status != http.StatusOK || user["nickname"] != "小爱二" || user["avatar"] != "http://127.0.0.1:8080/uploads/b.png" {
		t.Errorf("a real profile: %d %v, want it taken", status, user)
	}
}

func TestAPictureOfOnePhoneNeverReplacesAStoredAvatar(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	const picture = "https://img.example.com/a.png"
	e.loggedIn(t, `,"avatarUrl":"`+picture+`"`)
	token := e.token(t, "alice")
	for _, avatar := range []string{"http://127.0.0.1:54321/__tmp__/abc.png", "http://usr/abc.png", "http://tmp/abc.png", "wxfile://abc"} {
		resp, body := e.send(t, put("/api/v1/user/profile", token, `{"avatar":"`+avatar+`"}`))
		if resp.StatusCode != http.StatusOK || !strings.Contains(body, picture) {
			t.Errorf("PUT of %s: %d %s, want the avatar as it was", avatar, resp.StatusCode, body)
		}
	}
}

func TestANicknameThatTurnsTheLineAroundIsKeptWithoutWhatTurnsIt(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	if status, user := e.loggedIn(t, `,"nickName":"\u202e爱小\u2069\u200f👩‍🍳"`); status != http.StatusOK || user["nickname"] != "爱小👩‍🍳" {
		t.Fatalf("a login: %d %+q, want 200 and 爱小👩‍🍳", status, user["nickname"])
	}
	for _, beside := range []string{`,"nickName":"\u200b\u2060"`, `,"nickName":"微信\u200b用户"`, `,"nickName":"\u3164"`} {
		if status, user := e.loggedIn(t, beside); status != http.StatusOK || user["nickname"] != "爱小👩‍🍳" {
			t.Errorf("a login with %s: %d %+q, want the nickname as it was", beside, status, user["nickname"])
		}
	}
	token := e.token(t, "alice")
	for body, want := range map[string]string{
		`{"nickname":"\u2066小爱\u2069"}`:                        `"nickname":"小爱"`,
		`{"nickname":"\ufeff` + strings.Repeat("名", 64) + `"}`: `"nickname":"` + strings.Repeat("名", 64) + `"`,
		`{"bio":"会\u202e做\n菜"}`:                                `"bio":"会做\n菜"`,
	} {
		if resp, got := e.send(t, put("/api/v1/user/profile", token, body)); resp.StatusCode != http.StatusOK || !strings.Contains(got, want) {
			t.Errorf("PUT of %s: %d %+q, want %s", body, resp.StatusCode, got, want)
		}
	}
	if resp, got := e.send(t, put("/api/v1/user/profile", token, `{"nickname":"\u200b","bio":"\u200b"}`)); resp.StatusCode != http.StatusOK ||
		strings.Contains(got, `"nickname":""`) || strings.Contains(got, `"bio":""`) {
		t.Errorf("PUT of a nickname that nobody sees: %d %s, want the one before", resp.StatusCode, got)
	}
}
