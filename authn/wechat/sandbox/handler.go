package sandbox

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"wxgate/authn/wechat"
)

// api answers as WeChat's servers do.
type api struct {
	cfg     *Config
	backend func() *backend
	closed  <-chan struct{} // ends every wait
	cashier cashier

	moderator moderator
}

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sns/jscode2session", a.code2Session)
	mux.HandleFunc("POST /cgi-bin/stable_token", a.stableToken)
	mux.HandleFunc("POST /wxa/business/getuserphonenumber", a.withToken(a.phoneNumber))
	mux.HandleFunc("GET /wxa/checksession", a.withToken(a.checkSession))
	mux.HandleFunc("GET /wxa/resetusersessionkey", a.withToken(a.resetSessionKey))
	mux.HandleFunc("POST /wxa/business/checkencryptedmsg", a.withToken(a.checkEncrypted))
	mux.HandleFunc("POST /wxa/getwxacode", a.withToken(picture))
	mux.HandleFunc("POST /wxa/getwxacodeunlimit", a.withToken(unlimitedCode))
	mux.HandleFunc("POST /cgi-bin/media/upload", a.withToken(a.uploadMedia))
	mux.HandleFunc("GET /cgi-bin/media/get", a.withToken(a.getMedia))
	mux.HandleFunc("POST /cgi-bin/callback/check", a.withToken(a.checkCallback))
	mux.HandleFunc("/wxaapi/newtmpl/{name}", a.withToken(templates))
	mux.HandleFunc("POST /wxa/msg_sec_check", a.withToken(a.moderator.checkText))
	mux.HandleFunc("POST /wxa/media_check_async", a.withToken(a.moderator.checkMedia))
	mux.HandleFunc("POST /xpay/{name}", a.withToken(a.cashier.call))
	mux.HandleFunc("POST /retail/B2b/{name}", a.withToken(a.cashier.commonCall))
	mux.HandleFunc("/cgi-bin/", a.withToken(echo))
	mux.HandleFunc("/wxa/", a.withToken(echo))
	web{a.cfg, a.backend}.register(mux)
	return a.rehearse(mux)
}

// code2Session is the page "code2Session".
func (a *api) code2Session(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	code := query.Get("js_code")
	if errcode := a.parameterFault(query); errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	b, script := a.backend(), parseScript(code)
	person, errcode := b.login(code, script)
	if !a.wait(r, script.delay) {
		b.codes.lose(code)
		return
	}
	switch {
	case errcode != wechat.CodeOK:
		writeError(w, errcode, script.asString)
	case script.broken != "":
		breakAnswer(w, script.broken, b.session(person))
	default:
		write(w, b.session(person))
	}
}

// parameterFault returns the errcode for a missing or wrong parameter.
func (a *api) parameterFault(query url.Values) int {
	switch {
	case query.Get("appid") == "":
		return wechat.ErrCodeMissingAppID
	case query.Get("secret") == "":
		return wechat.ErrCodeMissingSecret
	case query.Get("js_code") == "":
		return wechat.ErrCodeMissingCode
	case query.Get("grant_type") != "authorization_code":
		return wechat.ErrCodeInvalidGrantType
	case query.Get("appid") != a.cfg.AppID:
		return wechat.ErrCodeInvalidAppID
	case subtle.ConstantTimeCompare([]byte(query.Get("secret")), []byte(a.cfg.Secret.Reveal())) != 1:
		return wechat.ErrCodeInvalidSecret
	}
	return wechat.CodeOK
}

// wait reports whether the client and the sandbox are still there after it.
func (a *api) wait(r *http.Request, delay time.Duration) bool {
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
	case <-a.closed:
		return false
	}
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

// checkCallback is the page "网络检测": where the name of the push URL leads, and whether that answers a ping. There is a URL where
// there is a Config.PushToken.
func (a *api) checkCallback(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Action   string `json:"action"`
		Operator string `json:"check_operator"`
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	switch {
	case err != nil:
		writeError(w, wechat.ErrCodeMalformedBody, false)
	case a.cfg.PushToken == "":
		writeError(w, wechat.ErrCodeNoPushURL, false)
	case !slices.Contains([]string{"all", "dns", "ping"}, body.Action):
		writeError(w, errcodeCheckAction, false)
	case !slices.Contains([]string{"DEFAULT", "CHINANET", "UNICOM", "CAP"}, body.Operator):
		writeError(w, errcodeCheckOperator, false)
	default:
		write(w, map[string]any{
			"dns":  []map[string]any{{"ip": "127.0.0.1", "real_operator": "UNICOM"}},
			"ping": []map[string]any{{"ip": "127.0.0.1", "from_operator": "UNICOM", "package_loss": "0%", "time": "0.042ms"}},
		})
	}
}

// The errcodes of checkCallback.
const (
	errcodeCheckAction   = 40202
	errcodeCheckOperator = 40203
)
