package api

import (
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/storage"
)

// Profile answers GET /api/v1/user/profile.
func (a *API) Profile(c *fiber.Ctx) error {
	subject := callOf(c).Subject
	user, err := a.auth.Users.ByID(c.UserContext(), subject.UserID)
	if err != nil {
		return subjectError(err)
	}
	return a.sendProfile(c, user)
}

// UpdateProfile answers PUT /api/v1/user/profile.
func (a *API) UpdateProfile(c *fiber.Ctx) error {
	subject := callOf(c).Subject
	var change authn.Profile
	if err := readJSON(c, &change); err != nil {
		return err
	}
	user, err := a.auth.Users.UpdateProfile(c.UserContext(), subject.UserID, change)
	if err != nil {
		return subjectError(err)
	}
	return a.sendProfile(c, user)
}

func (a *API) sendProfile(c *fiber.Ctx, user storage.User) error {
	profile, err := callOf(c).Answers.Profile(user, a.now())
	if err != nil {
		return err
	}
	send(c, profile)
	return nil
}

// subjectError maps an error about the user of the token: a user who no longer exists has no session either.
func subjectError(err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("%w: %w", token.ErrRevoked, err)
	}
	return err
}
