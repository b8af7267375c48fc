package gateway

import "github.com/gofiber/fiber/v2"

// methodOther stands for every method that is not in methods. As a label it keeps the set closed; matchRoute refuses it.
const methodOther = "OTHER"

// methods are the methods that Fiber's router is told of. forwardable are those of RFC 9110 §9 and RFC 5789 that a
// gateway may forward.
func methods() []string { return append(forwardable(), methodOther) }

func forwardable() []string {
	return []string{
		fiber.MethodGet, fiber.MethodHead, fiber.MethodPost, fiber.MethodPut, fiber.MethodPatch, fiber.MethodDelete,
		fiber.MethodOptions,
	}
}
