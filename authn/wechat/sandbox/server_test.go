package sandbox_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image/png"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
)

// reply is what the APIs with a token send.
type reply struct {
	Errcode    int    `json:"errcode"`
	Errmsg     string `json:"errmsg"`
	Token      string `json:"access_token"`
	ExpiresIn  int    `json:"expires_in"`
	OpenID     string `json:"openid"`
	SessionKey string `json:"session_key"`
	Valid      bool   `json:"vaild"`
	Phone      struct {
		Number    string `json:"phoneNumber"`
		Watermark struct {
			AppID string `json:"appid"`
		} `json:"watermark"`
	} `json:"phone_info"`
}

// server calls path and reads the reply.
func server(t *testing.T, s *sandbox.Sandbox, method, path, body string) reply {
	t.Helper()
	_, _, text := call(t, method, s.URL()+path, body)
	var r reply
	if err := json.Unmarshal(text, &r); err != nil {
		t.Errorf("%s %s: got %s, want JSON", method, path, text)
	}
	return r
}

func stable(t *testing.T, s *sandbox.Sandbox, force bool) reply {
	t.Helper()
	body := fmt.Sprintf(`{"grant_type":"client_credential","appid":%q,"secret":%q,"force_refresh":%t}`, appID, appSecret, force)
	return server(t, s, http.MethodPost, "/cgi-bin/stable_token", body)
}

func newClock() *clock { return &clock{now: time.Unix(1_800_000_000, 0)} }

func TestAStableTokenStaysUntilFiveMinutesBeforeItsEnd(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := start(t, now.Now)
	first := stable(t, s, false)
	now.add(time.Hour)
	second := stable(t, s, false)
	if first.Token == "" || first.ExpiresIn != 7200 || second.Token != first.Token || second.ExpiresIn != 3600 {
		t.Errorf("tokens: got %d s and then %d s, equal %t, want 7200, 3600, equal", first.ExpiresIn, second.ExpiresIn, first.Token == second.Token)
	}
	now.add(55 * time.Minute)
	third := stable(t, s, false)
	if third.Token == first.Token || third.ExpiresIn != 7200 {
		t.Errorf("five minutes early: got the same %t and %d s, want another of 7200", third.Token == first.Token, third.ExpiresIn)
	}
	echo := "/wxa/anything?access_token="
	if a, b := server(t, s, "POST", echo+first.Token, "{}"), server(t, s, "POST", echo+third.Token, "{}"); a.Errcode != 0 || b.Errcode != 0 {
		t.Errorf("within the overlap: got %d and %d, want both good", a.Errcode, b.Errcode)
	}
	now.add(5 * time.Minute)
	if got := server(t, s, "POST", echo+first.Token, "{}"); got.Errcode != 42001 {
		t.Errorf("after its end: got %d, want 42001", got.Errcode)
	}
}

func TestAForcedRefreshKillsTheTokenAtMostEvery30SecondsAnd20TimesADay(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := start(t, now.Now)
	first := stable(t, s, false)
	second := stable(t, s, true)
	if third := stable(t, s, true); second.Token == first.Token || third.Token != second.Token {
		t.Error("forced twice at once: got no new token or two, want one")
	}
	if got := server(t, s, "POST", "/cgi-bin/anything?access_token="+first.Token, "{}"); got.Errcode != 40001 {
		t.Errorf("the killed token: got %d, want 40001", got.Errcode)
	}
	for i := range 19 {
		now.add(30 * time.Second)
		if got := stable(t, s, true); got.Errcode != 0 {
			t.Fatalf("forced refresh %d: got %d, want 0", i+2, got.Errcode)
		}
	}
	now.add(30 * time.Second)
	if got := stable(t, s, true); got.Errcode != 45009 {
		t.Errorf("forced refresh 21: got %d, want 45009", got.Errcode)
	}
	now.add(24 * time.Hour)
	if got := stable(t, s, true); got.Errcode != 0 {
		t.Errorf("the next day: got %d, want 0", got.Errcode)
	}
}

