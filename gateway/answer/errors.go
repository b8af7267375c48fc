package answer

import (
	"errors"
	"fmt"
	"slices"

	"wxgate/authn"
	"wxgate/authn/issuer"
	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/breaker"
	"wxgate/storage"
	"wxgate/upstream/http1"
)

// Errors of the gateway itself, each with a row in the error table.
var (
	ErrInvalidRequest = errors.New("invalid request")
	ErrNoRoute        = errors.New("no route")
	ErrBodyTooLarge   = errors.New("body too large")
	ErrRateLimited    = errors.New("rate limited")
	ErrQuotaExceeded  = errors.New("quota exceeded")
	ErrIPDenied       = errors.New("address denied")
	ErrOverloaded     = errors.New("overloaded")
	ErrTooManyHeld    = errors.New("too many held")
	ErrDraining       = errors.New("draining")
	ErrInternal       = errors.New("internal")

	ErrTooManyConnections = errors.New("too many connections")

	ErrPushRefused  = errors.New("pushed message refused") // by the service
	ErrOrderRefused = errors.New("order refused")          // by the service, with a 4xx
	ErrOrderFailed  = errors.New("the service failed to say what an order is")
	ErrBackupRuns   = errors.New("another backup is being taken; take this one when it is complete")
	ErrAdminToken   = errors.New("the bearer token is neither server.admin_token nor that of a service")
	ErrServiceScope = errors.New("the service may not do this")
	ErrAdminOrigin  = errors.New("the admin listener is not for web pages of others")

	ErrDashboardSession = errors.New("a browser changes nothing without a session of the dashboard")
	ErrDashboardCode    = errors.New("the code is wrong, was used, or is more than a minute old")
	ErrSignIns          = errors.New("too many sign-ins failed")
)

// Failure is one row of the error table, the only place that maps an error to HTTP. Its reason is the one in the body,
// in the label of the metric and in docs/api.md.
type Failure struct {
	err        error
	Status     int
	Reason     string
	Message    string // to the user of the mini-program
	RetryAfter int    // seconds; 0: no Retry-After
}

// Table is the error table.
type Table []Failure

