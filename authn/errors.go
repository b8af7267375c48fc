package authn

import (
	"errors"
	"fmt"

	"wxgate/authn/wechat"
)

// ErrCloudIdentity is a cloud login of which neither WeChat Cloud Run nor the cloud function says, in a way that is
// believed, who it is for.
var ErrCloudIdentity = errors.New("nobody vouches for the caller of a cloud login")

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
	ErrMisconfigured = errors.New("WeChat refuses what only the operator can put right")
	ErrBusy          = errors.New("WeChat is busy")
	ErrTimeout       = errors.New("WeChat did not answer in time")
	ErrUnreachable   = errors.New("WeChat cannot be reached")
	ErrBadResponse   = errors.New("WeChat's answer makes no sense")
	// ErrPhoneCodeInvalid is a code of a getPhoneNumber button that was spent, is too old or is none. Only the button
	// gives another one: logging in again does not help.
	ErrPhoneCodeInvalid = errors.New("WeChat does not know the phone code")
)

// errPhoneCodeForeign is the code of a button that somebody else pressed.
var errPhoneCodeForeign error = &FieldError{"code", "属于另一位用户"}

// ErrSentBefore is a code that was sent to WeChat before and never answered: whether it was spent nobody knows, so it is
// not sent again.
var ErrSentBefore = errors.New("this code was sent to WeChat before and never answered")

// WeChatError is an exchange with WeChat that failed.
type WeChatError struct {
	API  string // the last segment of the path: jscode2session; "" when there was no answer
	Code int    // WeChat's errcode, 0 when there was no answer
	Kind error  // one of the errors above
	Err  error  // what the client of WeChat said; for logs
}

func (e *WeChatError) Error() string { return fmt.Sprintf("%v: %v", e.Kind, e.Err) }

// Unwrap makes errors.Is find the kind and the cause.
func (e *WeChatError) Unwrap() []error { return []error{e.Kind, e.Err} }

// WeChatFailure turns what the client of WeChat returned into a *WeChatError.
func WeChatFailure(err error) error {
	var (
		answer *wechat.Error
		ours   *WeChatError
	)
	switch {
	case errors.As(err, &ours):
		return ours // nothing was sent
	case errors.As(err, &answer):
		return &WeChatError{API: answer.API, Code: answer.Code, Kind: kindOf(answer.API, answer.Code), Err: err}
	case errors.Is(err, wechat.ErrTokenRefused), errors.Is(err, wechat.ErrNoToken):
		return &WeChatError{Kind: ErrMisconfigured, Err: err}
	case errors.Is(err, wechat.ErrTimeout):
		return &WeChatError{Kind: ErrTimeout, Err: err}
	case errors.Is(err, wechat.ErrUnreachable):
		return &WeChatError{Kind: ErrUnreachable, Err: err}
	}
	return &WeChatError{Kind: ErrBadResponse, Err: err}
}
