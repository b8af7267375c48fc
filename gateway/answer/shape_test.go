package answer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/authn"
	"wxgate/message"
	"wxgate/storage"
)

// newShape prepares a configuration that is valid.
func newShape(tb testing.TB, cfg Config) *Shape {
	tb.Helper()
	if f := cfg.Validate(); len(f) > 0 {
		tb.Fatal(f)
	}
	s, err := NewShape(cfg, NewTable())
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestEachPresetIsTheDialectOfItsClients(t *testing.T) {
	t.Parallel()
	now, table := time.UnixMilli(1_700_000_000_123), NewTable()
	for preset, want := range map[string]struct {
		success, refusal string
		status           int
	}{
		"envelope": {
			`{"code":200,"message":"success","data":{"a":1},"timestamp":"2023-11-14T22:13:20.123Z"}`,
			`{"code":401,"message":"请先登录","error":"Unauthorized","reason":"token_missing","request_id":"id","timestamp":"2023-11-14T22:13:20.123Z"}`, 401,
		},
		"status_code": {`{"statusCode":200,"data":{"a":1},"message":"success"}`, `{"statusCode":401,"data":null,"message":"请先登录"}`, 401},
		"errno":       {`{"errno":0,"errmsg":"success","data":{"a":1}}`, `{"errno":501,"errmsg":"请先登录","data":null}`, 200},
		"code_msg":    {`{"code":200,"msg":"success","data":{"a":1}}`, `{"code":401,"msg":"请先登录","data":null}`, 200},
		"code_text":   {`{"code":"00000","msg":"success","data":{"a":1}}`, `{"code":"A0230","msg":"请先登录","data":null}`, 401},
	} {
		s := newShape(t, Config{Preset: preset})
		success, err := s.Success("success", map[string]int{"a": 1}, now)
		var refusal message.Response
		f := table[0]
		s.Refuse(&refusal, &Refusal{Failure: f, Message: f.Message, RequestID: "id", Now: now})
		if err != nil || string(success.Body) != want.success || string(refusal.Body) != want.refusal || refusal.Status != want.status {
			t.Errorf("%s: got %s and %d %s (%v), want %+v", preset, success.Body, refusal.Status, refusal.Body, err, want)
		}
		if got := string(refusal.Fields.Get("X-Wxgate-Reason")); got != "token_missing" {
			t.Errorf("%s: the reason in the head is %q", preset, got)
		}
		login := s.Login(authn.Grant{Token: "t.o.k", ExpiresIn: time.Hour, User: storage.User{ID: 7, Nickname: "爱丽丝"}}, now)
		data := `{"access_token":"t.o.k","token_type":"Bearer","expires_in":3600,"user":{"id":7,"openid":"","nickname":"爱丽丝","avatar":"","created_at":"0001-01-01T00:00:00.000Z"}}`
		if got := string(login.Body); got != strings.Replace(want.success, `{"a":1}`, data, 1) {
			t.Errorf("%s: a login is %s", preset, got)
		}
	}
}

func TestARefusalWithAnotherStatusSaysSoOnlyToTheClient(t *testing.T) {
	t.Parallel()
	s := newShape(t, Config{Preset: "errno", RefusalStatus: "200", Codes: map[string]string{"401": "501", "token_expired": "502", "default": "-1"}})
	for _, f := range NewTable() {
		var got message.Response
		s.Refuse(&got, &Refusal{Failure: f, Message: f.Message, Now: time.Now()})
		want := map[bool]string{true: `{"errno":501,`, false: `{"errno":-1,`}[f.Status == 401]
		if f.Reason == "token_expired" {
			want = `{"errno":502,`
		}
		if got.Status != 200 || !strings.HasPrefix(string(got.Body), want) || string(got.Fields.Get("Cache-Control")) != "no-store" || got.Fields.Has("WWW-Authenticate") {
			t.Errorf("%s: got %d %s\n%s, want 200 %s, not stored, without a challenge", f.Reason, got.Status, got.Fields.AppendTo(nil), got.Body, want)
		}
		got.Reset()
		if s.Refuse(&got, &Refusal{Failure: f, Message: f.Message, Now: time.Now(), KeepStatus: true}); got.Status != f.Status {
			t.Errorf("%s: got %d, want its own %d", f.Reason, got.Status, f.Status)
		}
	}
}

// TestAPreparedRefusalIsTheOneThatIsNot compares the row of the table with the same row under another message.
func TestAPreparedRefusalIsTheOneThatIsNot(t *testing.T) {
	t.Parallel()
	s, now := newShape(t, Config{Preset: "errno", Refusal: `{"a":{status},"b":{code},"c":"{reason} {request_id}","m":{message},"e":{error},"t":{timestamp},"n":{timestamp_s}}`}), time.Now()
	for _, f := range NewTable() {
		var prepared, written message.Response
		s.Refuse(&prepared, &Refusal{Failure: f, Message: f.Message, RequestID: "id", Now: now})
		s.Refuse(&written, &Refusal{Failure: f, Message: f.Message + "!", RequestID: "id", Now: now})
		if got := strings.Replace(string(written.Body), `!"`, `"`, 1); string(prepared.Body) != got || string(prepared.Fields.AppendTo(nil)) != string(written.Fields.AppendTo(nil)) {
			t.Errorf("%s: prepared\n%s\nwritten\n%s", f.Reason, prepared.Body, got)
		}
	}
}

func TestTextsInTemplatesAreEscaped(t *testing.T) {
	t.Parallel()
	s := newShape(t, Config{Login: `{"token":"Bearer {access_token}","who":"<{nickname}>","id":"{user_id}","at":"{expires_at_ms}","new":"{is_new}"}`})
	user := storage.User{ID: 7, Nickname: "a\"},\u2028\n{openid}"}
	var got map[string]string
	answer := s.Login(authn.Grant{Token: "t.o.k", ExpiresIn: time.Hour, User: user, Created: true}, time.UnixMilli(5))
	if err := json.Unmarshal(answer.Body, &got); err != nil || got["token"] != "Bearer t.o.k" || got["who"] != "<"+user.Nickname+">" ||
		got["id"] != "7" || got["at"] != "3600005" || got["new"] != "true" {
		t.Errorf("got %v (%v), want the nickname as it is", got, err)
	}
}

func TestARouteTakesOverWhatItDoesNotSay(t *testing.T) {
	t.Parallel()
	base := Config{Preset: "errno", Codes: map[string]string{"default": "7"}}
	for _, c := range []struct {
		own  Config
		want string
	}{
		{Config{RefusalStatus: "own"}, `401 {"errno":7,"errmsg":"请先登录","data":null}`},
		{Config{Preset: "code_text"}, `401 {"code":"A0230","msg":"请先登录","data":null}`},
		{Config{Codes: map[string]string{"401": "-1"}}, `200 {"errno":-1,"errmsg":"请先登录","data":null}`},
		{Config{Refusal: `[{code}]`}, `200 [7]`},
	} {
		var got message.Response
		f := NewTable()[0]
		newShape(t, c.own.Over(base)).Refuse(&got, &Refusal{Failure: f, Message: f.Message})
		if text := fmt.Sprintf("%d %s", got.Status, got.Body); text != c.want {
			t.Errorf("%+v: got %s, want %s", c.own, text, c.want)
		}
	}
}

// TestOwnCodesStandBeforeThoseOfThePreset: an entry replaces one, and a default all but success.
func TestOwnCodesStandBeforeThoseOfThePreset(t *testing.T) {
	t.Parallel()
	rows := NewTable()
	byReason := func(reason string) Failure {
		for _, f := range rows {
			if f.Reason == reason {
				return f
			}
		}
		t.Fatalf("no row %s", reason)
		return Failure{}
	}
	for _, c := range []struct {
		cfg                                            Config
		success, missing, expired, denied, unavailable string
	}{
		{Config{Preset: "errno"}, "0", "501", "501", "506", "502"},
		{Config{Preset: "errno", Codes: map[string]string{"401": "401"}}, "0", "401", "401", "506", "502"},
		{Config{Preset: "errno", Codes: map[string]string{"token_expired": "7"}}, "0", "501", "7", "506", "502"},
		{Config{Preset: "errno", Codes: map[string]string{"success": "1"}}, "1", "501", "501", "506", "502"},
		{Config{Preset: "errno", Codes: map[string]string{"401": "401", "default": "1000"}}, "0", "401", "401", "1000", "1000"},
		{Config{Preset: "code_msg", Codes: map[string]string{"401": "-1"}}, "200", "-1", "-1", "403", "503"},
		{Config{Codes: map[string]string{"403": "5"}}.Over(Config{Preset: "errno", Codes: map[string]string{"token_expired": "7"}}), "0", "501", "7", "5", "502"},
		{Config{Codes: map[string]string{"default": "5"}}.Over(Config{Preset: "errno", Codes: map[string]string{"token_expired": "7"}}), "0", "5", "5", "5", "5"},
	} {
		s := newShape(t, c.cfg)
		v := s.newValues("", time.Now())
		got := []string{v.code}
		for _, reason := range []string{"token_missing", "token_expired", "ip_denied", "overloaded"} {
			got = append(got, s.codeOf(byReason(reason)))
		}
		if want := []string{c.success, c.missing, c.expired, c.denied, c.unavailable}; !slices.Equal(got, want) {
			t.Errorf("%+v: got %q, want %q", c.cfg, got, want)
		}
	}
}

func TestTemplatesAreJudgedAtLoad(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"code":{code},"x":{token}}`:   "{token} is none of the placeholders here",
		`{"code":{code}`:                "is not JSON, once its placeholders are filled in",
		`{"code":"{code},"msg":""}`:     "is not JSON, once its placeholders are filled in",
		`{code}{code}`:                  "is not JSON, once its placeholders are filled in",
		strings.Repeat(" ", 5000) + "1": "has 5001 bytes; 4096 are the most",
	} {
		if f := (Config{Refusal: text}).Validate(); len(f) != 1 || !strings.Contains(f[0].Error(), want) {
			t.Errorf("%.60s: got %v, want %s", text, f, want)
		}
	}
	for want, c := range map[string]Config{
		`preset: "envelop" is not one of envelope`:        {Preset: "envelop"},
		"success: has no {data}":                          {Success: `{"code":{code}}`},
		"login: has no {access_token}":                    {Login: `{"code":{code}}`},
		"refresh: {openid} is none of":                    {Refresh: `{"a":{access_token},"b":{openid}}`},
		"refusal: is not JSON":                            {Refusal: `{{code}:1}`},
		"success: {data} is a whole value":                {Success: `{"data":"{data}"}`},
		"refusal_status: \"302\" is neither 200":          {RefusalStatus: "302"},
		"codes.tokens: is neither a reason":               {Codes: map[string]string{"tokens": "1"}},
		"codes.200: is neither a reason":                  {Codes: map[string]string{"200": "1"}},
		"codes.default: is not a text of 1 to 32 visible": {Codes: map[string]string{"default": ""}},
	} {
		if f := c.Validate(); len(f) != 1 || !strings.Contains(f[0].Error(), want) {
			t.Errorf("got %v, want %s", f, want)
		}
	}
	if f := (Config{Login: `{"a":{access_token}}`}).ValidateRoute(); len(f) != 1 {
		t.Errorf("the login of a route: %v, want one fault", f)
	}
}

// BenchmarkRefuse is a refusal as a flood has it: the row of the table as it is.
func BenchmarkRefuse(b *testing.B) {
	s, f := newShape(b, DefaultConfig()), NewTable()[2]
	var resp message.Response
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		resp.Reset()
		s.Refuse(&resp, &Refusal{Failure: f, Message: f.Message, RequestID: "0123456789abcdef", Now: now})
	}
}

// TestWhatIsValidCanBeMade: a login is made of a success, and longer than any template may be.
func TestWhatIsValidCanBeMade(t *testing.T) {
	t.Parallel()
	for name, success := range map[string]string{
		"long":          `{"a":{data},"p":"` + strings.Repeat("x", 4000) + `"}`,
		"data all over": `[{data}` + strings.Repeat(`,{data}`, 580) + `]`,
		"the longest":   `{"a":{data},"p":"` + strings.Repeat("x", maxTemplateBytes-len(`{"a":{data},"p":""}`)) + `"}`,
	} {
		cfg := Config{Preset: presetErrno, Success: success}
		if faults := cfg.Validate(); len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
		}
		if _, err := NewShape(cfg, NewTable()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cfg.Success += strings.Repeat(" ", maxTemplateBytes)
		if faults := cfg.Validate(); len(faults) != 1 || faults[0].Path != "success" {
			t.Errorf("%s, too long: %v", name, faults)
		}
	}
}
