package gateway

import (
	"bytes"
	"errors"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/gateway/listen"
)

// errContinue ends the first walk of a request that may send its body.
var errContinue = errors.New("continue")

// expectKey is the key of a request's progress in its user values.
type expectKey struct{}

// progress is how far a request that expects 100-continue has come.
type progress uint8

const (
	unasked  progress = iota // it expects nothing
	asking                   // it walks the chain for the answer to its expectation
	admitted                 // it was told to go on, and comes with its body
)

// arrivalKey is the key of the time at which the head of such a request came, in its user values.
type arrivalKey struct{}

// arrivedAt is when the head of the request came: what was signed then holds, however long the body takes.
func (ex *exchange) arrivedAt(c *fiber.Ctx) time.Time {
	if head, known := c.Locals(arrivalKey{}).(time.Time); known {
		return head
	}
	return ex.start
}

func askedBefore(c *fiber.Ctx) progress {
	p, _ := c.Locals(expectKey{}).(progress)
	return p
}

const continueExpected = "100-continue"

// readExpect makes fasthttp ask us about every expectation, and by the rule: in any case of its letters, but not when no
// body follows (RFC 9110 §10.1.1). fasthttp knows the first value alone, spelled so. It also makes fasthttp ask about
// every body with a length: by itself it waits for the first byte of one before it calls a handler, and a refusal must
// not wait.
func readExpect(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	other := expectsOther(h)
	h.Del(fiber.HeaderExpect)
	if length := h.ContentLength(); length > 0 || length == -1 && waitsForContinue(h) {
		h.Set(fiber.HeaderExpect, continueExpected)
	}
	if other {
		h.Add(fiber.HeaderExpect, "other")
	}
	return fasthttp.RequestConfig{}
}

// waitsForContinue reports whether the client waits for 100 before it sends the body, which none of HTTP/1.0 may.
func waitsForContinue(h *fasthttp.RequestHeader) bool {
	if !h.IsHTTP11() {
		return false
	}
	for name, value := range header.Lines(h) {
		if bytes.EqualFold(name, []byte(fiber.HeaderExpect)) && bytes.EqualFold(value, []byte(continueExpected)) {
			return true
		}
	}
	return false
}

func expectsOther(h *fasthttp.RequestHeader) bool {
	for _, value := range h.PeekAll(fiber.HeaderExpect) {
		if len(value) > 0 && !bytes.EqualFold(value, []byte(continueExpected)) {
			return true
		}
	}
	return false
}

// expect decides, before the body has come, whether its request is let through: the request walks the same chain as
// every other, to admit instead of serve. A refusal is the whole answer, and fasthttp closes the connection after it.
// fasthttp sends the 100 at once when this returns StatusContinue; the request then walks the chain again. A body that
// has begun to come is neither told to nor in need of a walk of its own.
func (g *Gateway) expect(ctx *fasthttp.RequestCtx) int {
	if client, strict := ctx.Conn().(*listen.Conn); strict && !waitsForContinue(&ctx.Request.Header) {
		client.SkipContinue()
		if !client.AwaitsBody() {
			return fasthttp.StatusContinue
		}
	}
	method := string(ctx.Method())
	ctx.SetUserValue(expectKey{}, asking)
	ctx.SetUserValue(arrivalKey{}, g.deps.Now())
	g.asking(ctx)
	ctx.Request.Header.SetMethod(method) // the second walk begins with the request as it came, before any override
	if status := ctx.Response.StatusCode(); status != fasthttp.StatusContinue {
		return status
	}
	ctx.SetUserValue(expectKey{}, admitted)
	ctx.Response.Reset()
	ctx.Response.Header.SetNoDefaultContentType(true)
	return fasthttp.StatusContinue
}

// admit is where the first walk ends when nothing refused the request.
func (*Gateway) admit(*fiber.Ctx) error { return errContinue }

// expectation refuses what cannot be expected of us (RFC 9110 §10.1.1).
func (*Gateway) expectation(c *fiber.Ctx) error {
	if expectsOther(&c.Request().Header) {
		return &answer.StatusError{Status: fiber.StatusExpectationFailed, Detail: "an expectation other than 100-continue"}
	}
	return c.Next()
}

// once leaves out a step on the second walk: a limit counts a request, not its walks.
func once(step fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		if exchangeOf(c).asked {
			return c.Next()
		}
		return step(c)
	}
}
