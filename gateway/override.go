package gateway

import (
	"slices"

	"github.com/gofiber/fiber/v2"

	"wxgate/gateway/answer"
)

// headerMethodOverride carries the method that wx.request cannot send.
const headerMethodOverride = "X-Http-Method-Override"

// overrideMethod makes a POST with X-HTTP-Method-Override the request it stands for, before anything is decided on the
// method. Other methods cannot be overridden, and the header never reaches a service, which might see it differently.
func (g *Gateway) overrideMethod(c *fiber.Ctx) error {
	wanted := c.Request().Header.PeekAll(headerMethodOverride)
	if len(wanted) == 0 || c.Method() != fiber.MethodPost {
		return c.Next()
	}
	method := string(wanted[0])
	if len(wanted) > 1 || !slices.Contains([]string{fiber.MethodPut, fiber.MethodPatch, fiber.MethodDelete}, method) {
		return answer.ErrInvalidRequest
	}
	exchangeOf(c).method = fiber.MethodPost // what it was is written over
	c.Request().Header.SetMethod(method)
	c.Method(method)
	return c.Next()
}