func TestAStableTokenWantsItsParameters(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	for body, want := range map[string]int{
		`x`: 47001,
		`{"grant_type":"x","appid":"` + appID + `","secret":"` + appSecret + `"}`:              40002,
		`{"grant_type":"client_credential","secret":"` + appSecret + `"}`:                      41002,
		`{"grant_type":"client_credential","appid":"` + appID + `"}`:                           41004,
		`{"grant_type":"client_credential","appid":"wx0","secret":"` + appSecret + `"}`:        40013,
		`{"grant_type":"client_credential","appid":"` + appID + `","secret":"another secret"}`: 40125,
	} {
		if got := server(t, s, "POST", "/cgi-bin/stable_token", body); got.Errcode != want || got.Token != "" {
			t.Errorf("stable_token with %s: got %d, want %d", body, got.Errcode, want)
		}
	}
}

func TestEveryOtherAPIWantsAGoodToken(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	stable(t, s, false)
	for _, path := range []string{"/wxa/business/getuserphonenumber", "/wxa/business/checkencryptedmsg", "/wxa/getwxacode", "/wxa/x", "/cgi-bin/message/subscribe/send"} {
		if got := server(t, s, "POST", path, `{"code":"demo-alice"}`); got.Errcode != 41001 {
			t.Errorf("%s without a token: got %d, want 41001", path, got.Errcode)
		}
		if got := server(t, s, "POST", path+"?access_token=wrong", `{"code":"demo-alice"}`); got.Errcode != 40001 {
			t.Errorf("%s with a wrong token: got %d, want 40001", path, got.Errcode)
		}
	}
}

func TestAPictureIsAPNG(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	_, header, body := call(t, "POST", s.URL()+"/wxa/getwxacode?access_token="+stable(t, s, false).Token, `{"path":"a"}`)
	if _, err := png.Decode(bytes.NewReader(body)); err != nil || header.Get("Content-Type") != "image/png" {
		t.Errorf("getwxacode: got %s and %v, want image/png", header.Get("Content-Type"), err)
	}
}

func TestACodeIsAPictureOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	token := stable(t, s, false).Token
	for body, errcode := range map[string]int{
		`{"scene":"id=7&from=a~b"}`: 0, `{"scene":"a","page":"pages/index","width":280}`: 0,
		`{}`: 40129, `{"scene":"汤"}`: 40129, `{"scene":"` + strings.Repeat("a", 33) + `"}`: 40129, `{"scene":"a b"}`: 40129,
		`{"scene":"a","page":"/pages/index"}`: 41030, `{"scene":"a","page":"pages/index?a=1"}`: 41030, `{"scene":"a","width":279}`: 40097, `x`: 47001,
	} {
		_, header, text := call(t, "POST", s.URL()+"/wxa/getwxacodeunlimit?access_token="+token, body)
		var said reply
		if err := json.Unmarshal(text, &said); (err == nil) != (errcode != 0) || said.Errcode != errcode || (errcode == 0) != (header.Get("Content-Type") == "image/png") {
			t.Errorf("%s: got %s %.30q, want errcode %d", body, header.Get("Content-Type"), text, errcode)
		}
	}
}

func TestTemplatesAreAskedForByTheirMethod(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	token := stable(t, s, false).Token
	for request, errcode := range map[string]int{
		"GET gettemplate": 0, "GET getcategory": 0, "GET getpubtemplatetitles": 0, "POST addtemplate": 0, "POST deltemplate": 0,
		"POST gettemplate": 43001, "POST getcategory": 43001, "GET addtemplate": 43002,
	} {
		method, name, _ := strings.Cut(request, " ")
		if got := server(t, s, method, "/wxaapi/newtmpl/"+name+"?access_token="+token, ""); got.Errcode != errcode {
			t.Errorf("%s: got %d, want %d", request, got.Errcode, errcode)
		}
	}
}

