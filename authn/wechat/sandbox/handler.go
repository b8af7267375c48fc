package sandbox

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"wxgate/authn/wechat"
)

const (
	// maxBody bounds the body of POST /sandbox/code, in bytes.
	maxBody = 4 << 10
	// maxPerson bounds the name in it, in bytes.
	maxPerson = 64
)

// Handler serves GET /sns/jscode2session as WeChat does, and POST /sandbox/code {"person":"alice"} → {"code":"…"} of our
// own. It checks no addresses: who mounts it elsewhere than Start keeps it off the network.
func (s *Sandbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sns/jscode2session", s.code2Session)
	mux.HandleFunc("POST /sandbox/code", s.issueCode)
	return mux
}

// code2Session is the page "code2Session".
func (s *Sandbox) code2Session(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	code := query.Get("js_code")
	s.codes.count(code)
	if errcode := s.parameterFault(query); errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	script := parseScript(code)
	person, errcode := s.decide(code, script)
	if !s.wait(r, script.delay) {
		return
	}
	switch {
	case errcode != wechat.CodeOK:
		writeError(w, errcode, script.asString)
	case script.broken != "":
		breakAnswer(w, script.broken, s.session(person))
	default:
		write(w, s.session(person))
	}
}

// parameterFault returns the errcode for a missing or wrong parameter.
func (s *Sandbox) parameterFault(query url.Values) int {
	switch {
	case query.Get("appid") == "":
		return wechat.ErrCodeMissingAppID
	case query.Get("secret") == "":
		return wechat.ErrCodeMissingSecret
	case query.Get("js_code") == "":
		return wechat.ErrCodeMissingCode
	case query.Get("grant_type") != "authorization_code":
		return wechat.ErrCodeInvalidGrantType
	case query.Get("appid") != s.cfg.AppID:
		return wechat.ErrCodeInvalidAppID
	case subtle.ConstantTimeCompare([]byte(query.Get("secret")), []byte(s.cfg.Secret.Reveal())) != 1:
		return wechat.ErrCodeInvalidSecret
	}
	return wechat.CodeOK
}

// decide spends the code and returns whose login it is, or the errcode. A code is spent when it arrives, not when it is
// answered: a lost answer is a lost code, as with WeChat.
func (s *Sandbox) decide(code string, script script) (person string, errcode int) {
	if script.errcode != wechat.CodeOK {
		return "", script.errcode
	}
	if script.reusable {
		return script.person, wechat.CodeOK
	}
	person, verdict := s.codes.spend(code, script.person)
	switch verdict {
	case used:
		return "", wechat.ErrCodeCodeUsed
	case unknown:
		return "", wechat.ErrCodeInvalidCode
	}
	return person, wechat.CodeOK
}

// wait reports false when the client or the sandbox went away first.
func (s *Sandbox) wait(r *http.Request, delay time.Duration) bool {
	if delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	case <-s.closed:
		return false
	}
}

// session is the answer to a login. As with WeChat, a success has no errcode.
func (s *Sandbox) session(person string) map[string]any {
	answer := map[string]any{"session_key": newSessionKey(), "openid": openID(s.cfg.AppID, person)}
	if s.cfg.OpenPlatform {
		answer["unionid"] = unionID(person)
	}
	return answer
}

// issueCode is wx.login for curl.
func (s *Sandbox) issueCode(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Person string `json:"person"`
	}
	err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&body)
	if err != nil || body.Person == "" || len(body.Person) > maxPerson {
		http.Error(w, `want {"person":"alice"}, a name of 1 to 64 bytes`, http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"code": s.IssueCode(body.Person)})
}

// writeError answers an errcode with a text like WeChat's, in a 200.
func writeError(w http.ResponseWriter, errcode int, asString bool) {
	answer := map[string]any{"errcode": errcode, "errmsg": message(errcode) + ", rid: " + newRequestID()}
	if asString {
		answer["errcode"] = strconv.Itoa(errcode)
	}
	write(w, answer)
}

// write sends JSON under the content type that WeChat uses. A client that went away misses it, and that is all.
func write(w http.ResponseWriter, answer map[string]any) {
	w.Header().Set("Content-Type", "text/plain")
	text, _ := json.Marshal(answer) // strings and ints always encode
	_, _ = w.Write(text)
}

// newRequestID has the shape of a real rid: three groups of hex.
func newRequestID() string {
	var random [12]byte
	_, _ = rand.Read(random[:])
	return fmt.Sprintf("%x-%x-%x", random[:4], random[4:8], random[8:])
}
