package wechat

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const phoneMark = `"watermark":{"timestamp":1,"appid":"wx1"}`

// phoneOf reads an answer of getuserphonenumber.
func phoneOf(body []byte) (Phone, error) {
	members, err := parseAnswer("getuserphonenumber", body, nil)
	if err != nil {
		return Phone{}, err
	}
	return parsePhone(members, "wx1")
}

func TestTheCountryCodeIsAStringOrANumber(t *testing.T) {
	t.Parallel()
	for _, countryCode := range []string{`"86"`, `86`, `"+86"`} {
		body := `{"errcode":0,"errmsg":"ok","phone_info":{"phoneNumber":"+86135-8000","purePhoneNumber":"1358000","countryCode":` + countryCode + `,` + phoneMark + `}}`
		got, err := phoneOf([]byte(body))
		want := Phone{Number: "+86135-8000", PureNumber: "1358000", CountryCode: strings.Trim(countryCode, `"`)}
		if err != nil || got != want {
			t.Errorf("%s: got %q, %q, %q and %v, want %q", body, got.Number, got.PureNumber, got.CountryCode, err, want.CountryCode)
		}
	}
}

func TestABadPhoneAnswerIsNoPhone(t *testing.T) {
	t.Parallel()
	good := `"phoneNumber":"135","purePhoneNumber":"135","countryCode":"86"`
	for _, body := range []string{
		`{}`, `{"phone_info":null}`, `{"phone_info":[]}`, `{"phone_info":"x"}`, `{"phone_info":{}}`,
		`{"phone_info":{` + good + `}}`,
		`{"phone_info":{` + good + `,"watermark":{"appid":"wx2"}}}`,
		`{"phone_info":{` + good + `,"watermark":{"appid":null}}}`,
		`{"phone_info":{` + good + `,` + phoneMark + `,"phoneNumber":"136"}}`,
		`{"phone_info":{"purePhoneNumber":"135","countryCode":"86",` + phoneMark + `}}`,
		`{"phone_info":{"phoneNumber":"","purePhoneNumber":"135","countryCode":"86",` + phoneMark + `}}`,
		`{"phone_info":{"phoneNumber":"<b>","purePhoneNumber":"135","countryCode":"86",` + phoneMark + `}}`,
		`{"phone_info":{"phoneNumber":"135\n","purePhoneNumber":"135","countryCode":"86",` + phoneMark + `}}`,
		`{"phone_info":{"phoneNumber":"` + strings.Repeat("1", 33) + `","purePhoneNumber":"135","countryCode":"86",` + phoneMark + `}}`,
		`{"phone_info":{"phoneNumber":"135","purePhoneNumber":"135","countryCode":8.6,` + phoneMark + `}}`,
		`{"phone_info":{"phoneNumber":"135","purePhoneNumber":"135","countryCode":null,` + phoneMark + `}}`,
		`{"phone_info":{"phoneNumber":{"a":1},"purePhoneNumber":"135","countryCode":"86",` + phoneMark + `}}`,
	} {
		if got, err := phoneOf([]byte(body)); !errors.Is(err, ErrBadResponse) || got != (Phone{}) {
			t.Errorf("%s: got %q and %v, want nothing and ErrBadResponse", body, got.Number, err)
		}
	}
}

