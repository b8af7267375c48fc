package api

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/storage"
)

// loginRequest is the body of wx-login. Both spellings of the profile are in use: those of wx.getUserProfile and plain
// ones.
type loginRequest struct {
	Code      string `json:"code"`
	CamelName aside  `json:"nickName"`
	Nickname  aside  `json:"nickname"`
	AvatarURL aside  `json:"avatarUrl"`
	Avatar    aside  `json:"avatar"`
}

// aside is a text that comes beside a code. What is no text is none, and no reason to refuse the code.
type aside string

// UnmarshalJSON never fails.
func (a *aside) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) == nil {
		*a = aside(s)
	}
	return nil
}

// either is the first of two that says something; nil: none does.
func either(a, b aside) *string {
	s := string(a)
	if s == "" {
		s = string(b)
	}
	if s == "" {
		return nil
	}
	return &s
}

// loginOf is the request as authn takes it; its strings are copies.
func (a *API) loginOf(c *fiber.Ctx, r loginRequest) authn.Login {
	return authn.Login{
		Admit:    callOf(c).Limits.Login,
		AppID:    header.One(&c.Request().Header, headerAppID),
		Code:     r.Code,
		Device:   deviceOf(c.Get(fiber.HeaderUserAgent)),
		Nickname: either(r.CamelName, r.Nickname),
		Avatar:   either(r.AvatarURL, r.Avatar),
	}
}

// granted is the data of a login.
type granted struct {
	tokenAnswer
	User loginUser `json:"user"`
}

// tokenAnswer is an access token as RFC 6749 §5.1 writes it.
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
}

// loginUser is the user in the answer to a login.
type loginUser struct {
	ID        int64       `json:"id"`
	OpenID    string      `json:"openid"`
	Nickname  string      `json:"nickname"`
	Avatar    string      `json:"avatar"`
	CreatedAt answer.Time `json:"created_at"`
}

// readLogin reads the body of a login. A character that was cut in two, in a nickname, is no reason to refuse the code.
func readLogin(c *fiber.Ctx, r *loginRequest) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	return decodeJSON(bytes.ToValidUTF8(body, []byte("\uFFFD")), r)
}

// Login answers POST /api/v1/auth/wx-login.
func (a *API) Login(c *fiber.Ctx) error {
	var body loginRequest
	if err := readLogin(c, &body); err != nil {
		return err
	}
	grant, err := a.auth.Login(c.UserContext(), a.loginOf(c, body))
	if err != nil {
		return err
	}
	return a.succeed(c, granted{answerOf(grant), loginUserOf(grant.User)})
}

// secondDialect is the answer of POST /api/v1/user/login, which older clients speak.
type secondDialect struct {
	StatusCode int    `json:"statusCode"`
	Message    string `json:"message"`
	Data       struct {
		Skey   string `json:"skey"`
		UserID int64  `json:"user_id"`
	} `json:"data"`
}

// LoginSecondDialect answers POST /api/v1/user/login; skey is an access token.
func (a *API) LoginSecondDialect(c *fiber.Ctx) error {
	var body struct {
		Code string `json:"js_code"`
	}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	grant, err := a.auth.Login(c.UserContext(), a.loginOf(c, loginRequest{Code: body.Code}))
	if err != nil {
		return err
	}
	dialect := secondDialect{StatusCode: fiber.StatusOK, Message: "success"}
	dialect.Data.Skey, dialect.Data.UserID = grant.Token, grant.User.ID
	return writeJSON(c, fiber.StatusOK, dialect)
}

// Refresh answers POST /api/v1/auth/refresh.
func (a *API) Refresh(c *fiber.Ctx) error {
	grant, err := a.auth.Sessions.Refresh(c.UserContext(), header.Authorization(&c.Request().Header), callOf(c).Limits.Write)
	if err != nil {
		return err
	}
	return a.succeed(c, answerOf(grant))
}

// loggedOut is what logout says, in the envelope and in its data.
const loggedOut = "退出成功"

// Logout answers POST /api/v1/auth/logout; ?all=true ends every session of the user.
func (a *API) Logout(c *fiber.Ctx) error {
	subject := callOf(c).Subject
	end := a.auth.Sessions.Logout
	if c.QueryBool("all") {
		end = a.auth.Sessions.LogoutAll
	}
	if err := end(c.UserContext(), *subject); err != nil {
		return err
	}
	return a.succeedWith(c, loggedOut, fiber.Map{"message": loggedOut})
}

func answerOf(grant authn.Grant) tokenAnswer {
	return tokenAnswer{grant.Token, "Bearer", int64(grant.ExpiresIn / time.Second)}
}

func loginUserOf(u storage.User) loginUser {
	return loginUser{u.ID, u.OpenID, u.Nickname, u.Avatar, answer.Time{Time: u.CreatedAt}}
}
