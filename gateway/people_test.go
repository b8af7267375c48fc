package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxgate/authn"
	"wxgate/authn/wechat/sandbox"
	"wxgate/storage"
	"wxgate/upstream/upstreamtest"
)

// checking has what users write shown to WeChat.
func checking(policy authn.ContentPolicy) func(*Config) {
	policy.Check, policy.Results = true, []string{testAppID}
	return func(cfg *Config) { cfg.Content = policy }
}

// putProfile changes the profile of a token's user.
func (e *edge) putProfile(t *testing.T, token, body string) (status int, answer string) {
	t.Helper()
	resp, answer := e.send(t, head("PUT /api/v1/user/profile", token, "Content-Type: application/json", withLength(body))+body)
	return resp.StatusCode, answer
}

func TestARiskyTextIs422(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), checking(authn.ContentPolicy{}))
	alice := e.token(t, "alice")
	for _, row := range []struct {
		body   string
		status int
		want   string
	}{
		{`{"nickname":"小厨师","bio":"爱做饭"}`, 200, `"bio":"爱做饭"`},
		{`{"bio":"违禁"}`, 422, `"reason":"content_risky"`},
		{`{"nickName":"违禁"}`, 422, `"reason":"content_risky"`},
		{`{"nickname":"存疑"}`, 503, `"reason":"content_unchecked"`},
	} {
		if status, answer := e.putProfile(t, alice, row.body); status != row.status || !strings.Contains(answer, row.want) {
			t.Errorf("%s: %d %s, want %d with %s", row.body, status, answer, row.status, row.want)
		}
	}
	if err := e.weChat.Fail(sandbox.Failure{API: "msg_sec_check", Kinds: []string{"61010"}}); err != nil {
		t.Fatal(err)
	}
	if status, answer := e.putProfile(t, alice, `{"nickname":"大厨师"}`); status != 503 || !strings.Contains(answer, "content_unchecked") || strings.Contains(answer, "错误码") {
		t.Errorf("somebody who was not here for two hours: %d %s, want 503 content_unchecked", status, answer)
	}
	login := fmt.Sprintf(`{"code":%q,"nickName":"违禁"}`, e.weChat.IssueCode("alice"))
	if resp, answer := e.send(t, head("POST /api/v1/auth/wx-login", "", withLength(login))+login); resp.StatusCode != 200 || !strings.Contains(answer, `"nickname":"小厨师"`) {
		t.Errorf("a login with a risky nickname: %d %s, want the one from before", resp.StatusCode, answer)
	}
	if resp, answer := e.send(t, head("GET /api/v1/user/profile", alice)); !strings.Contains(answer, `"nickname":"小厨师"`) || !strings.Contains(answer, `"bio":"爱做饭"`) {
		t.Errorf("stored is %d %s", resp.StatusCode, answer)
	}
}

// TestWhoWithdrewAPhoneNumberHasNone, over a sealed push; who left WeChat is gone, and the service hears of both.
func TestWhoWithdrewAPhoneNumberHasNone(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Fixed(t, upstreamtest.OK("text/plain", "success"))
	e, opens := pushing(t, service, pushKey)
	alice, openID := e.token(t, "alice"), e.weChat.OpenID("alice")
	phones := e.deps.Storage.(interface {
		SetPhone(context.Context, int64, storage.Phone) error
		Phone(context.Context, int64) (storage.Phone, error)
	})
	if err := phones.SetPhone(t.Context(), 1, storage.Phone{PureNumber: "13800000000"}); err != nil {
		t.Fatal(err)
	}
	push := func(event string) {
		t.Helper()
		query, body, err := opens.Request([]byte(event), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if resp, answer := e.send(t, pushRequest(query.Encode(), string(body))); resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", event, resp.StatusCode, answer)
		}
	}
	push(`{"MsgType":"event","Event":"user_authorization_revoke","OpenID":"` + openID + `","AppID":"` + testAppID + `","RevokeInfo":"8"}`)
	if _, err := phones.Phone(t.Context(), 1); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the phone number: %v, want none", err)
	}
	if resp, body := e.send(t, head("GET /api/v1/user/profile", alice)); resp.StatusCode != 200 {
		t.Errorf("her token afterwards: %d %s", resp.StatusCode, body)
	}
	push(`<xml><MsgType>event</MsgType><Event>user_authorization_cancellation</Event><OpenID>` + openID + `</OpenID></xml>`)
	if resp, body := e.send(t, head("GET /api/v1/user/profile", alice)); resp.StatusCode != 401 || !strings.Contains(body, "token_revoked") {
		t.Errorf("who left WeChat: %d %s, want 401 token_revoked", resp.StatusCode, body)
	}
	if n := len(service.Requests()); n != 2 {
		t.Errorf("the service was told %d times, want twice", n)
	}
}

// TestARiskyAvatarGoesWhenWeChatSaysSo, in a push that the service gets too.
func TestARiskyAvatarGoesWhenWeChatSaysSo(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Fixed(t, upstreamtest.OK("text/plain", "success"))
	e, _ := pushing(t, service, pushKey, checking(authn.ContentPolicy{Unchecked: true}))
	e.weChat.PushTo("http://" + e.addr + "/wechat/push")
	alice := e.token(t, "alice")
	for i, row := range []struct{ avatar, want string }{
		{"https://example.com/risky.png", ""},
		{"https://example.com/review.png", "https://example.com/review.png"},
		{"https://example.com/missing.png", "https://example.com/missing.png"},
		{"https://example.com/good.png", "https://example.com/good.png"},
	} {
		if status, answer := e.putProfile(t, alice, `{"avatar":"`+row.avatar+`"}`); status != 200 {
			t.Fatalf("%s: %d %s", row.avatar, status, answer)
		}
		eventually(t, "the service hears of "+row.avatar, func() bool { return len(service.Requests()) == i+1 })
		eventually(t, row.avatar+" becomes "+row.want, func() bool {
			user, err := e.deps.Authn.Users.ByID(t.Context(), 1)
			return err == nil && user.Avatar == row.want
		})
	}
}
