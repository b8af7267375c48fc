package gateway

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"wxgate/breaker"
	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/gateway/listen"
	"wxgate/lograte"
	"wxgate/upstream"
)

// succeed answers 200 with data.
func (g *Gateway) succeed(c *fiber.Ctx, data any) error { return g.succeedWith(c, "success", data) }

func (g *Gateway) succeedWith(c *fiber.Ctx, message string, data any) error {
	a, err := answer.Success(message, data, g.deps.Now())
	if err != nil {
		return err
	}
	a.Fill(c.Response())
	return nil
}

// writeJSON answers with v, without the envelope.
func writeJSON(c *fiber.Ctx, status int, v any) error {
	a, err := answer.JSON(status, v)
	if err != nil {
		return err
	}
	a.Fill(c.Response())
	return nil
}

// fail answers with the error's row. Only the row and what WeChat calls its errcode reach the client; the error's own
// text goes to the log.
func (g *Gateway) fail(c *fiber.Ctx, err error) {
	f := g.failures.Of(err)
	if fault := listen.Fault(c.Context().Conn(), err); fault != nil {
		g.metrics.connections.CountMalformed(fault)
		f.Status = fault.Status() // a body that came too slowly is 408, one with broken framing 400
	}
	if after, known := retryAfter(err); known {
		f.RetryAfter = int(max(1, limit.WholeSeconds(after)))
	}
	ex := exchangeOf(c)
	ex.reason, ex.ending = f.Reason, nil
	c.Response().Reset() // an upstream's half answer must not shine through
	if f.Reason == "invalid_request" {
		ex.detail = err.Error()
	}
	var odd *answer.StatusError
	if errors.As(err, &odd) {
		f.Status = odd.Status
		for name, value := range odd.Fields {
			c.Set(name, value)
		}
	}
	if f.Status >= 500 {
		g.often.Error(lograte.Kind{Message: "request failed", Reason: f.Reason, Upstream: ex.upstreamName()}, "request_id", ex.id, "error", err)
	}
	f.Refusal(f.MessageOf(err), "", ex.id, g.deps.Now()).Fill(c.Response())
	if errors.Is(err, upstream.ErrStopped) {
		g.endWithoutAnswer(c)
	}
}

// endWithoutAnswer closes a connection whose client has left: what log and metric say of it is no status of HTTP.
func (g *Gateway) endWithoutAnswer(c *fiber.Ctx) {
	c.Context().HijackSetNoResponse(true)
	g.hijacks.Begin(c.Context(), func(net.Conn) {}, func() {})
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
	var open *breaker.OpenError
	if errors.As(err, &open) {
		return open.After, true
	}
	return 0, false
}

// refuseUnread answers what the strict reader or fasthttp refused before our chain saw it, and ends the connection.
func (g *Gateway) refuseUnread(ctx *fasthttp.RequestCtx, err error) {
	c := g.app.AcquireCtx(ctx)
	defer g.app.ReleaseCtx(c)
	f := g.failures.Of(answer.ErrInvalidRequest)
	detail := slog.String("detail", "unreadable")
	if fault := listen.Fault(ctx.Conn(), err); fault != nil {
		g.metrics.connections.CountMalformed(fault)
		f.Status = fault.Status()
		detail = slog.String("detail", string(fault.Reason))
	}
	if f.Status == http.StatusMethodNotAllowed {
		c.Set(fiber.HeaderAllow, allowed())
	}
	id := answer.NewRequestID()
	g.metrics.refusedEarly(f)
	g.deps.Log.Info("refused request", "request_id", id, "status", f.Status, detail, "client_ip", clientText(peerOf(c)))
	f.Refusal(f.Message, "", id, g.deps.Now()).Fill(c.Response())
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
	f, id := g.failures.Of(err), answer.NewRequestID()
	if f.Status >= 500 {
		g.often.Error(lograte.Kind{Message: "request failed before it began", Reason: f.Reason}, "request_id", id, "error", err)
	}
	g.metrics.refusedEarly(f)
	f.Refusal(f.Message, "", id, g.deps.Now()).Fill(c.Response())
	c.Response().SetConnectionClose()
	return nil
}
