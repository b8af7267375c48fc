package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/gateway/wire"
	"wxgate/lograte"
	"wxgate/storage"
	"wxgate/upstream"
)

// The refusals of the edge itself.
var (
	errInvalidRequest = errors.New("invalid request")
	errNoRoute        = errors.New("no route")
	errBodyTooLarge   = errors.New("body too large")
	errRateLimited    = errors.New("rate limited")
	errIPDenied       = errors.New("address denied")
	errOverloaded     = errors.New("overloaded")
	errTooManyHeld    = errors.New("too many held")
	errDraining       = errors.New("draining")
	errInternal       = errors.New("internal")

	errTooManyConnections = errors.New("too many connections")
)

// What else is an invalid request.
var (
	errAmbiguousPath = fmt.Errorf("%w: the path could be read in two ways", errInvalidRequest) // see route.ParseRequestTarget
	errUnknownMethod = fmt.Errorf("%w: the method is not one that is forwarded", errInvalidRequest)
)

// failure is one row of the error table: the only place that knows what an error is in HTTP. It is the reason in the
// body, the label of the metric and the line in docs/api.md.
type failure struct {
	err        error
	status     int
	reason     string
	message    string // to the user of the mini-program
	retryAfter int    // seconds; 0: no Retry-After
}

// failures is the error table. 401 always means that logging in again helps. An error without a row is a 500.
func failures() []failure {
	return []failure{
		{authn.ErrTokenMissing, 401, "token_missing", "请先登录", 0},
		{authn.ErrTokenMalformed, 401, "token_malformed", "登录凭证格式错误，请重新登录", 0},
		{authn.ErrTokenInvalid, 401, "token_invalid", "登录凭证无效，请重新登录", 0},
		{authn.ErrTokenExpired, 401, "token_expired", "登录已过期，请重新登录", 0},
		{authn.ErrTokenRevoked, 401, "token_revoked", "登录已失效，请重新登录", 0},
		{authn.ErrTokenReused, 401, "token_reused", "登录凭证已被更换，请重新登录", 0},
		{authn.ErrCloudIdentity, 401, "cloud_identity_missing", "无法确认微信身份，请检查云函数或云托管的配置", 0},
		{authn.ErrCodeInvalid, 401, "wx_code_invalid", "invalid code", 0},
		{authn.ErrCodeUsed, 401, "wx_code_used", "code been used", 0},
		{authn.ErrPhoneCodeInvalid, 409, "phone_code_invalid", "请重新点击按钮获取手机号", 0},
		{authn.ErrPhoneCodeRequired, 409, "phone_code_required", "当前微信版本过低，请升级微信后重新获取手机号", 0},
		{authn.ErrSessionKeyStale, 409, "session_key_stale", "数据无法解密，请重新获取", 0},
		{authn.ErrUserBlocked, 403, "wx_user_blocked", "微信限制了该用户", 0},
		{authn.ErrRateLimited, 429, "wx_rate_limited", "操作过于频繁，请稍后再试", 60},
		{authn.ErrMisconfigured, 500, "wx_misconfigured", "小程序配置有误", 0},
		{authn.ErrBusy, 503, "wx_busy", "微信服务繁忙，请稍后再试", 1},
		{authn.ErrTimeout, 504, "wx_timeout", "微信服务响应超时，请重试", 0},
		{authn.ErrUnreachable, 502, "wx_unreachable", "暂时无法连接微信服务，请稍后再试", 0},
		{authn.ErrBadResponse, 502, "wx_bad_response", "微信服务响应异常，请重试", 0},
		{authn.ErrInvalidRequest, 400, "invalid_request", "请求参数错误", 0},
		{errInvalidRequest, 400, "invalid_request", "请求格式错误", 0},
		{errNoRoute, 404, "no_route", "接口不存在", 0},
		{errBodyTooLarge, 413, "body_too_large", "请求内容过大", 0},
		{errRateLimited, 429, "rate_limited", "请求过于频繁，请稍后再试", 1},
		{errTooManyHeld, 429, "too_many_held", "同时进行的请求过多，请稍后再试", 1},
		{errIPDenied, 403, "ip_denied", "当前网络不允许访问", 0},
		{errOverloaded, 503, "overloaded", "服务繁忙，请稍后再试", 1},
		{errDraining, 503, "draining", "服务正在重启，请稍后再试", 1},
		{errTooManyConnections, 503, "too_many_connections", "连接过多，请稍后再试", 1},
		{upstream.ErrOverloaded, 503, "overloaded", "服务繁忙，请稍后再试", 1}, // before its other kinds: a bound of ours is no fault of the service
		{upstream.ErrStopped, 499, "client_gone", "客户端已断开", 0},       // in the log and the metric alone: nobody is there to read it
		{upstream.ErrConnect, 502, "upstream_connect", "服务暂时无法连接", 0},
		{upstream.ErrReset, 502, "upstream_reset", "服务连接中断", 0},
		{upstream.ErrInvalid, 502, "upstream_invalid", "服务响应异常", 0},
		{upstream.ErrTimeout, 504, "upstream_timeout", "服务响应超时", 0},
		{upstream.ErrBreakerOpen, 503, "breaker_open", "服务暂时不可用，请稍后再试", 1},
		{upstream.ErrUnavailable, 503, "upstream_unavailable", "服务繁忙，请稍后再试", 1},
		{authn.ErrUserBanned, 403, "user_banned", "该账号已被停用", 0}, // no 401: logging in again does not help
		{storage.ErrNotFound, 404, "not_found", "要找的内容不存在", 0},
		{storage.ErrConflict, 409, "conflict", "编号或 openid 已属于另一位用户", 0},
		{errAdminToken, 401, "admin_token_invalid", "管理令牌缺失或错误", 0},
		{errAdminOrigin, 403, "admin_origin_denied", "管理接口只回答本机的直接请求", 0},
		{storage.ErrUnavailable, 503, "storage_unavailable", "存储暂时不可用，请稍后再试", 5},
		{storage.ErrDamaged, 503, "storage_unavailable", "存储暂时不可用，请稍后再试", 60},
		{errPushRefused, 502, "upstream_invalid", "服务响应异常", 0},
		{upstream.ErrSlowBody, 408, "body_timeout", "请求内容发送过慢，请重试", 0},
		{upstream.ErrRequestBody, 400, "invalid_request", "请求格式错误", 0},
		{errInternal, 500, "internal", "服务内部错误", 0},
	}
}

