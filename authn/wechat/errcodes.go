package wechat

import "slices"

// The errcodes that WeChat answers, named for what they mean. Sources: the pages "code2Session" and "全局返回码", and for
// 40163, 40125 and 40243 answers that users published. A code that is not here is still an Error; only its metric label is
// "other".
const (
	CodeOK                  = 0     // success; code2Session leaves it out altogether
	ErrCodeBusy             = -1    // 系统繁忙: WeChat is busy; the code is presumably not spent
	ErrCodeInvalidGrantType = 40002 // grant_type is not authorization_code
	ErrCodeInvalidAppID     = 40013 // no such appid; upper and lower case differ
	ErrCodeInvalidCode      = 40029 // the js_code is unknown, older than 5 minutes or of another mini-program
	ErrCodeInvalidSecret    = 40125 // the secret is not the one of this appid
	ErrCodeCodeUsed         = 40163 // the js_code was spent before
	ErrCodeCodeBlocked      = 40226 // 高风险等级用户: WeChat refuses this person; logging in again does not help
	ErrCodeFrozenSecret     = 40243 // the secret is frozen; thaw it on mp.weixin.qq.com
	ErrCodeMissingAppID     = 41002 // appid is missing
	ErrCodeMissingSecret    = 41004 // secret is missing
	ErrCodeMissingCode      = 41008 // js_code is missing
	ErrCodeDailyQuota       = 45009 // the day's quota is used up
	ErrCodeMinuteQuota      = 45011 // the minute's quota is used up; try again after 60 s
	ErrCodeUserLimited      = 50002 // the account or the mini-program is limited
)

// KnownCodes returns every errcode that has a name here except CodeOK, ascending. Metrics and the table that maps codes to
// HTTP cover exactly these.
func KnownCodes() []int {
	return []int{
		ErrCodeBusy, ErrCodeInvalidGrantType, ErrCodeInvalidAppID, ErrCodeInvalidCode, ErrCodeInvalidSecret, ErrCodeCodeUsed,
		ErrCodeCodeBlocked, ErrCodeFrozenSecret, ErrCodeMissingAppID, ErrCodeMissingSecret, ErrCodeMissingCode,
		ErrCodeDailyQuota, ErrCodeMinuteQuota, ErrCodeUserLimited,
	}
}

// known reports whether code has a name here.
func known(code int) bool { return slices.Contains(KnownCodes(), code) }
