package authn

import (
	"errors"
	"fmt"

	"wxgate/authn/wechat"
)

// Why a token is refused. Logging in again helps in every case.
var (
	ErrTokenMissing   = errors.New("no bearer token")
	ErrTokenMalformed = errors.New("the bearer token is not a JWT of our form")
	ErrTokenInvalid   = errors.New("the token's signature, issuer or claims do not hold")
	ErrTokenExpired   = errors.New("the token has expired")
	ErrTokenRevoked   = errors.New("the token's session has ended")
	ErrTokenReused    = errors.New("a replaced token was presented for refresh")
)

// ErrUserBanned refuses the login of a user whom the operator has banned; logging in again does not help.
var ErrUserBanned = errors.New("the user is banned")

// ErrLimited refuses a login that Login.Admit did not admit.
var ErrLimited = errors.New("the user logs in too often")

// ErrInvalidRequest is a login or a profile change that is refused before anything is done.
var ErrInvalidRequest = errors.New("invalid request")

// FieldError is an ErrInvalidRequest that names the field and, for the developer of the mini-program, what is wrong.
type FieldError struct {
	Field   string
	Problem string // in Chinese; it never quotes the value
}

func (e *FieldError) Error() string { return e.Field + " " + e.Problem }

// Unwrap makes errors.Is find ErrInvalidRequest.
func (e *FieldError) Unwrap() error { return ErrInvalidRequest }

// What an exchange with WeChat can come to; a *WeChatError wraps one of them.
var (
	ErrCodeInvalid   = errors.New("WeChat does not know the code")
	ErrCodeUsed      = errors.New("the code was used before")
	ErrUserBlocked   = errors.New("WeChat blocks this user")
	ErrRateLimited   = errors.New("WeChat's quota for this minute is spent")
	ErrMisconfigured = errors.New("WeChat refuses our appid or secret")
	ErrBusy          = errors.New("WeChat is busy")
	ErrTimeout       = errors.New("WeChat did not answer in time")
	ErrBadResponse   = errors.New("WeChat's answer makes no sense")
)

// WeChatError is an exchange with WeChat that failed.
type WeChatError struct {
	Code int   // WeChat's errcode, 0 when there was no answer
	Kind error // one of the errors above
	Err  error // what the client of WeChat said; for logs
}

func (e *WeChatError) Error() string { return fmt.Sprintf("%v: %v", e.Kind, e.Err) }

// Unwrap makes errors.Is find the kind and the cause.
func (e *WeChatError) Unwrap() []error { return []error{e.Kind, e.Err} }

// kindOfErrcode says what an errcode of code2Session means for the caller; codes that are not here are ErrBadResponse.
// The source is WeChat's page api_code2session and, for 40163, what it really answers.
func kindOfErrcode(code int) error {
	switch code {
	case wechat.ErrCodeInvalidCode:
		return ErrCodeInvalid
	case wechat.ErrCodeCodeUsed:
		return ErrCodeUsed
	case wechat.ErrCodeCodeBlocked, wechat.ErrCodeUserLimited:
		return ErrUserBlocked
	case wechat.ErrCodeMinuteQuota:
		return ErrRateLimited
	case wechat.ErrCodeBusy, wechat.ErrCodeDailyQuota:
		return ErrBusy
	case wechat.ErrCodeInvalidAppID, wechat.ErrCodeInvalidSecret, wechat.ErrCodeFrozenSecret,
		wechat.ErrCodeMissingAppID, wechat.ErrCodeMissingSecret, wechat.ErrCodeMissingCode,
		wechat.ErrCodeInvalidGrantType:
		return ErrMisconfigured
	}
	return ErrBadResponse
}

// WeChatFailure is an error of a client of WeChat as the *WeChatError that the error table knows.
func WeChatFailure(err error) error { return weChatError(err) }

// weChatError turns what the client of WeChat returned into a *WeChatError.
func weChatError(err error) error {
	var answer *wechat.Error
	switch {
	case errors.As(err, &answer) && answer.API == "stable_token":
		return &WeChatError{Kind: ErrMisconfigured, Err: err} // the appid, the secret or the IP list of mp.weixin.qq.com
	case errors.As(err, &answer):
		return &WeChatError{Code: answer.Code, Kind: kindOfErrcode(answer.Code), Err: err}
	case errors.Is(err, wechat.ErrTokenRefused), errors.Is(err, wechat.ErrNoToken):
		return &WeChatError{Kind: ErrMisconfigured, Err: err}
	case errors.Is(err, wechat.ErrTimeout):
		return &WeChatError{Kind: ErrTimeout, Err: err}
	}
	return &WeChatError{Kind: ErrBadResponse, Err: err}
}
