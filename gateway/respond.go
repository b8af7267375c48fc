package gateway

import (
	"encoding/json"
	"net/http"

	"github.com/gofiber/fiber/v2"
)

// newFixedAnswer is what a route with respond is answered with. It is the operator's own text, so it has no envelope.
func newFixedAnswer(cfg FixedAnswer) fiber.Handler {
	a := answer{status: cfg.Status, body: []byte(cfg.Body)}
	switch {
	case cfg.Body == "":
	case json.Valid(a.body):
		a.set(fiber.HeaderContentType, "application/json; charset=utf-8")
	default:
		a.set(fiber.HeaderContentType, "text/plain; charset=utf-8")
	}
	return func(c *fiber.Ctx) error {
		a.writePublic(c)
		return nil
	}
}

func (a FixedAnswer) validate(f *faults, path string) {
	switch {
	case a.Status == 0:
		f.add(path+".body", "is there without a status")
	case a.Status < http.StatusOK || a.Status > 599:
		f.add(path+".status", "%d is not between 200 and 599", a.Status)
	case a.Body != "" && (a.Status == http.StatusNoContent || a.Status == http.StatusNotModified):
		f.add(path+".body", "an answer with status %d has none", a.Status)
	}
}