func TestATokenAnswerIsReadStrictly(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		body string
		life time.Duration // 0 is ErrBadResponse
	}{
		{`{"access_token":"abc","expires_in":7200}`, 2 * time.Hour},
		{`{"access_token":"abc","expires_in":300,"errcode":0}`, 5 * time.Minute},
		{`{"access_token":"abc","expires_in":99999999}`, 2 * time.Hour},
		{`{"access_token":"` + strings.Repeat("x", 2048) + `","expires_in":1}`, time.Second},
		{`{"access_token":"` + strings.Repeat("x", 2049) + `","expires_in":1}`, 0},
		{`{"access_token":"","expires_in":7200}`, 0},
		{`{"access_token":"a b","expires_in":7200}`, 0},
		{`{"access_token":"a\r\nb","expires_in":7200}`, 0},
		{`{"access_token":7,"expires_in":7200}`, 0},
		{`{"expires_in":7200}`, 0},
		{`{"access_token":"abc"}`, 0},
		{`{"access_token":"abc","expires_in":0}`, 0},
		{`{"access_token":"abc","expires_in":-1}`, 0},
		{`{"access_token":"abc","expires_in":1.5}`, 0},
		{`{"access_token":"abc","expires_in":"7200"}`, 0},
		{`{"access_token":"abc","expires_in":99999999999999999999}`, 0},
		{`{"access_token":"abc","access_token":"def","expires_in":7200}`, 0},
		{`{"errcode":0}`, 0},
		{``, 0},
		{`[]`, 0},
	} {
		value, life, err := parseToken([]byte(row.body))
		if life != row.life || (row.life == 0) != errors.Is(err, ErrBadResponse) || (row.life == 0) != (value == "") {
			t.Errorf("parseToken(%.60s): got %s and %v, want %s", row.body, life, err, row.life)
		}
	}
}

func FuzzTokenAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"abc","expires_in":7200}`, `{"errcode":40001,"errmsg":"invalid credential, rid: 1-2-3"}`, `{"access_token":"a","expires_in":"1"}`, "\uFEFF{}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		value, life, err := parseToken(body)
		good := value != "" && len(value) <= maxToken && visibleASCII(value.Reveal()) && life > 0 && life <= maxTokenLife
		if (err == nil) != good {
			t.Errorf("parseToken(%q): got %q, %s and %v, want a token or an error", body, value.Reveal(), life, err)
		}
		oneOfOurs(t, body, err)
	})
}

func FuzzPhoneAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"errcode":0,"phone_info":{"phoneNumber":"135","purePhoneNumber":"135","countryCode":86,` + phoneMark + `}}`,
		`{"errcode":40029}`, `{"phone_info":{` + phoneMark + `}}`, `{"phone_info":[]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		phone, err := phoneOf(body)
		if err == nil {
			for _, part := range []string{phone.Number, phone.PureNumber, phone.CountryCode} {
				if part == "" || len(part) > maxPhone || strings.Trim(part, "0123456789+-") != "" {
					t.Errorf("phoneOf(%q): got %q, want digits", body, part)
				}
			}
		}
		oneOfOurs(t, body, err)
	})
}

func FuzzCallAnswer(f *testing.F) {
	for _, seed := range []struct{ contentType, body string }{
		{"application/json", `{"errcode":40001}`}, {"image/jpeg", "\xff\xd8"}, {"text/html", "<html>"}, {"text/plain; charset=utf-8", `{"a":[{"b":1}]}`}, {";", "{"},
	} {
		f.Add(seed.contentType, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		code, err := answerCode(Answer{ContentType: contentType, Body: body})
		if err != nil && code != 0 {
			t.Errorf("answerCode(%q, %q): got %d and %v, want one of the two", contentType, body, code, err)
		}
		oneOfOurs(t, body, err)
	})
}

func FuzzSessionAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"errcode":0,"errmsg":"ok","openid":"oA","session_key":"AAAAAAAAAAAAAAAAAAAAAA=="}`, `{"errcode":87009}`, `{"openid":"oA"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		members, err := parseAnswer("resetusersessionkey", body, nil)
		if err == nil {
			_, err = sessionFrom(members)
		}
		oneOfOurs(t, body, err)
	})
}

// oneOfOurs wants an *Error or ErrBadResponse, in one line.
func oneOfOurs(t *testing.T, body []byte, err error) {
	t.Helper()
	var answer *Error
	if err != nil && (!errors.As(err, &answer) && !errors.Is(err, ErrBadResponse) || strings.ContainsAny(err.Error(), "\r\n\x00")) {
		t.Errorf("answer %q: got %v, want an *Error or ErrBadResponse in one line", body, err)
	}
}
