package wechat

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// maxID is the longest openid or unionid taken, in bytes. Real ones have 28; the users table has room for 64.
const maxID = 64

// maxCode is the longest js_code taken, in bytes. Real ones have 32.
const maxCode = 128

// Session is what WeChat returns about the person behind a js_code.
type Session struct {
	OpenID     string // the person within this mini-program: visible ASCII, 1 to 64 bytes, never empty
	UnionID    string // the person across one Open Platform account; empty until the mini-program is bound to one
	SessionKey string // base64 of 16 bytes; never leaves the gateway (page "小程序登录")
}

// Format writes *** for every verb: none of the three belongs in a log.
func (Session) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// LogValue returns ***, whatever the slog handler.
func (Session) LogValue() slog.Value { return slog.StringValue(masked) }

// TouristCode is what wx.login gives in DevTools for touristappid (游客模式): the same words each time, and WeChat knows
// nothing of them.
const TouristCode = "the code is a mock one"

// ValidCode reports whether code can be a js_code of wx.login: 1 to 128 of the characters 0-9, A-Z, a-z, _ and -.
func ValidCode(code string) bool {
	return code != "" && len(code) <= maxCode && strings.IndexFunc(code, notCodeRune) < 0
}

func notCodeRune(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' && r != '-'
}

// parseSession reads the answer of code2Session. A 200 without a usable openid and session_key is ErrBadResponse: nobody
// becomes a user with an empty openid.
func parseSession(body []byte, secrets ...string) (Session, error) {
	members, err := parseAnswer(APICode2Session, body, secrets)
	if err != nil {
		return Session{}, err
	}
	return sessionFrom(members)
}

// sessionFrom wants an openid and a session_key among the members of an answer.
func sessionFrom(members object) (Session, error) {
	var s Session
	openIDErr := members.id("openid", &s.OpenID)
	unionIDErr := members.id("unionid", &s.UnionID)
	keyErr := members.sessionKey(&s.SessionKey)
	if err := errors.Join(openIDErr, unionIDErr, keyErr); err != nil {
		return Session{}, badResponse(oneLine(err))
	}
	if s.OpenID == "" {
		return Session{}, badResponse(errors.New("openid is missing or empty"))
	}
	return s, nil
}

// id reads an openid or unionid into to, which stays empty when there is none.
func (o object) id(name string, to *string) (err error) {
	if *to, err = o.text(name); err != nil {
		return err
	}
	if len(*to) > maxID || !visibleASCII(*to) {
		return fmt.Errorf("%s is not visible ASCII of at most %d bytes", name, maxID)
	}
	return nil
}

// sessionKey reads the session_key into to.
func (o object) sessionKey(to *string) (err error) {
	if *to, err = o.text("session_key"); err != nil {
		return err
	}
	if key, err := decodeBase64(*to); err != nil || len(key) != blockSize {
		return errors.New("session_key is not base64 of 16 bytes")
	}
	return nil
}

// decodeBase64 is stricter than the standard decoder, which skips line breaks.
func decodeBase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(0)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}

func oneLine(err error) error { return errors.New(strings.ReplaceAll(err.Error(), "\n", "; ")) }
