package gateway

import (
	"errors"

	"github.com/gofiber/fiber/v2"
)

// oddStatus is an invalid request for which HTTP has a status of its own. Its reason stays invalid_request.
type oddStatus struct {
	status int
	detail string            // for logs
	fields map[string]string // of the answer
}

func (e *oddStatus) Error() string { return e.detail }

func (e *oddStatus) Unwrap() error { return errInvalidRequest }

// asOddStatus gives err's own status to the row that it has.
func asOddStatus(c *fiber.Ctx, f failure, err error) failure {
	var odd *oddStatus
	if errors.As(err, &odd) {
		f.status = odd.status
		for name, value := range odd.fields {
			c.Set(name, value)
		}
	}
	return f
}
