package wechat

// The APIs that this package calls, by the last segment of the path, as in Error.API and the metrics.
const (
	APICode2Session    = "jscode2session"
	APIStableToken     = "stable_token"
	APIPhoneNumber     = "getuserphonenumber"
	APICheckSession    = "checksession"
	APIResetSessionKey = "resetusersessionkey"
	APITextCheck       = "msg_sec_check"
	APIImageCheck      = "media_check_async"
	APIWebToken        = "oauth2/access_token"
	APIUserInfo        = "userinfo"
)

// The paths of the login on a web page.
const (
	pathWebToken = "/sns/oauth2/access_token"
	pathUserInfo = "/sns/userinfo"
)

// labelOther is the api label of every path that is not in apiLabels.
const labelOther = "other"

// APIOf names the API behind a path, for a log: its path when it is one that Call takes, else "other".
func APIOf(path string) string {
	if !plainPath(path) {
		return labelOther
	}
	return path
}

// apiLabel names the API behind path in metrics and errors, out of a closed set.
func apiLabel(path string) string {
	if label, ok := apiLabels()[path]; ok {
		return label
	}
	return labelOther
}

// apiLabels maps the APIs that mini-programs use most to the last segment of their path, or to the last two where one
// alone says nothing. Any other path works as well and is counted as other.
func apiLabels() map[string]string {
	return map[string]string{
		"/sns/jscode2session":                 APICode2Session,
		"/cgi-bin/stable_token":               APIStableToken,
		pathWebToken:                          APIWebToken,
		pathUserInfo:                          APIUserInfo,
		pathPhoneNumber:                       APIPhoneNumber,
		pathCheckSession:                      APICheckSession,
		pathResetSessionKey:                   APIResetSessionKey,
		"/wxa/business/checkencryptedmsg":     "checkencryptedmsg",
		"/wxa/business/getuserencryptkey":     "getuserencryptkey",
		pathTextCheck:                         APITextCheck,
		"/wxa/img_sec_check":                  "img_sec_check",
		pathImageCheck:                        APIImageCheck,
		"/wxa/getuserriskrank":                "getuserriskrank",
		"/wxa/getwxacode":                     "getwxacode",
		"/wxa/getwxacodeunlimit":              "getwxacodeunlimit",
		"/cgi-bin/wxaapp/createwxaqrcode":     "createwxaqrcode",
		"/wxa/generatescheme":                 "generatescheme",
		"/wxa/generate_urllink":               "generate_urllink",
		"/wxa/genwxashortlink":                "genwxashortlink",
		"/wxa/getpaidunionid":                 "getpaidunionid",
		"/wxa/getpluginopenpid":               "getpluginopenpid",
		"/cgi-bin/message/subscribe/send":     "subscribe/send",
		"/cgi-bin/message/custom/send":        "custom/send",
		"/cgi-bin/message/custom/typing":      "custom/typing",
		"/cgi-bin/media/upload":               "media/upload",
		"/cgi-bin/media/get":                  "media/get",
		"/wxaapi/newtmpl/gettemplate":         "gettemplate",
		"/cgi-bin/openapi/quota/get":          "quota/get",
		"/cgi-bin/openapi/rid/get":            "rid/get",
		"/cgi-bin/callback/check":             "callback/check",
		"/cgi-bin/clear_quota":                "clear_quota",
		"/wxa/sec/order/upload_shipping_info": "upload_shipping_info",
		"/xpay/query_user_balance":            "xpay/query_user_balance",
		"/xpay/currency_pay":                  "xpay/currency_pay",
		"/xpay/cancel_currency_pay":           "xpay/cancel_currency_pay",
		"/xpay/present_currency":              "xpay/present_currency",
		"/xpay/query_order":                   "xpay/query_order",
		"/xpay/refund_order":                  "xpay/refund_order",
		"/xpay/notify_provide_goods":          "xpay/notify_provide_goods",
		"/xpay/download_bill":                 "xpay/download_bill",
	}
}