func TestAnUploadIsOnePartThatIsCalledMedia(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	address := s.URL() + "/cgi-bin/media/upload?access_token=" + stable(t, s, false).Token
	for _, c := range []struct {
		kind, part, content string
		errcode             int
	}{
		{"image", "media", "soup", 0},
		{"film", "media", "soup", 40004},
		{"image", "file", "soup", 41005},
		{"image", "media", "", 44001},
		{"image", "media", strings.Repeat("x", 10<<20+1), 45001},
	} {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		part, _ := form.CreateFormFile(c.part, "soup.jpg")
		_, _ = part.Write([]byte(c.content))
		_ = form.Close()
		response, err := (&http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Post(address+"&type="+c.kind, form.FormDataContentType(), &body)
		if err != nil {
			t.Fatal(err)
		}
		var said reply
		err = json.NewDecoder(response.Body).Decode(&said)
		if _ = response.Body.Close(); err != nil || said.Errcode != c.errcode {
			t.Errorf("%s of %d bytes as %s: got %d, %v, want %d", c.part, len(c.content), c.kind, said.Errcode, err, c.errcode)
		}
	}
	if got := server(t, s, "POST", strings.TrimPrefix(address, s.URL())+"&type=image", "{}"); got.Errcode != 41005 {
		t.Errorf("JSON: got %d, want 41005", got.Errcode)
	}
}

func TestAPhoneCodeOfEachFormIsUnderstood(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := start(t, now.Now)
	path := "/wxa/business/getuserphonenumber?access_token=" + stable(t, s, false).Token
	issued, login := s.IssuePhoneCode("alice"), s.IssueCode("alice")
	dead := s.IssuePhoneCode("alice")
	for _, row := range []struct {
		code string
		want int
	}{
		{issued, 0},
		{issued, 40029},
		{login, 40029},
		{"demo-alice", 0},
		{"demo-alice", 0},
		{"demo-alice-1", 0},
		{"demo-alice-1", 40029},
		{"err-45011", 45011},
		{"slow-1ms-alice", 0},
		{"broken-html-alice", 40029},
		{"", 40029},
		{"unheard", 40029},
	} {
		got := server(t, s, "POST", path, `{"code":"`+row.code+`"}`)
		if got.Errcode != row.want || (row.want == 0 && (got.Phone.Number != sandbox.PhoneNumber("alice") || got.Phone.Watermark.AppID != appID)) {
			t.Errorf("phone code %s: got %+v, want %d", row.code, got, row.want)
		}
	}
	now.add(sandbox.CodeTTL)
	if got := server(t, s, "POST", path, `{"code":"`+dead+`"}`); got.Errcode != 40029 {
		t.Errorf("phone code after five minutes: got %d, want 40029", got.Errcode)
	}
	if got := server(t, s, "POST", path, `x`); got.Errcode != 47001 {
		t.Errorf("no JSON: got %d, want 47001", got.Errcode)
	}
	if a, b := sandbox.PhoneNumber("alice"), sandbox.PhoneNumber("bob"); a == b || len(a) != 11 {
		t.Errorf("numbers of alice and bob: got %s and %s, want two of 11 digits", a, b)
	}
}

func TestASessionIsCheckedAndReset(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	token := stable(t, s, false).Token
	a := login(t, s, "demo-alice")
	query := func(openid, key string) string {
		return "?" + url.Values{"access_token": {token}, "openid": {openid}, "sig_method": {"hmac_sha256"}, "signature": {wechat.HMACSignature("", key)}}.Encode()
	}
	for _, row := range []struct {
		openid, key string
		want        int
	}{{a.OpenID, a.SessionKey, 0}, {a.OpenID, "x", 87009}, {"oNobody", a.SessionKey, 40003}} {
		if got := server(t, s, "GET", "/wxa/checksession"+query(row.openid, row.key), ""); got.Errcode != row.want {
			t.Errorf("checksession(%s, %s): got %d, want %d", row.openid, row.key, got.Errcode, row.want)
		}
	}
	fresh := server(t, s, "GET", "/wxa/resetusersessionkey"+query(a.OpenID, a.SessionKey), "")
	if fresh.Errcode != 0 || fresh.OpenID != a.OpenID || fresh.SessionKey == a.SessionKey {
		t.Errorf("reset: got %+v, want another key", fresh)
	}
	if old := server(t, s, "GET", "/wxa/resetusersessionkey"+query(a.OpenID, a.SessionKey), ""); old.Errcode != 87009 {
		t.Errorf("reset with the dead key: got %d, want 87009", old.Errcode)
	}
	if got := server(t, s, "GET", "/wxa/checksession"+query(a.OpenID, fresh.SessionKey), ""); got.Errcode != 0 {
		t.Errorf("checksession of the new key: got %d, want 0", got.Errcode)
	}
}

func TestEncryptedDataOpensWithTheKeyOfTheLastLoginOnly(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	if _, err := s.EncryptData("alice", s.Object("phone", "alice")); err == nil {
		t.Error("EncryptData before a login: got no error, want one")
	}
	old := login(t, s, "demo-alice")
	last := login(t, s, "demo-alice")
	for kind, member := range map[string]string{"phone": "purePhoneNumber", "werun": "stepInfoList", "share": "openGId", "userinfo": "openId"} {
		data, err := s.EncryptData("alice", s.Object(kind, "alice"))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := wechat.Decrypt(last.SessionKey, data.IV, data.EncryptedData, appID)
		if err != nil || !strings.Contains(string(plain), `"`+member+`"`) {
			t.Errorf("%s: got %s and %v, want %s in it", kind, plain, err, member)
		}
		if _, err := wechat.Decrypt(old.SessionKey, data.IV, data.EncryptedData, appID); err == nil {
			t.Errorf("%s with the key of an older login: got no error, want one", kind)
		}
		if !wechat.ValidSignature(data.RawData, last.SessionKey, data.Signature) || strings.Contains(data.RawData, "openId") || strings.Contains(data.RawData, "watermark") {
			t.Errorf("%s: rawData got %s, want it signed, without openId and watermark", kind, data.RawData)
		}
	}
	if s.Object("unheard", "alice") != nil {
		t.Error("an object of no kind: got one, want nil")
	}
	if _, err := s.EncryptData("alice", nil); err != nil {
		t.Errorf("EncryptData of nothing: got %v, want the watermark alone", err)
	}
}

func TestCheckEncryptedKnowsThePhoneDataOfThreeDays(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := start(t, now.Now)
	login(t, s, "demo-alice")
	hash := func(kind string) string {
		data, err := s.EncryptData("alice", s.Object(kind, "alice"))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(data.EncryptedData))
		return hex.EncodeToString(sum[:])
	}
	check := func(sum string) reply {
		return server(t, s, "POST", "/wxa/business/checkencryptedmsg?access_token="+stable(t, s, false).Token, `{"encrypted_msg_hash":"`+sum+`"}`)
	}
	phone := hash("phone")
	if got := check(phone); got.Errcode != 0 || !got.Valid {
		t.Errorf("phone data: got %+v, want it valid", got)
	}
	if got := check(hash("share")); got.Errcode != 1 || got.Valid {
		t.Errorf("other data: got %+v, want errcode 1", got)
	}
	if got := check("short"); got.Errcode != 40097 {
		t.Errorf("no hash: got %d, want 40097", got.Errcode)
	}
	now.add(3*24*time.Hour + time.Second)
	if got := check(phone); got.Errcode != 1 {
		t.Errorf("after three days: got %d, want 1", got.Errcode)
	}
}

