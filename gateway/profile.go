package gateway

import (
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/storage"
)

// profile answers GET /api/v1/user/profile.
func (g *Gateway) profile(c *fiber.Ctx) error {
	subject := exchangeOf(c).subject
	user, err := g.deps.Authn.Profile(c.UserContext(), subject.UserID)
	if err != nil {
		return ofSubject(err)
	}
	return g.succeed(c, answer.UserOf(user))
}

// updateProfile answers PUT /api/v1/user/profile.
func (g *Gateway) updateProfile(c *fiber.Ctx) error {
	subject := exchangeOf(c).subject
	var change authn.Profile
	if err := readJSON(c, &change); err != nil {
		return err
	}
	user, err := g.deps.Authn.UpdateProfile(c.UserContext(), subject.UserID, change)
	if err != nil {
		return ofSubject(err)
	}
	return g.succeed(c, answer.UserOf(user))
}

// ofSubject is an error of the user whom the request's own token speaks for: one who is gone has no session either.
func ofSubject(err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("%w: %w", authn.ErrTokenRevoked, err)
	}
	return err
}

// healthz answers GET /healthz and GET /: the process is there. It says nothing else to strangers.
func (g *Gateway) healthz(c *fiber.Ctx) error {
	return g.succeed(c, fiber.Map{"status": "ok"})
}
