package wechat

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

const goodKey = `"session_key":"AAAAAAAAAAAAAAAAAAAAAA=="`

func TestAGoodAnswerIsASession(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"openid":"oA",` + goodKey + `}`,
		`{"openid":"oA",` + goodKey + `,"errcode":0,"errmsg":"ok"}`,
		`{"openid":"oA",` + goodKey + `,"errcode":"0"}`,
		`{"openid":"oA",` + goodKey + `,"errcode":null,"unionid":null}`,
		`{"openid":"oA",` + goodKey + `,"unionid":"","new":[{"a":1}]}`,
		"\uFEFF \n{\"openid\":\"\\u006fA\"," + goodKey + "} \r\n",
	} {
		got, err := parseSession([]byte(body))
		want := Session{OpenID: "oA", SessionKey: "AAAAAAAAAAAAAAAAAAAAAA=="}
		if err != nil || got != want {
			t.Errorf("parseSession(%s): got openid %q, unionid %q and %v, want %q", body, got.OpenID, got.UnionID, err, want.OpenID)
		}
	}
}

func TestABadAnswerIsNoSession(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		``, ` `, `null`, `[]`, `"x"`, `1`, `{`, `{}`, `{}}`, `<html>`, "\xff\xfe{}",
		`{"openid":"oA"}`,
		`{` + goodKey + `}`,
		`{"openid":"",` + goodKey + `}`,
		`{"openid":null,` + goodKey + `}`,
		`{"openid":7,` + goodKey + `}`,
		`{"openid":["oA"],` + goodKey + `}`,
		`{"OPENID":"oA",` + goodKey + `}`,
		`{"openid":"oA","openid":"oB",` + goodKey + `}`,
		`{"openid":"oA\u0000",` + goodKey + `}`,
		`{"openid":"oA\r\nX: y",` + goodKey + `}`,
		`{"openid":"o A",` + goodKey + `}`,
		`{"openid":"oé",` + goodKey + `}`,
		`{"openid":"` + strings.Repeat("o", 65) + `",` + goodKey + `}`,
		"{\"openid\":\"o\xff\"," + goodKey + `}`,
		`{"openid":"oA","unionid":"u\n",` + goodKey + `}`,
		`{"openid":"oA","unionid":5,` + goodKey + `}`,
		`{"openid":"oA","session_key":""}`,
		`{"openid":"oA","session_key":"AAAA"}`,
		`{"openid":"oA","session_key":"AAAAAAAAAAAAAAAAAAAAAA"}`,
		`{"openid":"oA","session_key":"AAAAAAAAAAAAAAAAAAAAAB=="}`,
		`{"openid":"oA","session_key":"AAAAAAAAAAA\nAAAAAAAAAAA=="}`,
		`{"openid":"oA","session_key":"AAAAAAAAAAAAAAAAAAAAAAAA"}`,
		`{"openid":"oA",` + goodKey + `}x`,
		`{"openid":"oA",` + goodKey + `}{"errcode":40029}`,
		`{"openid":"oA",` + goodKey + `,}`,
		`{"errcode":0,"errmsg":"ok"}`,
		`{"errcode":40029.5}`, `{"errcode":4e4}`, `{"errcode":99999999999999999999}`, `{"errcode":"99999999999"}`,
		`{"errcode":""}`, `{"errcode":"code"}`, `{"errcode":true}`, `{"errcode":{}}`, `{"errcode":[40029]}`,
		`{"errcode":0,"errcode":40029,"openid":"oA",` + goodKey + `}`,
	} {
		got, err := parseSession([]byte(body))
		if !errors.Is(err, ErrBadResponse) || got != (Session{}) {
			t.Errorf("parseSession(%q): got %v and openid %q, want ErrBadResponse and nothing", body, err, got.OpenID)
		}
	}
}

func TestAnErrcodeIsReadInEverySpelling(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		`{"errcode":40029,"errmsg":"invalid code"}`:       40029,
		`{"errcode":"40029"}`:                             40029,
		`{"errcode":-1}`:                                  -1,
		`{"errcode":"-1","errmsg":5}`:                     -1,
		`{"errcode":2147483647}`:                          2147483647,
		"\uFEFF{\"errcode\":45011}":                       45011,
		`{"errcode":40163,"openid":"oA",` + goodKey + `}`: 40163,
	} {
		session, err := parseSession([]byte(body))
		var answer *Error
		if !errors.As(err, &answer) || answer.Code != want || session != (Session{}) {
			t.Errorf("parseSession(%s): got %v, want errcode %d and no session", body, err, want)
		}
	}
}

func TestErrmsgIsTakenApartAndCleaned(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ errmsg, message, id string }{
		{"invalid code, rid: 62f1-aa-bb", "invalid code", "62f1-aa-bb"},
		{"invalid code, hints: [ req_id: Mf_x9A ]", "invalid code", "Mf_x9A"},
		{"code been used,hints:[req_id:Mf]", "code been used", "Mf"},
		{"invalid code rid: 62f1", "invalid code", "62f1"},
		{"系统繁忙, rid: 62f1", "系统繁忙", "62f1"},
		{"no id at all", "no id at all", ""},
		{"", "", ""},
		{"rid: 62f1", "", "62f1"},
		{"a\r\nb\x1b[31m\u202ec\u0000", "ab[31mc", ""},
		{"wrong the-secret-itself, rid: 62f1", "wrong ***, rid: 62f1"[:len("wrong ***")], "62f1"},
		{strings.Repeat("错", 100), strings.Repeat("错", 66), ""},
		{strings.Repeat("x", 190) + "the-secret-itself", strings.Repeat("x", 190) + "***", ""},
	} {
		got := newError("api", 1, row.errmsg, []string{"the-secret-itself", "e"})
		if got.Message != row.message || got.RequestID != row.id {
			t.Errorf("errmsg %q: got %q and rid %q, want %q and %q", row.errmsg, got.Message, got.RequestID, row.message, row.id)
		}
	}
}

func TestAnErrorReadsAsOneLine(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*Error{
		"wechat jscode2session: errcode 40029: invalid code, rid: 62f1": {API: "jscode2session", Code: 40029, Message: "invalid code", RequestID: "62f1"},
		"wechat jscode2session: errcode -1: system error":               {API: "jscode2session", Code: -1, Message: "system error"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("Error of %#v: got %q, want %q", e, got, want)
		}
	}
}

// TestARequestIDIsSplitAsItsPatternSays compares with the pattern that the suffix was collected with.
func TestARequestIDIsSplitAsItsPatternSays(t *testing.T) {
	t.Parallel()
	suffix := regexp.MustCompile(`[,，]? *(?:hints: *\[ *)?(?:rid|req_id): *([0-9A-Za-z_.-]{1,64}) *\]? *$`)
	pieces := []string{"rid:", "req_id:", "hints:", "[", "]", ",", "，", " ", " ", "62f1-aa.b_", "x", "错", ":", strings.Repeat("y", 60), "invalid code"}
	rapid.Check(t, func(t *rapid.T) {
		errmsg := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 9).Draw(t, "pieces"), "")
		message, id := errmsg, ""
		if at := suffix.FindStringSubmatchIndex(errmsg); at != nil {
			message, id = errmsg[:at[0]], errmsg[at[2]:at[3]]
		}
		if gotMessage, gotID := splitRequestID(errmsg); gotMessage != message || gotID != id {
			t.Errorf("%q: got %q and %q, want %q and %q", errmsg, gotMessage, gotID, message, id)
		}
	})
}

// TestAPathIsPlainAsItsPatternSays compares with a pattern of such paths.
func TestAPathIsPlainAsItsPatternSays(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^(/[0-9A-Za-z_-]{1,64}){2,6}$`)
	pieces := []string{"/", "/", "/wxa", "cgi-bin", "A_0-z9", ".", "%2e", "?", "\n", "é", strings.Repeat("y", 63), "yy"}
	rapid.Check(t, func(t *rapid.T) {
		path := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 14).Draw(t, "pieces"), "")
		if got, want := plainPath(path), shape.MatchString(path); got != want {
			t.Errorf("%q: got %v, want %v", path, got, want)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		goodSession, `{"errcode":"40029","errmsg":"invalid code, rid: 1-2-3"}`, `{"errcode":-1}`, "\uFEFF{}", `{"openid":"oA",`, `[[[[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		session, err := parseSession(body)
		var answer *Error
		switch {
		case err == nil:
			if session.OpenID == "" || len(session.OpenID) > maxID || !visibleASCII(session.OpenID+session.UnionID) {
				t.Errorf("parseSession(%q): got openid %q, want visible ASCII", body, session.OpenID)
			}
		case errors.As(err, &answer):
			if answer.Code == CodeOK || len(answer.Message) > maxMessage || !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("parseSession(%q): got %q, want one short line", body, err)
			}
		case !errors.Is(err, ErrBadResponse):
			t.Errorf("parseSession(%q): got %v, want ErrBadResponse", body, err)
		}
	})
}

// TestTheAddressThatWeChatSawIsReadFromItsMessage in the forms that it was seen in, and from nothing else.
func TestTheAddressThatWeChatSawIsReadFromItsMessage(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist": "203.0.113.7",
		"invalid ip 203.0.113.7, not in whitelist":                         "203.0.113.7",
		"invalid ip  ipv6 ::ffff:203.0.113.7, not in whitelist":            "203.0.113.7",
		"invalid ip  ipv6 2001:db8::7, not in whitelist":                   "2001:db8::7",
		"invalid ip fe80::1%<b> not in whitelist":                          "invalid IP",
		"not in whitelist": "invalid IP",
	} {
		if got := newError(APIStableToken, ErrCodeAddressNotListed, message, nil).Address().String(); got != want {
			t.Errorf("%q: got %s, want %s", message, got, want)
		}
	}
}