func TestAPersonLogsIn100TimesAMinute(t *testing.T) {
	t.Parallel()
	now := newClock()
	s := start(t, now.Now)
	for i := range 100 {
		if got := login(t, s, "demo-alice"); got.Errcode != nil {
			t.Fatalf("login %d: got %+v, want a session", i+1, got)
		}
	}
	code := s.IssueCode("alice")
	if got := login(t, s, code); got.code() != "45011" {
		t.Errorf("login 101: got %+v, want 45011", got)
	}
	if got := login(t, s, "demo-bob"); got.Errcode != nil {
		t.Errorf("somebody else: got %+v, want a session", got)
	}
	now.add(time.Minute)
	if got := login(t, s, code); got.Errcode != nil {
		t.Errorf("the same code a minute later: got %+v, want a session", got)
	}
}

func TestTheWayToThePushIsLookedAtWhereThereIsOne(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	check := func(s *sandbox.Sandbox, body string) int {
		return server(t, s, http.MethodPost, "/cgi-bin/callback/check?access_token="+stable(t, s, false).Token, body).Errcode
	}
	if got := check(s, `{"action":"all","check_operator":"DEFAULT"}`); got != wechat.ErrCodeNoPushURL {
		t.Errorf("without a URL: got %d, want %d", got, wechat.ErrCodeNoPushURL)
	}
	pushing, err := sandbox.New(sandbox.Config{AppID: appID, Secret: appSecret, PushToken: "token"})
	if err == nil {
		err = pushing.Start("127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pushing.Close() })
	for body, want := range map[string]int{
		`{"action":"all","check_operator":"DEFAULT"}`: 0, `{"action":"dns","check_operator":"CAP"}`: 0,
		`{"action":"trace","check_operator":"DEFAULT"}`: 40202, `{"action":"ping","check_operator":"NONE"}`: 40203, `[`: wechat.ErrCodeMalformedBody,
	} {
		if got := check(pushing, body); got != want {
			t.Errorf("%s: got %d, want %d", body, got, want)
		}
	}
}
