package wechat

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

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
