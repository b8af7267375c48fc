package wechat

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
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

const (
	pathCheckSession    = "/wxa/checksession"
	pathResetSessionKey = "/wxa/resetusersessionkey"
)

// CheckSession reports whether sessionKey is still valid for openID; it is not after errcode 87009 or 87007 (page
// "checkSessionKey"). The error is an *Error, or wraps an error of Call.
func (c *Client) CheckSession(ctx context.Context, openID, sessionKey string) (valid bool, err error) {
	_, err = c.answerOf(ctx, signedCall(pathCheckSession, openID, sessionKey), openID, sessionKey)
	var answer *Error
	if errors.As(err, &answer) && (answer.Code == ErrCodeInvalidSignature || answer.Code == ErrCodeMissingSession) {
		return false, nil
	}
	return err == nil, named(apiLabel(pathCheckSession), err)
}

// ResetSessionKey has WeChat replace sessionKey, which becomes invalid at once, and returns the new one; it expires
// when the old one would have (page "ResetUserSessionKey"). After an error other than an *Error, nobody knows which of
// the two is valid. An *Error with ErrCodeInvalidSignature means that sessionKey had been replaced before.
func (c *Client) ResetSessionKey(ctx context.Context, openID, sessionKey string) (Session, error) {
	api := apiLabel(pathResetSessionKey)
	members, err := c.answerOf(ctx, signedCall(pathResetSessionKey, openID, sessionKey), openID, sessionKey)
	if err != nil {
		return Session{}, named(api, err)
	}
	session, err := sessionFrom(members)
	if err == nil && (session.OpenID != openID || session.SessionKey == sessionKey) {
		err = badResponse(errors.New("the answer is for somebody else, or the session_key is the old one"))
	}
	if err != nil {
		return Session{}, named(api, err)
	}
	return session, nil
}

// signedCall signs the empty body of a GET. One page lists these as payload, but shows them in the query, where they work.
func signedCall(path, openID, sessionKey string) call {
	return call{method: http.MethodGet, path: path, query: url.Values{
		"openid":     {openID},
		"signature":  {HMACSignature("", sessionKey)},
		"sig_method": {"hmac_sha256"},
	}}
}
