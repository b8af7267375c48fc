package gateway

import "github.com/gofiber/fiber/v2"

// methodOther stands for every method that is not in methods: it matches only routes that take all, as a label it keeps
// the set closed, and it is never forwarded.
const methodOther = "OTHER"

// methods are the methods that Fiber's router is told of: those of RFC 9110 §9 and RFC 5789 that a proxy may forward.
func methods() []string {
	return []string{
		fiber.MethodGet, fiber.MethodHead, fiber.MethodPost, fiber.MethodPut, fiber.MethodPatch, fiber.MethodDelete,
		fiber.MethodOptions, methodOther,
	}
}
