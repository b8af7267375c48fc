package gateway

import (
	"encoding/base64"
	"maps"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"wxgate/authn"
	"wxgate/storage/badger"
	"wxgate/upstream/upstreamtest"
)

func TestEverySpellingThatAServiceCouldReadAsOursIsReserved(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.Identity.Headers["X-Caller"] = fieldID
	r := newReservedHeaders(cfg)
	for _, name := range []string{
		"X-User-Id", "x-user-id", "X_User_Id", "X-User_Id", "X.User.Id", "x_user-id", "X-USER-OPENID", "X-User-Anything", "X-User",
		"X-WX-OPENID", "X_WX_SOURCE", "x-wx-", "X-Wxgate-Openid", "X_WXGATE_SIGNATURE", "X-Caller", "x_caller", "X.CALLER",
		"X!User!Id", "X+User+Id", "x~user|id", "X'Caller", "X#wx`OPENID", // lighttpd writes _ for all that is no letter or digit
	} {
		if !r.contains([]byte(name)) {
			t.Errorf("%q is not reserved", name)
		}
	}
	for _, name := range []string{"X-Request-Id", "X-Users", "User-Id", "X-Used", "Accept", "X", ""} {
		if r.contains([]byte(name)) {
			t.Errorf("%q is reserved", name)
		}
	}
}

func TestAHeaderValueIsVisibleASCIIAndDecodesToWhatItWas(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"alice", "小爱🐟", `a "b" c`, "a\r\nX-User-Id: 1", "50%", "%41", "a\x00b", "\x7f", "a b", "ä"} {
		got := headerValue(s)
		for i := range len(got) {
			if got[i] <= 0x20 || got[i] >= 0x7f {
				t.Errorf("%q became %q", s, got)
			}
		}
		if back, err := url.PathUnescape(got); err != nil || back != s {
			t.Errorf("%q became %q, which decodes to %q, %v", s, got, back, err)
		}
	}
}

func TestALongHeaderValueIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	got := headerValue(strings.Repeat("🐟", 20_000))
	back, err := url.PathUnescape(got)
	if err != nil || len(got) > maxIdentityValue || !utf8.ValidString(back) || !strings.HasPrefix(back, "🐟🐟") {
		t.Errorf("got %d bytes, %v: %.40q", len(got), err, back)
	}
}

// TestAServiceGetsTheUnionIDThatItAsksFor: from a reload on, with the next token of somebody of whom WeChat gave one.
func TestAServiceGetsTheUnionIDThatItAsksFor(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	unionID := func(token string) string {
		e.send(t, head("GET /private/x", token, "X-User-Unionid: forged", "x_user_unionid: forged"))
		req := service.Requests()[len(service.Requests())-1]
		if strings.Contains(req.Head(), "forged") {
			t.Errorf("the service received\n%s", req.Head())
		}
		return strings.Join(req.Values("X-User-Unionid"), "|")
	}
	before := e.token(t, "alice")
	user, err := e.deps.Storage.(*badger.Store).User(t.Context(), 1)
	if err != nil || user.UnionID == "" {
		t.Fatalf("got %+v, %v, want a unionid", user, err)
	}
	if payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(before, ".")[1]); strings.Contains(string(payload), "unionid") {
		t.Errorf("unasked, the token says %s", payload)
	}
	r := e.snapshot.Load()
	cfg := r.cfg
	cfg.Identity.Headers = maps.Clone(cfg.Identity.Headers)
	cfg.Identity.Headers["X-User-Unionid"] = fieldUnionID
	e.reload(t, cfg, r.upstreams)
	if got := unionID(before); got != "" {
		t.Errorf("a token from before: got %q, want none", got)
	}
	if got := unionID(e.token(t, "alice")); got != user.UnionID {
		t.Errorf("a token from afterwards: got %q, want %q", got, user.UnionID)
	}
	grant, err := e.deps.Authn.CloudLogin(t.Context(), authn.CloudIdentity{AppID: testAppID, OpenID: "oNoUnion"}, authn.Login{})
	if err != nil {
		t.Fatal(err)
	}
	if got := unionID(grant.Token); got != "" {
		t.Errorf("nobody knows one: got %q, want none", got)
	}
}
