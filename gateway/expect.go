package gateway

import (
	"bytes"
	"errors"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
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

func askedBefore(c *fiber.Ctx) progress {
	p, _ := c.Locals(expectKey{}).(progress)
	return p
}

const continueExpected = "100-continue"

// readExpect makes fasthttp ask us about every expectation, and by the rule: in any case of its letters, but not when a
// 1.0 client sent it or when no body follows (RFC 9110 §10.1.1). fasthttp knows the first value alone, spelled so.
func readExpect(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if len(h.Peek(fiber.HeaderExpect)) == 0 {
		return fasthttp.RequestConfig{}
	}
	other := expectsOther(h)
	h.Del(fiber.HeaderExpect)
	if h.ContentLength() > 0 || h.ContentLength() == -1 {
		h.Set(fiber.HeaderExpect, continueExpected)
	}
	switch {
	case other:
		h.Add(fiber.HeaderExpect, "other")
	case !h.IsHTTP11():
		h.Del(fiber.HeaderExpect)
	}
	return fasthttp.RequestConfig{}
}

func expectsOther(h *fasthttp.RequestHeader) bool {
	for _, value := range h.PeekAll(fiber.HeaderExpect) {
		if len(value) > 0 && !bytes.EqualFold(value, []byte(continueExpected)) {
			return true
		}
	}
	return false
}

// expect decides, before the body is sent, whether its request is let through: the request walks the same chain as
// every other, to admit instead of serve. A refusal is the whole answer, and fasthttp closes the connection after it.
// fasthttp sends the 100 at once when this returns StatusContinue; the request then walks the chain again.
func (g *Gateway) expect(ctx *fasthttp.RequestCtx) int {
	ctx.SetUserValue(expectKey{}, asking)
	g.asking(ctx)
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
		return &oddStatus{status: fiber.StatusExpectationFailed, detail: "an expectation other than 100-continue"}
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