// NewTable returns the error table. A 401 always means that logging in again helps. An error without a row is a 500.
func NewTable() Table {
	return Table{
		{token.ErrMissing, 401, "token_missing", "请先登录", 0},
		{token.ErrMalformed, 401, "token_malformed", "登录凭证格式错误，请重新登录", 0},
		{token.ErrInvalid, 401, "token_invalid", "登录凭证无效，请重新登录", 0},
		{token.ErrExpired, 401, "token_expired", "登录已过期，请重新登录", 0},
		{token.ErrRevoked, 401, "token_revoked", "登录已失效，请重新登录", 0},
		{issuer.ErrUnavailable, 503, "issuer_unavailable", "暂时无法验证登录凭证，请稍后再试", 5}, // not a 401: logging in again does not help
		{token.ErrReused, 401, "token_reused", "登录凭证已被更换，请重新登录", 0},
		{authn.ErrCloudIdentity, 401, "cloud_identity_missing", "无法确认微信身份，请检查云函数或云托管的配置", 0},
		{authn.ErrCodeInvalid, 401, "wx_code_invalid", "invalid code", 0},
		{authn.ErrCodeUsed, 401, "wx_code_used", "code been used", 0},
		{authn.ErrWebLogin, 401, "web_login_invalid", "登录已过期，或不是在本浏览器中开始的，请重新登录", 0},
		{authn.ErrSnapshotUser, 403, "snapshot_user", "当前是快照页，请点击“使用完整服务”后再登录", 0},
		{authn.ErrContentRisky, 422, "content_risky", "内容含有违规信息，请修改后再试", 0},
		{authn.ErrContentUnchecked, 503, "content_unchecked", "暂时无法审核内容，请稍后再试", 5}, // before what WeChat said
		{authn.ErrLoginTooOld, 403, "login_too_old", "为确认是您本人操作，请重新登录后再试", 0},
		{authn.ErrPhoneCodeInvalid, 409, "phone_code_invalid", "请重新点击按钮获取手机号", 0},
		{authn.ErrPhoneCodeRequired, 409, "phone_code_required", "当前微信版本过低，请升级微信后重新获取手机号", 0},
		{authn.ErrSigningKeyStale, 409, "session_key_stale", "登录状态已更新，请重新登录后再试", 0}, // before the one about data
		{authn.ErrSessionKeyStale, 409, "session_key_stale", "数据无法解密，请重新获取", 0},
		{authn.ErrUserService, 503, "user_service_unavailable", "用户服务暂时不可用，请稍后重新登录", 2}, // before what the service did
		{authn.ErrUserBlocked, 403, "wx_user_blocked", "微信限制了该用户", 0},
		{authn.ErrRateLimited, 429, "wx_rate_limited", "操作过于频繁，请稍后再试", 60},
		{authn.ErrMisconfigured, 500, "wx_misconfigured", "小程序配置有误", 0},
		{authn.ErrBusy, 503, "wx_busy", "微信服务繁忙，请稍后再试", 1},
		{authn.ErrTimeout, 504, "wx_timeout", "微信服务响应超时，请重试", 0},
		{authn.ErrUnreachable, 502, "wx_unreachable", "暂时无法连接微信服务，请稍后再试", 0},
		{authn.ErrBadResponse, 502, "wx_bad_response", "微信服务响应异常，请重试", 0},
		{authn.ErrInvalidRequest, 400, "invalid_request", "请求参数错误", 0},
		{ErrInvalidRequest, 400, "invalid_request", "请求格式错误", 0},
		{ErrNoRoute, 404, "no_route", "接口不存在", 0},
		{ErrBodyTooLarge, 413, "body_too_large", "请求内容过大", 0},
		{ErrRateLimited, 429, "rate_limited", "请求过于频繁，请稍后再试", 1},
		{ErrQuotaExceeded, 429, "quota_exceeded", "今日次数已用完，请明天再来", 0}, // with the time until midnight
		{ErrTooManyHeld, 429, "too_many_held", "同时进行的请求过多，请稍后再试", 1},
		{ErrIPDenied, 403, "ip_denied", "当前网络不允许访问", 0},
		{ErrOverloaded, 503, "overloaded", "服务繁忙，请稍后再试", 1},
		{ErrDraining, 503, "draining", "服务正在重启，请稍后再试", 1},
		{ErrTooManyConnections, 503, "too_many_connections", "连接过多，请稍后再试", 1},
		{http1.ErrOverloaded, 503, "overloaded", "服务繁忙，请稍后再试", 1}, // before the more general errors: our own limits are not the service's fault
		{http1.ErrStopped, 499, "client_gone", "客户端已断开", 0},       // in the log and the metric only: the client has left
		{http1.ErrConnect, 502, "upstream_connect", "服务暂时无法连接", 0},
		{http1.ErrReset, 502, "upstream_reset", "服务连接中断", 0},
		{http1.ErrInvalid, 502, "upstream_invalid", "服务响应异常", 0},
		{http1.ErrTimeout, 504, "upstream_timeout", "服务响应超时", 0},
		{breaker.ErrOpen, 503, "breaker_open", "服务暂时不可用，请稍后再试", 1},
		{http1.ErrUnavailable, 503, "upstream_unavailable", "服务繁忙，请稍后再试", 1},
		{authn.ErrUserBanned, 403, "user_banned", "该账号已被停用", 0}, // not a 401: logging in again does not help
		{storage.ErrNotFound, 404, "not_found", "要找的内容不存在", 0},
		{storage.ErrOtherSealing, 409, "conflict", "另一个网关使用不同的加密密钥", 0},
		{storage.ErrConflict, 409, "conflict", "编号或 openid 已属于另一位用户", 0},
		{storage.ErrLinked, 409, "conflict", "该编号已合并到另一位用户", 0},
		{storage.ErrNotLinked, 409, "conflict", "该编号没有合并到另一位用户", 0},
		{ErrBackupRuns, 409, "conflict", "另一个备份正在进行", 0},
		{ErrAdminToken, 401, "admin_token_invalid", "管理令牌缺失或错误", 0},
		{ErrServiceScope, 403, "service_not_allowed", "该服务没有此权限", 0},
		{ErrAdminOrigin, 403, "admin_origin_denied", "管理接口只回答本机的直接请求", 0},
		{ErrDashboardSession, 401, "admin_token_invalid", "请先登录管理面板", 0},
		{ErrDashboardCode, 401, "admin_token_invalid", "登录码错误、已使用或已过期", 0},
		{ErrSignIns, 429, "rate_limited", "登录失败次数过多，请稍后再试", 60},
		{storage.ErrUnavailable, 503, "storage_unavailable", "存储暂时不可用，请稍后再试", 5},
		{storage.ErrDamaged, 503, "storage_unavailable", "存储暂时不可用，请稍后再试", 60},
		{ErrPushRefused, 502, "upstream_invalid", "服务响应异常", 0},
		{ErrOrderRefused, 409, "order_refused", "该订单无法支付，请刷新后重试", 0},
		{ErrOrderFailed, 502, "upstream_invalid", "服务响应异常", 0},
		{wechat.ErrSignData, 502, "sign_data_invalid", "支付参数有误，请稍后再试", 0},
		{http1.ErrSlowBody, 408, "body_timeout", "请求内容发送过慢，请重试", 0},
		{http1.ErrRequestBody, 400, "invalid_request", "请求格式错误", 0},
		{ErrInternal, 500, "internal", "服务内部错误", 0},
	}
}

// Lookup finds the row of an error; the last row is for errors that have none.
func (t Table) Lookup(err error) Failure {
	for _, f := range t {
		if errors.Is(err, f.err) {
			return f
		}
	}
	return t[len(t)-1]
}

// MessageOf is the message of the last row with a reason, which is the more general one; "" if none has it.
func (t Table) MessageOf(reason string) string {
	for _, f := range slices.Backward(t) {
		if f.Reason == reason {
			return f.Message
		}
	}
	return ""
}

// MessageFor is the message of the row for an error. A failed login also carries WeChat's errcode, because teams search
// for the number; other APIs only where the user can do nothing about it.
func (f Failure) MessageFor(err error) string {
	if field, ok := errors.AsType[*authn.FieldError](err); ok {
		return f.Message + ": " + field.Error()
	}
	weChat, fromWeChat := errors.AsType[*authn.WeChatError](err)
	switch {
	case errors.Is(err, authn.ErrSentBefore):
		return "该 code 已发送给微信但未得到答复，请重新调用 wx.login"
	case !fromWeChat || weChat.Code == 0:
		return f.Message
	case weChat.API == wechat.APICode2Session, weChat.API == wechat.APIWebToken:
		return fmt.Sprintf("微信登录失败: %s (错误码: %d)", f.Message, weChat.Code)
	case f.Status >= 500:
		return fmt.Sprintf("%s (错误码: %d)", f.Message, weChat.Code)
	}
	return f.Message
}