// failureOf finds the row of an error; the last row serves all that have none.
func (g *Gateway) failureOf(err error) failure {
	for _, f := range g.failures {
		if errors.Is(err, f.err) {
			return f
		}
	}
	return g.failures[len(g.failures)-1]
}

// fail answers with the error's row. Only the row and what WeChat calls its errcode reach the client; the error's own
// text goes to the log.
func (g *Gateway) fail(c *fiber.Ctx, err error) {
	f := g.failureOf(err)
	if fault := wire.Fault(c.Context().Conn(), err); fault != nil {
		g.metrics.connections.refused(fault)
		f.status = fault.Status() // a body that came too slowly is 408, one with broken framing 400
	}
	if after, known := retryAfter(err); known {
		f.retryAfter = int(max(1, wholeSeconds(after)))
	}
	ex := exchangeOf(c)
	ex.reason, ex.ending = f.reason, nil
	c.Response().Reset() // an upstream's half answer must not shine through
	if f.reason == "invalid_request" {
		ex.detail = err.Error()
	}
	f = asOddStatus(c, f, err)
	if f.status >= 500 {
		g.often.Error(lograte.Kind{Message: "request failed", Reason: f.reason, Upstream: ex.upstreamName()}, "request_id", ex.id, "error", err)
	}
	answerFailure(c, f, messageOf(f, err), ex.id, g.deps.Now())
	if errors.Is(err, upstream.ErrStopped) {
		g.endWithoutAnswer(c)
	}
}

// endWithoutAnswer closes a connection whose client has left: what log and metric say of it is no status of HTTP.
func (g *Gateway) endWithoutAnswer(c *fiber.Ctx) {
	c.Context().HijackSetNoResponse(true)
	g.takeOver(c, func(net.Conn) {}, func() {})
}

// retryAfter is when it is worth to try again, for errors that know it better than their row.
func retryAfter(err error) (after time.Duration, known bool) {
	var limited *limitedError
	if errors.As(err, &limited) {
		return limited.after, true
	}
	var tooMuch *overloadError
	if errors.As(err, &tooMuch) {
		return tooMuch.after, true
	}
	var open *upstream.OpenError
	if errors.As(err, &open) {
		return open.After, true
	}
	return 0, false
}

// messageOf is the row's message. A failed login also carries WeChat's errcode, because teams search for the number; for
// another API only where the user can do nothing about it.
func messageOf(f failure, err error) string {
	var field *authn.FieldError
	if errors.As(err, &field) {
		return f.message + ": " + field.Error()
	}
	var answer *authn.WeChatError
	switch {
	case errors.Is(err, authn.ErrSentBefore):
		return "该 code 已发送给微信但未得到答复，请重新调用 wx.login"
	case !errors.As(err, &answer) || answer.Code == 0:
		return f.message
	case answer.API == wechat.APICode2Session:
		return fmt.Sprintf("微信登录失败: %s (错误码: %d)", f.message, answer.Code)
	case f.status >= 500:
		return fmt.Sprintf("%s (错误码: %d)", f.message, answer.Code)
	}
	return f.message
}

// refuseUnread answers what the strict reader or fasthttp refused before our chain saw it, and ends the connection.
func (g *Gateway) refuseUnread(ctx *fasthttp.RequestCtx, err error) {
	c := g.app.AcquireCtx(ctx)
	defer g.app.ReleaseCtx(c)
	f := g.failureOf(errInvalidRequest)
	detail := slog.String("detail", "unreadable")
	if fault := wire.Fault(ctx.Conn(), err); fault != nil {
		g.metrics.connections.refused(fault)
		f.status = fault.Status()
		detail = slog.String("detail", string(fault.Reason))
	}
	if f.status == fiber.StatusMethodNotAllowed {
		c.Set(fiber.HeaderAllow, allowed())
	}
	id := newRequestID()
	g.metrics.refusedEarly(f)
	g.deps.Log.Info("refused request", "request_id", id, "status", f.status, detail, "client_ip", clientText(peerOf(c)))
	answerFailure(c, f, f.message, id, g.deps.Now())
	c.Response().SetConnectionClose()
}

// answerError is Fiber's error handler: it is reached by what begin refuses before there is an exchange.
func (g *Gateway) answerError(c *fiber.Ctx, err error) error {
	switch {
	case errors.Is(err, errContinue):
		c.Status(fiber.StatusContinue)
		return nil
	case errors.Is(err, errMoved):
		return nil // nothing is answered here
	}
	f, id := g.failureOf(err), newRequestID()
	if f.status >= 500 {
		g.often.Error(lograte.Kind{Message: "request failed before it began", Reason: f.reason}, "request_id", id, "error", err)
	}
	g.metrics.refusedEarly(f)
	answerFailure(c, f, f.message, id, g.deps.Now())
	c.Response().SetConnectionClose()
	return nil
}

// statusName is the field error of the envelope.
func statusName(status int) string { return http.StatusText(status) }
