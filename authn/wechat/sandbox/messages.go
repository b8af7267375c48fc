package sandbox

import "wxgate/authn/wechat"

// message returns the errmsg of an errcode, worded as WeChat words it.
func message(errcode int) string {
	switch errcode {
	case wechat.ErrCodeBusy:
		return "system error"
	case wechat.ErrCodeInvalidGrantType:
		return "invalid grant_type"
	case wechat.ErrCodeInvalidAppID:
		return "invalid appid"
	case wechat.ErrCodeInvalidCode:
		return "invalid code"
	case wechat.ErrCodeInvalidSecret:
		return "invalid appsecret"
	case wechat.ErrCodeAddressNotListed:
		return "invalid ip " + seenAddress + " ipv6 ::ffff:" + seenAddress + ", not in whitelist"
	case wechat.ErrCodeNoPushURL:
		return "invalid url"
	case wechat.ErrCodeCodeUsed:
		return "code been used"
	case wechat.ErrCodeCodeBlocked:
		return "code blocked"
	case wechat.ErrCodeFrozenSecret:
		return "appsecret is frozen"
	case wechat.ErrCodeMissingAppID:
		return "appid missing"
	case wechat.ErrCodeMissingSecret:
		return "appsecret missing"
	case wechat.ErrCodeMissingCode:
		return "missing code"
	case wechat.ErrCodeDailyQuota:
		return "reach max api daily quota limit"
	case wechat.ErrCodeMinuteQuota:
		return "api minute-quota reach limit, must slower, retry next minute"
	case wechat.ErrCodeUserLimited:
		return "user limited"
	}
	return serverMessage(errcode)
}

// seenAddress is where every caller comes from, to an IP whitelist that does not have it.
const seenAddress = "203.0.113.7"

// serverMessage is message for the APIs that want an access_token.
func serverMessage(errcode int) string {
	switch errcode {
	case wechat.ErrCodeInvalidToken:
		return "invalid credential, access_token is invalid or not latest"
	case wechat.ErrCodeInvalidOpenID:
		return "invalid openid"
	case wechat.ErrCodeMalformedToken:
		return "invalid access_token"
	case wechat.ErrCodeInvalidParameter:
		return "invalid args"
	case wechat.ErrCodeMissingToken:
		return "access_token missing"
	case wechat.ErrCodeExpiredToken:
		return "access_token expired"
	case wechat.ErrCodeEmptyBody:
		return "empty post data"
	case wechat.ErrCodeMalformedBody:
		return "data format error"
	case wechat.ErrCodeInvalidSignature:
		return "invalid signature"
	case wechat.ErrCodePayCommonSig:
		return "invalid pay signature"
	case wechat.ErrCodePayOpenID:
		return "openid error"
	case wechat.ErrCodePayParameter:
		return "request param error"
	case wechat.ErrCodePaySignature:
		return "signature error"
	case wechat.ErrCodePayRepeated:
		return "repeated request"
	case wechat.ErrCodePayBalance:
		return "balance not enough"
	case wechat.ErrCodePaySession:
		return "session_key not exist or expired"
	case wechat.ErrCodePayLeftFee:
		return "left_fee error"
	}
	return "sandbox error"
}
