package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/authn/wechat/sandbox"
	"wxgate/gateway/limit"
	"wxgate/upstream/upstreamtest"
)

const (
	pathDecrypt = "/api/v1/auth/decrypt"
	pathPhone   = "/api/v1/auth/phone"
)

// withBlocks is sealed data behind two blocks of the attacker's own making, as the oracle's questions were.
func withBlocks(t *testing.T, genuine sandbox.OpenData) map[string]any {
	t.Helper()
	own := make([]byte, 48)
	_, _ = rand.Read(own)
	data, err := base64.StdEncoding.DecodeString(genuine.EncryptedData)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"encryptedData": base64.StdEncoding.EncodeToString(append(own[16:], data...)),
		"iv":            base64.StdEncoding.EncodeToString(own[:16]),
	}
}

func (e *edge) sealed(t *testing.T, person, kind string) sandbox.OpenData {
	t.Helper()
	sealed, err := e.weChat.EncryptData(person, e.weChat.Object(kind, person))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestWhoTriesOutCiphertextsIsStoppedAfterTen(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), func(cfg *Config) { cfg.PhoneByDecryption = true })
	mallory, alice := e.token(t, "mallory"), e.token(t, "alice")
	genuine := e.sealed(t, "mallory", "werun")
	good := map[string]any{"encryptedData": genuine.EncryptedData, "iv": genuine.IV}
	for i := range 10 {
		path := pathDecrypt
		if i < 3 { // the endpoints share one count, and phone bears three
			path = pathPhone
		}
		if status, answer := e.post(t, path, mallory, withBlocks(t, genuine)); status != http.StatusConflict || answer["reason"] != "session_key_stale" {
			t.Fatalf("question %d at %s: %d %v, want 409", i+1, path, status, answer)
		}
		if status, answer := e.post(t, pathDecrypt, mallory, good); i < 9 && status != http.StatusOK {
			t.Fatalf("good data after question %d: %d %v, want 200: they cost nothing", i+1, status, answer)
		}
	}
	for name, body := range map[string]map[string]any{"one more question": withBlocks(t, genuine), "good data now": good} {
		if status, answer := e.post(t, pathDecrypt, mallory, body); status != http.StatusTooManyRequests || answer["reason"] != "rate_limited" {
			t.Errorf("%s: %d %v, want 429 rate_limited", name, status, answer)
		}
	}
	of := e.sealed(t, "alice", "werun")
	if status, answer := e.post(t, pathDecrypt, alice, map[string]any{"encryptedData": of.EncryptedData, "iv": of.IV}); status != http.StatusOK {
		t.Errorf("alice meanwhile: %d %v, want 200", status, answer)
	}
	if n := e.count(t, "wxgate_rate_limited_total", `route="`+pathDecrypt+`"`); n != 3 {
		t.Errorf("counted %v refusals, want 3", n)
	}
}

func TestCiphertextsTriedOutAtTheSameTimeAreCountedToo(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	mallory := e.token(t, "mallory")
	genuine := e.sealed(t, "mallory", "werun")
	var looked atomic.Int32
	var all sync.WaitGroup
	for range 60 {
		question := withBlocks(t, genuine)
		all.Go(func() {
			if status, _ := e.post(t, pathDecrypt, mallory, question); status != http.StatusTooManyRequests {
				looked.Add(1)
			}
		})
	}
	all.Wait()
	if n := looked.Load(); n > 10 {
		t.Errorf("%d of 60 questions asked at once were answered, want 10 at most", n)
	}
}

func TestNoAnswerTellsWhyDataDidNotOpen(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), func(cfg *Config) {
		cfg.PhoneByDecryption = true
		cfg.Limits.DecryptFailures.Burst = 100
	})
	alice := e.token(t, "alice")
	seal := func(object map[string]any) map[string]any {
		sealed, err := e.weChat.EncryptData("alice", object)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"encryptedData": sealed.EncryptedData, "iv": sealed.IV}
	}
	phone := e.weChat.Object("phone", "alice")
	phone["purePhoneNumber"] = "13911112222"
	signed := seal(e.weChat.Object("userinfo", "alice"))
	signed["rawData"], signed["signature"] = "{}", strings.Repeat("0", 40)
	padding := seal(map[string]any{"a": 1})
	padding["encryptedData"] = base64.StdEncoding.EncodeToString(make([]byte, 64))
	answers := map[string]bool{}
	for _, c := range []struct {
		path string
		body map[string]any
	}{
		{pathDecrypt, padding},
		{pathDecrypt, withBlocks(t, e.sealed(t, "alice", "werun"))},
		{pathDecrypt, seal(map[string]any{"openId": "oOther"})},
		{pathDecrypt, signed},
		{pathPhone, seal(phone)},
		{pathPhone, seal(map[string]any{"a": 1})},
	} {
		status, answer := e.post(t, c.path, alice, c.body)
		answers[fmt.Sprint(status, answer["reason"], answer["message"])] = true
	}
	if len(answers) != 1 {
		t.Errorf("got %v, want one answer for all", answers)
	}
}

