package api

import (
	"cmp"
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
	change, err := readProfile(c)
	if err != nil {
		return err
	}
	user, err := a.auth.Users.UpdateProfile(c.UserContext(), subject.UserID, change)
	if err != nil {
		return subjectError(err)
	}
	return a.sendProfile(c, user)
}

// profileRequest is the body of a change, with the names that a login takes too. JSON is read in any case, so nickName is
// nickname.
type profileRequest struct {
	authn.Profile
	AvatarURL *string  `json:"avatarUrl"`
	UserInfo  userInfo `json:"userInfo"`
}

// readProfile reads the change of a profile, under any of its names.
func readProfile(c *fiber.Ctx) (change authn.Profile, err error) {
	body, err := readBody(c)
	if err != nil {
		return change, err
	}
	var r profileRequest
	if err := decodeJSON(body, &r); err != nil {
		return change, err
	}
	names, change := callOf(c).Names, r.Profile
	change.Nickname = cmp.Or(change.Nickname, textOf(body, names.Nickname), r.UserInfo.nickname())
	change.Avatar = cmp.Or(change.Avatar, r.AvatarURL, textOf(body, names.Avatar), r.UserInfo.avatar())
	change.Bio = cmp.Or(change.Bio, textOf(body, names.Bio))
	return change, nil
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
