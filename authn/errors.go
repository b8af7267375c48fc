package authn

import (
	"errors"
	"fmt"

	"wxgate/authn/wechat"
)

// ErrCloudIdentity refuses a cloud login whose caller neither WeChat Cloud Run nor the cloud function identifies in a
// trusted way.
var ErrCloudIdentity = errors.New("cloud login without a trusted identity")

// ErrUserBanned refuses the login of a user whom the operator has banned; logging in again does not help.
var ErrUserBanned = errors.New("the user is banned")

// ErrLimited refuses a login of a user who logs in too often.
var ErrLimited = errors.New("the user logs in too often")

// ErrInvalidRequest refuses a login or profile change before anything is done.
var ErrInvalidRequest = errors.New("invalid request")

// FieldError is an ErrInvalidRequest that names the field and, for the developer of the mini-program, what is wrong.
type FieldError struct {
	Field   string
	Problem string // in Chinese; it never quotes the value
}

func (e *FieldError) Error() string { return e.Field + " " + e.Problem }

// Unwrap makes errors.Is find ErrInvalidRequest.
func (e *FieldError) Unwrap() error { return ErrInvalidRequest }

// The kinds of failed exchanges with WeChat; a *WeChatError wraps one of them.
var (
	ErrCodeInvalid   = errors.New("WeChat does not recognize the code")
	ErrCodeUsed      = errors.New("the code was used before")
	ErrUserBlocked   = errors.New("WeChat blocks this user")
	ErrRateLimited   = errors.New("WeChat's quota for this minute is used up")
	ErrMisconfigured = errors.New("WeChat rejects the configuration of the mini-program")
	ErrBusy          = errors.New("WeChat is busy")
	ErrTimeout       = errors.New("WeChat did not answer in time")
	ErrUnreachable   = errors.New("WeChat cannot be reached")
	ErrBadResponse   = errors.New("WeChat's answer is invalid")
	// ErrPhoneCodeInvalid is a phone code (of a getPhoneNumber button) that was already used, has expired or never
	// existed. Only the button yields a new one; logging in again does not help.
	ErrPhoneCodeInvalid = errors.New("WeChat does not recognize the phone code")
)

// errPhoneCodeForeign is a phone code that belongs to another user.
var errPhoneCodeForeign error = &FieldError{"code", "属于另一位用户"}

// ErrSentBefore is a code that was sent to WeChat before and got no clear answer. Nobody knows whether it was used, so
// it is not sent again.
var ErrSentBefore = errors.New("the code was sent to WeChat before, with an unknown outcome")

// WeChatError is a failed exchange with WeChat.
type WeChatError struct {
	API  string // the last segment of the path: jscode2session; "" when there was no answer
	Code int    // WeChat's errcode, 0 when there was no answer
	Kind error  // one of the errors above
	Err  error  // what the client of WeChat said; for logs
}

func (e *WeChatError) Error() string { return fmt.Sprintf("%v: %v", e.Kind, e.Err) }

// Unwrap makes errors.Is find the kind and the cause.
func (e *WeChatError) Unwrap() []error { return []error{e.Kind, e.Err} }

// WeChatFailure converts an error of the WeChat client into a *WeChatError.
func WeChatFailure(err error) error {
	var (
		answer *wechat.Error
		ours   *WeChatError
	)
	switch {
	case errors.As(err, &ours):
		return ours // nothing was sent
	case errors.Is(err, wechat.ErrSnapshotUser):
		return ErrSnapshotUser
	case errors.As(err, &answer):
		return &WeChatError{API: answer.API, Code: answer.Code, Kind: kindOf(answer.API, answer.Code), Err: err}
	case errors.Is(err, wechat.ErrTokenRefused), errors.Is(err, wechat.ErrNoToken):
		return &WeChatError{Kind: ErrMisconfigured, Err: err}
	case errors.Is(err, wechat.ErrTokenReplaced):
		return &WeChatError{Kind: ErrBusy, Err: err}
	case errors.Is(err, wechat.ErrTimeout):
		return &WeChatError{Kind: ErrTimeout, Err: err}
	case errors.Is(err, wechat.ErrUnreachable):
		return &WeChatError{Kind: ErrUnreachable, Err: err}
	}
	return &WeChatError{Kind: ErrBadResponse, Err: err}
}
