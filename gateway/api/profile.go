package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/gateway/answer"
	"wxgate/storage"
)

// Profile answers GET /api/v1/user/profile.
func (a *API) Profile(c *fiber.Ctx) error {
	subject := callOf(c).Subject
	user, err := a.auth.Users.Of(c.UserContext(), *subject)
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
	user, err := a.auth.Users.UpdateProfile(c.UserContext(), *subject, change, callOf(c).Content)
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

// deletion is the answer to a user who asked to be erased.
type deletion struct {
	DeletesAt *answer.Time `json:"deletes_at"` // null: everything is gone
}

// DeleteUser answers DELETE /api/v1/user: the user is erased, or will be, unless they log in before.
func (a *API) DeleteUser(c *fiber.Ctx) error {
	at, err := a.auth.Deletions.Request(c.UserContext(), *callOf(c).Subject)
	if err != nil {
		return subjectError(err)
	}
	clearCookie(c)
	if at.IsZero() {
		return a.succeedWith(c, "注销成功", deletion{})
	}
	return a.succeedWith(c, "已申请注销，在此之前登录即可撤销", deletion{&answer.Time{Time: at}})
}

// export is what the gateway knows of a user, for themselves. No secret is part of it, and no session_key.
type export struct {
	User       exportedUser      `json:"user"`
	Accounts   []exportedAccount `json:"accounts"` // other mini-programs in which the user is the same, or about to be: authn.link
	Phone      *storage.Phone    `json:"phone"`    // null: none
	Sessions   []ownSession      `json:"sessions"`
	ExportedAt answer.Time       `json:"exported_at"`
}

type exportedUser struct {
	answer.User

	AppID   string `json:"appid"`
	UnionID string `json:"unionid"`
}

func newExportedUser(u storage.User) exportedUser {
	return exportedUser{answer.NewUser(u), u.AppID, u.UnionID}
}

// exportedAccount is an account that is linked to the user, or about to be: its record keeps what was said through it before.
type exportedAccount struct {
	exportedUser

	Phone *storage.Phone `json:"phone"`
}

// maxExported is how many sessions an export has at most, the oldest first: authn.sessions.max_per_user is 50 by default.
const maxExported = 1000

// ExportUser answers GET /api/v1/user/export.
func (a *API) ExportUser(c *fiber.Ctx) error {
	ctx, subject := c.UserContext(), *callOf(c).Subject
	if err := a.auth.Sessions.RequireFresh(ctx, subject); err != nil {
		return err
	}
	user, err := a.auth.Users.ByID(ctx, subject.UserID)
	if err != nil {
		return subjectError(err)
	}
	all := export{
		User: newExportedUser(user), Accounts: []exportedAccount{}, Sessions: []ownSession{}, ExportedAt: answer.Time{Time: a.now()},
	}
	accounts, err := a.auth.Users.Accounts(ctx, user.ID)
	if err != nil {
		return err
	}
	for _, u := range accounts {
		phone, err := a.phoneOf(ctx, u.ID)
		if err != nil {
			return err
		}
		all.Accounts = append(all.Accounts, exportedAccount{newExportedUser(u), phone})
	}
	if all.Phone, err = a.phoneOf(ctx, user.ID); err != nil {
		return err
	}
	sessions, err := a.auth.Sessions.List(ctx, user.ID, storage.SessionCursor{}, maxExported)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		all.Sessions = append(all.Sessions, newOwnSession(s, subject.SessionID))
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return a.succeed(c, all)
}

func (a *API) phoneOf(ctx context.Context, userID int64) (*storage.Phone, error) {
	phone, err := a.auth.OpenData.PhoneOf(ctx, userID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	return &phone, err
}
