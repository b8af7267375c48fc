package sandbox

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"wxgate/authn/wechat"
)

// Handler serves WeChat's API and the control API of the package comment. It checks no addresses: who mounts it elsewhere
// than Start keeps it off the network.
func (s *Sandbox) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sns/jscode2session", s.code2Session)
	mux.HandleFunc("POST /cgi-bin/stable_token", s.stableToken)
	mux.HandleFunc("POST /wxa/business/getuserphonenumber", s.withToken(s.phoneNumber))
	mux.HandleFunc("GET /wxa/checksession", s.withToken(s.checkSession))
	mux.HandleFunc("GET /wxa/resetusersessionkey", s.withToken(s.resetSessionKey))
	mux.HandleFunc("POST /wxa/business/checkencryptedmsg", s.withToken(s.checkEncrypted))
	mux.HandleFunc("POST /wxa/getwxacode", s.withToken(s.picture))
	mux.HandleFunc("POST /wxa/getwxacodeunlimit", s.withToken(s.picture))
	mux.HandleFunc("/cgi-bin/", s.withToken(s.echo))
	mux.HandleFunc("/wxa/", s.withToken(s.echo))

	outer := http.NewServeMux()
	outer.Handle("/", s.rehearse(mux))
	outer.Handle("/sandbox/", s.control())
	return outer
}

// code2Session is the page "code2Session".
func (s *Sandbox) code2Session(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	code := query.Get("js_code")
	if errcode := s.parameterFault(query); errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	state, script := s.state.Load(), parseScript(code)
	person, errcode := state.login(code, script)
	if !s.wait(r, script.delay) {
		state.codes.lose(code)
		return
	}
	switch {
	case errcode != wechat.CodeOK:
		writeError(w, errcode, script.asString)
	case script.broken != "":
		breakAnswer(w, script.broken, s.session(state, person))
	default:
		write(w, s.session(state, person))
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
func (s *Sandbox) session(state *world, person string) map[string]any {
	answer := map[string]any{"session_key": state.keys.renew(person), "openid": openID(s.cfg.AppID, person)}
	if s.cfg.OpenPlatform {
		answer["unionid"] = unionID(person)
	}
	return answer
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