func TestAForgedPhoneNumberIsNotTakenFromDecryptedData(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	alice := e.token(t, "alice")
	forged, err := e.weChat.EncryptData("alice", map[string]any{"phoneNumber": "13911112222", "purePhoneNumber": "13911112222", "countryCode": "86"})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 { // nothing is asked of WeChat, so nothing is counted
		status, answer := e.post(t, pathPhone, alice, map[string]any{"encryptedData": forged.EncryptedData, "iv": forged.IV})
		if status != http.StatusConflict || answer["reason"] != "phone_code_required" {
			t.Fatalf("got %d %v, want 409 phone_code_required", status, answer)
		}
	}
	if phone, err := e.deps.Authn.OpenData.PhoneOf(t.Context(), 1); err == nil {
		t.Errorf("stored is %+v, want nothing", phone)
	}
	if status, answer := e.post(t, pathPhone, alice, map[string]any{"code": e.weChat.IssuePhoneCode("alice"), "encryptedData": forged.EncryptedData, "iv": forged.IV}); status != http.StatusOK {
		t.Errorf("with the code beside the data: %d %v, want 200", status, answer)
	}
	if phone, err := e.deps.Authn.OpenData.PhoneOf(t.Context(), 1); err != nil || phone.Number != sandbox.PhoneNumber("alice") {
		t.Errorf("stored is %+v, %v, want the number of the code", phone, err)
	}
}

func TestASpentPhoneCodeIs409(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	alice, code := e.token(t, "alice"), e.weChat.IssuePhoneCode("alice")
	if status, answer := e.post(t, pathPhone, alice, map[string]any{"code": code}); status != http.StatusOK {
		t.Fatalf("the first time: %d %v", status, answer)
	}
	status, answer := e.post(t, pathPhone, alice, map[string]any{"code": code})
	if status != http.StatusConflict || answer["reason"] != "phone_code_invalid" || answer["message"] != "请重新点击按钮获取手机号" {
		t.Errorf("the second time: %d %v, want 409 phone_code_invalid", status, answer)
	}
}

func TestThePhoneCodeOfAnotherUserBindsNoNumber(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	mallory, alice := e.token(t, "mallory"), e.token(t, "alice")
	code := e.weChat.IssuePhoneCode("alice")
	if status, answer := e.post(t, pathPhone, mallory, map[string]any{"code": code}); status != http.StatusBadRequest || answer["reason"] != "invalid_request" {
		t.Errorf("alice's code sent by mallory: %d %v, want 400", status, answer)
	}
	if phone, err := e.deps.Authn.OpenData.PhoneOf(t.Context(), 1); err == nil {
		t.Errorf("mallory's number is %+v, want none", phone)
	}
	if status, answer := e.post(t, pathPhone, alice, map[string]any{"code": code}); status != http.StatusOK {
		t.Errorf("alice's code sent by alice: %d %v, want 200", status, answer)
	}
}

func TestAnErrcodeMeansWhatTheAPIThatGaveItSays(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), func(cfg *Config) {
		cfg.Limits.Login = limit.BucketConfig{Per: limit.PerIP, Rate: limit.Rate{Count: 1000, Per: time.Second}, Burst: 1000}
	})
	for code, want := range map[string]struct {
		login, phone string
	}{
		"err-40029": {"401 wx_code_invalid", "409 phone_code_invalid"},
		"err-40003": {"502 wx_bad_response", "400 invalid_request"},
		"err-48001": {"500 wx_misconfigured", "500 wx_misconfigured"},
		"err-40164": {"500 wx_misconfigured", "500 wx_misconfigured"},
		"err-40013": {"500 wx_misconfigured", "500 wx_misconfigured"},
		"err-45011": {"429 wx_rate_limited", "429 wx_rate_limited"},
		"err-45009": {"503 wx_busy", "503 wx_busy"},
		"err--1":    {"503 wx_busy", "503 wx_busy"},
		"err-12345": {"502 wx_bad_response", "502 wx_bad_response"},
	} {
		status, answer := e.post(t, "/api/v1/auth/wx-login", "", map[string]any{"code": code})
		if got := fmt.Sprint(status, " ", answer["reason"]); got != want.login {
			t.Errorf("%s of jscode2session: got %s, want %s", code, got, want.login)
		}
		status, answer = e.post(t, pathPhone, e.token(t, code), map[string]any{"code": code})
		if got := fmt.Sprint(status, " ", answer["reason"]); got != want.phone {
			t.Errorf("%s of getuserphonenumber: got %s, want %s", code, got, want.phone)
		}
		if message := fmt.Sprint(answer["message"]); strings.Contains(message, "登录") {
			t.Errorf("%s of getuserphonenumber says %q: it is no login", code, message)
		}
	}
}

func TestACodeThatWasNeverAnsweredSaysSoWhenItComesAgain(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Refused(t), nil)
	code := e.weChat.IssueCode("alice")
	if err := e.weChat.Fail(sandbox.Failure{API: "jscode2session", Kinds: []string{"reset"}, Count: 1}); err != nil {
		t.Fatal(err)
	}
	for i, words := range []string{"微信服务响应异常", "未得到答复"} {
		status, answer := e.post(t, "/api/v1/auth/wx-login", "", map[string]any{"code": code})
		if status != http.StatusBadGateway || !strings.Contains(fmt.Sprint(answer["message"]), words) {
			t.Errorf("time %d: %d %v, want 502 with %s", i+1, status, answer, words)
		}
	}
}
