package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What a team ticks off before it trusts a login, the back end's half: docs/acceptance.md. The front end's half is in
// miniprogram/tests/e2e/acceptance.test.mjs, and `make acceptance` runs both.

func TestTheLoginRequestIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	for _, path := range []string{"/api/v1/auth/wx-login", "/api/v1/auth/wechat-login"} {
		got := w.call("POST", path, "", fmt.Sprintf(`{"code":%q,"nickName":"小厨","avatarUrl":"https://cdn.example/a.png"}`, w.weChat.IssueCode("alice")))
		w.want(path, got, http.StatusOK, "")
		if got.data()["access_token"] == nil || got.data()["user"] == nil {
			t.Errorf("%s answers %s, want a token and a user", path, got.body)
		}
	}
	w.want("a login without a code", w.call("POST", "/api/v1/auth/wx-login", "", `{}`), http.StatusBadRequest, "invalid_request")
}

func TestWeChatGivesTheOpenid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	code := w.weChat.IssueCode("alice")
	got := w.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q,"openid":"of-somebody-else"}`, code), "X-WX-OPENID", "of-somebody-else")
	w.want("login", got, http.StatusOK, "")
	if asked := w.weChat.Seen(code); asked != 1 {
		t.Errorf("WeChat was asked %d times about the code, want once", asked)
	}
	user, _ := got.data()["user"].(map[string]any)
	if want := w.weChat.OpenID("alice"); user["openid"] != want {
		t.Errorf("the openid is %v, want WeChat's %s", user["openid"], want)
	}
	w.want("a code that WeChat refuses", w.call("POST", "/api/v1/auth/wx-login", "", `{"code":"err-40029"}`), http.StatusUnauthorized, "wx_code_invalid")
}

func TestANewUserIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	before := time.Now().Add(-time.Second)
	token := w.login("alice")
	profile := w.call("GET", "/api/v1/user/profile", token, "").data()
	if profile["id"] != 1.0 || profile["openid"] != w.weChat.OpenID("alice") {
		t.Errorf("the first user is %v, want user 1 with the openid of alice", profile)
	}
	text, _ := profile["created_at"].(string)
	if created, err := time.Parse(time.RFC3339, text); err != nil || created.Before(before) || created.After(time.Now().Add(time.Second)) {
		t.Errorf("the user was made at %q (%v), want now", text, err)
	}
	if id := w.userID(w.login("bob")); id != 2 {
		t.Errorf("the second person is user %d, want 2", id)
	}
	w.kill()
	w.serve()
	if id := w.userID(token); id != 1 {
		t.Errorf("after a kill -9 the user is %d, want 1", id)
	}
}

func TestAnOldOneIsUpdated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	login := func(nickname string) map[string]any {
		got := w.call("POST", "/api/v1/auth/wx-login", "", fmt.Sprintf(`{"code":%q,"nickName":%q}`, w.weChat.IssueCode("alice"), nickname))
		token, _ := got.data()["access_token"].(string)
		return w.call("GET", "/api/v1/user/profile", token, "").data()
	}
	first, second := login("小厨"), login("大厨")
	for _, same := range []string{"id", "openid", "created_at"} {
		if first[same] != second[same] {
			t.Errorf("%s was %v and is %v after another login", same, first[same], second[same])
		}
	}
	if second["nickname"] != "大厨" {
		t.Errorf("the nickname is %v after a login with another one", second["nickname"])
	}
	if third := login(""); third["nickname"] != "大厨" {
		t.Errorf("a login without a nickname made it %v", third["nickname"])
	}
}

func TestTheSessionKeyIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	token := w.login("alice")
	w.kill()
	w.serve()
	sealed, err := w.weChat.EncryptData("alice", w.weChat.Object("userinfo", "alice"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(map[string]string{"encryptedData": sealed.EncryptedData, "iv": sealed.IV})
	if err != nil {
		t.Fatal(err)
	}
	opened := w.call("POST", "/api/v1/auth/decrypt", token, string(body))
	w.want("data that WeChat encrypted with the session_key, after a kill -9", opened, http.StatusOK, "")
	if opened.data()["openId"] != w.weChat.OpenID("alice") {
		t.Errorf("it opened %s, want the data of alice", opened.body)
	}
}

func TestAJWTIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	token := w.login("alice")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("the token has %d parts, want 3 (RFC 7519 §3)", len(parts))
	}
	if signature := hs256(jwtSecret, parts[0]+"."+parts[1]); parts[2] != signature {
		t.Errorf("the signature is %s, want %s by JWT_SECRET", parts[2], signature)
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Subject int64  `json:"sub"`
		Session string `json:"sid"`
		Issued  int64  `json:"iat"`
		Expires int64  `json:"exp"`
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	if claims.Issuer != "wxgate" || claims.Subject != 1 || claims.Session == "" || claims.Expires-claims.Issued != 604800 {
		t.Errorf("the claims are %s, want those of user 1 for a week", text)
	}
}

func TestItIsVerified(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve()
	token := w.login("alice")
	own := w.call("GET", "/whoami", token, "", "X-User-Id", "2")
	w.want("the token", own, http.StatusOK, "")
	if !regexp.MustCompile(`"X-User-Id":\s*(\[\s*)?"1"`).MatchString(own.body) {
		t.Errorf("the service was told %s, want user 1", own.body)
	}
	parts := strings.Split(token, ".")
	encode := base64.RawURLEncoding.EncodeToString
	claims := decoded(t, parts[1])
	old := claims
	for claim, ago := range map[string]time.Duration{"iat": 7*24*time.Hour + time.Minute, "exp": time.Minute} {
		old = regexp.MustCompile(`"`+claim+`":\d+`).ReplaceAllString(old, fmt.Sprintf(`"%s":%d`, claim, time.Now().Add(-ago).Unix()))
	}
	other := strings.Replace(claims, `"sub":1`, `"sub":2`, 1)
	if other == claims || old == claims {
		t.Fatalf("the claims %s have no sub, iat or exp to forge", claims)
	}
	signed := func(key, payload string) string {
		text := parts[0] + "." + encode([]byte(payload))
		return text + "." + hs256(key, text)
	}
	for name, forged := range map[string]struct{ token, reason string }{
		"no token":             {"", "token_missing"},
		"no JWT":               {"x", "token_malformed"},
		"another user":         {parts[0] + "." + encode([]byte(other)) + "." + parts[2], "token_invalid"},
		"another key":          {signed("another-key-another-key-another-key", other), "token_invalid"},
		"no algorithm":         {encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".", "token_malformed"},
		"a token of long ago":  {signed(jwtSecret, old), "token_expired"},
		"no signature":         {parts[0] + "." + parts[1], "token_malformed"},
		"two tokens, one true": {token + "," + token, "token_malformed"},
	} {
		w.want(name, w.call("GET", "/api/v1/whoami", forged.token, ""), http.StatusUnauthorized, forged.reason)
	}
}

func decoded(t *testing.T, part string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// hs256 is the signature of a token's first two parts (RFC 7515 §3.3).
func hs256(key, text string) string {
	sum := hmac.New(sha256.New, []byte(key))
	sum.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}
