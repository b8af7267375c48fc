package authn

import "wxgate/authn/wechat"

// Errcode is a row of the table of WeChat's errcodes, whose meaning depends on the API: 40029 from jscode2session calls
// for another wx.login, 40029 from getuserphonenumber for another press of the button.
type Errcode struct {
	API  string // the last segment of its path; "": every API without a row of its own for the code
	Code int
	Kind error // what a *WeChatError of it wraps
}

// Errcodes returns the whole table, as shown in docs/api.md. Its sources are WeChat's pages on the individual APIs and
// "全局返回码"; for 40163, 40125 and 40243 they are real answers of WeChat.
func Errcodes() []Errcode {
	return []Errcode{
		{wechat.APICode2Session, wechat.ErrCodeInvalidCode, ErrCodeInvalid},
		{wechat.APICode2Session, wechat.ErrCodeCodeUsed, ErrCodeUsed},
		{wechat.APICode2Session, wechat.ErrCodeMissingCode, ErrMisconfigured},
		{wechat.APIWebToken, wechat.ErrCodeInvalidCode, ErrCodeInvalid},
		{wechat.APIWebToken, wechat.ErrCodeCodeUsed, ErrCodeUsed},
		{wechat.APIWebToken, wechat.ErrCodeMissingCode, ErrMisconfigured},
		{wechat.APIPhoneNumber, wechat.ErrCodeInvalidCode, ErrPhoneCodeInvalid},
		{wechat.APIPhoneNumber, wechat.ErrCodeCodeUsed, ErrPhoneCodeInvalid},
		{wechat.APIPhoneNumber, wechat.ErrCodeInvalidOpenID, errPhoneCodeForeign},
		{wechat.APICheckSession, wechat.ErrCodeInvalidOpenID, ErrMisconfigured}, // the user is of another mini-program
		{wechat.APIResetSessionKey, wechat.ErrCodeInvalidOpenID, ErrMisconfigured},
		{wechat.APIResetSessionKey, wechat.ErrCodeMissingSession, ErrSessionKeyStale},
		{wechat.APIResetSessionKey, wechat.ErrCodeInvalidSignature, ErrSessionKeyStale},
		{wechat.APIStableToken, wechat.ErrCodeUserLimited, ErrMisconfigured}, // the mini-program is frozen, not a user
		{"", wechat.ErrCodePaySession, ErrSigningKeyStale},
		{"", wechat.ErrCodePaySignature, ErrMisconfigured}, // the AppKey is another one's
		{"", wechat.ErrCodeBusy, ErrBusy},
		{"", wechat.ErrCodeDailyQuota, ErrBusy},
		{"", wechat.ErrCodeSecondQuota, ErrRateLimited},
		{"", wechat.ErrCodeShortQuota, ErrRateLimited},
		{"", wechat.ErrCodeMinuteQuota, ErrRateLimited},
		{"", wechat.ErrCodeCodeBlocked, ErrUserBlocked},
		{"", wechat.ErrCodeUserLimited, ErrUserBlocked},
		{"", wechat.ErrCodeInvalidToken, ErrMisconfigured},
		{"", wechat.ErrCodeInvalidGrantType, ErrMisconfigured},
		{"", wechat.ErrCodeInvalidAppID, ErrMisconfigured},
		{"", wechat.ErrCodeMalformedToken, ErrMisconfigured},
		{"", wechat.ErrCodeInvalidSecret, ErrMisconfigured},
		{"", wechat.ErrCodeAddressNotListed, ErrMisconfigured},
		{"", wechat.ErrCodeFrozenSecret, ErrMisconfigured},
		{"", wechat.ErrCodeMissingToken, ErrMisconfigured},
		{"", wechat.ErrCodeMissingAppID, ErrMisconfigured},
		{"", wechat.ErrCodeMissingSecret, ErrMisconfigured},
		{"", wechat.ErrCodeExpiredToken, ErrMisconfigured},
		{"", wechat.ErrCodeUnauthorized, ErrMisconfigured},
		{"", wechat.ErrCodeForbiddenAPI, ErrMisconfigured},
	}
}

// kindOf looks the errcode of an API up. What has no row is ErrBadResponse, but for stable_token: all that it refuses is
// the appid, the secret or our address.
func kindOf(api string, code int) error {
	kind := ErrBadResponse
	if api == wechat.APIStableToken {
		kind = ErrMisconfigured
	}
	for _, row := range Errcodes() {
		if row.Code == code && row.API == api {
			return row.Kind
		}
		if row.Code == code && row.API == "" {
			kind = row.Kind
		}
	}
	return kind
}
