package wechat

import "slices"

// The errcodes of WeChat, named by their meaning. Sources: the pages "code2Session", "全局返回码" and those of the
// individual APIs; for 40163, 40125 and 40243, answers that users published. A code that is not listed is still an
// Error, with the metric label "other".
const (
	CodeOK                  = 0     // success; code2Session leaves it out altogether
	ErrCodeBusy             = -1    // 系统繁忙: WeChat is busy; the code is presumably not spent
	ErrCodeInvalidToken     = 40001 // the access_token is not the latest; also an AppSecret that does not fit
	ErrCodeInvalidGrantType = 40002 // grant_type is not authorization_code
	ErrCodeInvalidOpenID    = 40003 // no such openid within this mini-program
	ErrCodeInvalidAppID     = 40013 // no such appid; upper and lower case differ
	ErrCodeMalformedToken   = 40014 // the access_token is none
	ErrCodeInvalidCode      = 40029 // the code is unknown, older than 5 minutes, of another mini-program, or a phone code that was spent
	ErrCodeInvalidParameter = 40097 // an argument is wrong
	ErrCodeInvalidSecret    = 40125 // the secret is not the one of this appid
	errCodeInvalidScene     = 40129 // the scene is wrong, or the openid is of another mini-program
	ErrCodeCodeUsed         = 40163 // the js_code was spent before
	ErrCodeAddressNotListed = 40164 // our address is not on the mini-program's IP whitelist
	ErrCodeNoPushURL        = 40201 // 消息推送 has no URL on mp.weixin.qq.com
	errCodeCheckAction      = 40202 // the action of callback/check is none
	errCodeCheckOperator    = 40203 // nor is its operator
	ErrCodeCodeBlocked      = 40226 // 高风险等级用户: WeChat refuses this person; logging in again does not help
	ErrCodeFrozenSecret     = 40243 // the secret is frozen; thaw it on mp.weixin.qq.com
	ErrCodeMissingToken     = 41001 // access_token is missing
	ErrCodeMissingAppID     = 41002 // appid is missing
	ErrCodeMissingSecret    = 41004 // secret is missing
	ErrCodeMissingCode      = 41008 // js_code is missing
	ErrCodeExpiredToken     = 42001 // the access_token is too old
	errCodeUnsubscribed     = 43101 // 用户拒绝接受消息: the person did not ask for this message
	errCodeForeignOpenID    = 43104 // the openid is of another mini-program
	ErrCodeEmptyBody        = 44002 // the body is empty
	ErrCodeSecondQuota      = 44990 // too many calls within a second
	ErrCodeShortQuota       = 44991 // too many calls within a minute
	ErrCodeDailyQuota       = 45009 // the day's quota is used up
	ErrCodeMinuteQuota      = 45011 // the minute's quota is used up; try again after 60 s
	ErrCodeMalformedBody    = 47001 // the body is not the JSON that the API wants
	ErrCodeUnauthorized     = 48001 // the mini-program has no right to this API
	ErrCodeForbiddenAPI     = 48004 // this API is closed to the mini-program as a punishment
	ErrCodeUserLimited      = 50002 // the account or the mini-program is limited
	errCodeInactiveUser     = 61010 // the user has not used the mini-program within the last two hours
	ErrCodeMissingSession   = 87007 // there is no session_key for the user, or it has expired
	errCodeInvalidSigMethod = 87008 // sig_method is not hmac_sha256
	ErrCodeInvalidSignature = 87009 // the signature does not fit: most often a session_key that a later login replaced
	errCodeRiskyContent     = 87014 // the checked content is risky
)

// The errcodes of payments, from the pages below "VirtualPayment" and, for 702002 and 702003, from published answers of
// /retail/B2b.
const (
	ErrCodePayCommonUser    = 702002    // B2b: the signature does not fit
	ErrCodePayCommonSig     = 702003    // B2b: the pay_sig does not fit
	ErrCodePayOpenID        = 268490001 // the openid is wrong
	ErrCodePayParameter     = 268490002 // a parameter is wrong; the message says which
	ErrCodePaySignature     = 268490003 // pay_sig or signature does not fit
	ErrCodePayRepeated      = 268490004 // the same was done before: it succeeded
	errCodePaySystem        = 268490005 // WeChat failed
	ErrCodePayBalance       = 268490006 // the user has too few coins
	errCodePayWord          = 268490007 // a text has a forbidden word
	errCodePayUnpublished   = 268490008 // the coin is not published
	ErrCodePaySession       = 268490009 // the session_key is missing or has expired: the user logs in again
	errCodePayGenerating    = 268490011 // the data are still being made
	errCodePayBatchRunning  = 268490012 // a batch is running
	errCodePayBatchUnready  = 268490013 // the batch is not done
	errCodePayRefundRunning = 268490014 // a refund is running
	errCodePayRate          = 268490015 // too many calls
	ErrCodePayLeftFee       = 268490016 // left_fee is not what is left of the order
)

// KnownCodes returns every errcode that has a name here except CodeOK, in ascending order. Each has its own metric
// label.
func KnownCodes() []int {
	return []int{
		ErrCodeBusy, ErrCodeInvalidToken, ErrCodeInvalidGrantType, ErrCodeInvalidOpenID, ErrCodeInvalidAppID,
		ErrCodeMalformedToken, ErrCodeInvalidCode, ErrCodeInvalidParameter, ErrCodeInvalidSecret, errCodeInvalidScene,
		ErrCodeCodeUsed, ErrCodeAddressNotListed, ErrCodeNoPushURL, errCodeCheckAction, errCodeCheckOperator, ErrCodeCodeBlocked, ErrCodeFrozenSecret, ErrCodeMissingToken,
		ErrCodeMissingAppID, ErrCodeMissingSecret, ErrCodeMissingCode, ErrCodeExpiredToken, errCodeUnsubscribed,
		errCodeForeignOpenID, ErrCodeEmptyBody, ErrCodeSecondQuota, ErrCodeShortQuota, ErrCodeDailyQuota,
		ErrCodeMinuteQuota, ErrCodeMalformedBody, ErrCodeUnauthorized, ErrCodeForbiddenAPI,
		ErrCodeUserLimited, errCodeInactiveUser, ErrCodeMissingSession, errCodeInvalidSigMethod,
		ErrCodeInvalidSignature, errCodeRiskyContent,
		ErrCodePayCommonUser, ErrCodePayCommonSig, ErrCodePayOpenID, ErrCodePayParameter, ErrCodePaySignature,
		ErrCodePayRepeated, errCodePaySystem, ErrCodePayBalance, errCodePayWord, errCodePayUnpublished, ErrCodePaySession,
		errCodePayGenerating, errCodePayBatchRunning, errCodePayBatchUnready, errCodePayRefundRunning, errCodePayRate,
		ErrCodePayLeftFee,
	}
}

// known reports whether code has a name here.
func known(code int) bool { return slices.Contains(KnownCodes(), code) }

// OfPayment reports whether virtual payment answered, which looks at the signature first.
func (e *Error) OfPayment() bool { return e.Code >= ErrCodePayOpenID && e.Code <= ErrCodePayLeftFee }

// refusesToken reports whether WeChat answered because of the access_token alone, and so did nothing of what was asked.
func refusesToken(code int) bool {
	return code == ErrCodeInvalidToken || code == ErrCodeMalformedToken || code == ErrCodeExpiredToken
}
