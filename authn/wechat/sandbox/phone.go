package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"

	"wxgate/authn/wechat"
)

// PhoneNumber returns the number of person: eleven digits, the same every time, and nobody's: 100… is no mobile prefix.
func PhoneNumber(person string) string {
	return fmt.Sprintf("100%08d", binary.BigEndian.Uint32([]byte(digest("phone", person)))%100_000_000)
}

// phoneInfo is the number of person as WeChat writes it, but for the watermark.
func phoneInfo(person string) map[string]any {
	number := PhoneNumber(person)
	return map[string]any{"phoneNumber": number, "purePhoneNumber": number, "countryCode": "86"}
}

// phoneNumber is the page "getPhoneNumber". A code that was spent is invalid there, not used, and one of another openid is
// an invalid openid and stays good.
func (a *api) phoneNumber(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Code   string `json:"code"`
		OpenID string `json:"openid"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		writeError(w, wechat.ErrCodeMalformedBody, false)
		return
	}
	b, script := a.backend(), parseScript(body.Code)
	person, errcode := "", wechat.ErrCodeInvalidOpenID
	if b.mayUse(body.Code, script, body.OpenID) {
		person, errcode = spendPhone(b.phones, body.Code, script)
	}
	if !a.wait(r, script.delay) {
		b.phones.lose(body.Code)
		return
	}
	if errcode != wechat.CodeOK {
		writeError(w, errcode, false)
		return
	}
	info := phoneInfo(person)
	info["watermark"] = b.watermark()
	writeOK(w, map[string]any{"phone_info": info})
}

// mayUse reports whether the code is of this openid's button. Whoever sends no openid may use every code.
func (b *backend) mayUse(code string, script script, openid string) bool {
	person := or(script.person, b.phones.owner(code))
	return openid == "" || person == "" || openid == openID(b.cfg.AppID, person)
}

func spendPhone(l *ledger, code string, script script) (person string, errcode int) {
	switch {
	case script.errcode != wechat.CodeOK:
		return "", script.errcode
	case script.broken != "":
		return "", wechat.ErrCodeInvalidCode
	}
	person, errcode = spend(l, code, script)
	if errcode != wechat.CodeOK {
		return "", wechat.ErrCodeInvalidCode
	}
	return person, wechat.CodeOK
}
