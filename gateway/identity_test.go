package gateway

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
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
