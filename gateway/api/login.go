package api

import (
	"bytes"
	"cmp"
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/gateway/answer"
	"wxgate/gateway/header"
)

// headerCode is where Tencent's wafer has the code. It arrives here only if identity.allow lets it pass.
const headerCode = "X-WX-Code"

// loginRequest is the body of a login, or the query of one without a body. The code has the name that wx.login gives it,
// that of WeChat's own API, one of those that clients chose to tell it from the code of a phone number, or one of
// Call.Names. The profile stands beside it, or within userInfo, where clients put the result of wx.getUserProfile.
type loginRequest struct {
	Code      string        `json:"code"`
	JSCode    lenientString `json:"js_code"`
	CamelCode lenientString `json:"jsCode"`
	LoginCode lenientString `json:"loginCode"`
	WXCode    lenientString `json:"wxCode"`
	profile
	UserInfo userInfo `json:"userInfo"`
}

// profile is a profile in both spellings that are in use: that of wx.getUserProfile and a plain one.
type profile struct {
	CamelName lenientString `json:"nickName"`
	Nickname  lenientString `json:"nickname"`
	AvatarURL lenientString `json:"avatarUrl"`
	Avatar    lenientString `json:"avatar"`
}

// userInfo is the userInfo of WeChat, or the whole result that it was part of.
type userInfo struct {
	profile
	Within struct{ profile } `json:"userInfo"`
}

// UnmarshalJSON reads an object, or the text of one, which is what wx.request makes of it in a form. It never fails.
func (u *userInfo) UnmarshalJSON(text []byte) error {
	var quoted string
	if json.Unmarshal(text, &quoted) == nil {
		text = []byte(quoted)
	}
	type fields userInfo
	var read fields
	if json.Unmarshal(text, &read) == nil {
		*u = userInfo(read)
	}
	return nil
}

// code is the code of the login, under any of its names.
func (r loginRequest) code() string {
	return cmp.Or(r.Code, string(cmp.Or(r.JSCode, r.CamelCode, r.LoginCode, r.WXCode)))
}

// nickname is the nickname, nil if there is none.
func (u userInfo) nickname() *string {
	return firstNonEmpty(u.CamelName, u.Nickname, u.Within.CamelName, u.Within.Nickname)
}

// avatar is the avatar, nil if there is none.
func (u userInfo) avatar() *string {
	return firstNonEmpty(u.AvatarURL, u.Avatar, u.Within.AvatarURL, u.Within.Avatar)
}

// lenientString is an optional string next to a code. A value of another type is ignored rather than a reason to refuse
// the code.
type lenientString string

// UnmarshalJSON never fails.
func (a *lenientString) UnmarshalJSON(text []byte) error {
	var s string
	if json.Unmarshal(text, &s) == nil {
		*a = lenientString(s)
	}
	return nil
}

// firstNonEmpty is the first of the strings that is not empty; nil: all are.
func firstNonEmpty(of ...lenientString) *string {
	s := string(cmp.Or(of...))
	if s == "" {
		return nil
	}
	return &s
}

// newLogin converts the request for authn; its strings are copies.
func (a *API) newLogin(c *fiber.Ctx, r loginRequest) authn.Login {
	return authn.Login{
		Admit:    callOf(c).Limits.Login,
		AppID:    header.One(callOf(c).Fields, headerAppID),
		Code:     r.code(),
		Content:  callOf(c).Content,
		Device:   deviceFromUserAgent(c.Get(fiber.HeaderUserAgent)),
		Nickname: cmp.Or(firstNonEmpty(r.CamelName, r.Nickname), r.UserInfo.nickname()),
		Avatar:   cmp.Or(firstNonEmpty(r.AvatarURL, r.Avatar), r.UserInfo.avatar()),
	}
}

// readLogin reads the body of a login. A nickname that was cut in the middle of a character is no reason to refuse the
// code. A code may stand in the query or in headerCode although there is a body; that of the body counts before them.
func readLogin(c *fiber.Ctx, r *loginRequest) error {
	body, err := readBodyOrQuery(c)
	if err != nil {
		return err
	}
	body = bytes.ToValidUTF8(body, []byte("\uFFFD"))
	names := callOf(c).Names
	if err := decodeJSON(body, r); err != nil {
		return err
	}
	r.CamelName = cmp.Or(r.CamelName, lenientString(valueOf(textOf(body, names.Nickname))))
	r.AvatarURL = cmp.Or(r.AvatarURL, lenientString(valueOf(textOf(body, names.Avatar))))
	if r.Code = cmp.Or(r.code(), valueOf(textOf(body, names.Code))); r.Code == "" {
		r.Code = cmp.Or(codeOfQuery(c), header.One(callOf(c).Fields, headerCode))
	}
	return nil
}

// codeOfQuery is the code of a login whose body has none, "" if the query has none either.
func codeOfQuery(c *fiber.Ctx) string {
	query := queryJSON(c)
	var r loginRequest
	if json.Unmarshal(query, &r) != nil {
		return ""
	}
	return cmp.Or(r.code(), valueOf(textOf(query, callOf(c).Names.Code)))
}

// readBodyOrQuery reads the body, or what stands in its place where there is none: the query, as a form, and headerCode.
func readBodyOrQuery(c *fiber.Ctx) ([]byte, error) {
	query := c.Request().URI().QueryString()
	if callOf(c).Body != nil || len(query) == 0 && !callOf(c).Fields.Has(headerCode) {
		return readBody(c)
	}
	return formJSON(query)
}

// Login answers POST /api/v1/auth/wx-login.
func (a *API) Login(c *fiber.Ctx) error {
	var body loginRequest
	if err := readLogin(c, &body); err != nil {
		return err
	}
	grant, err := a.auth.Login(c.UserContext(), a.newLogin(c, body))
	if err != nil {
		return err
	}
	sendGrant(c, callOf(c).Answers.Login(grant, a.now()), grant)
	return nil
}

// legacyLoginAnswer is the answer of POST /api/v1/user/login, for older clients.
type legacyLoginAnswer struct {
	StatusCode int    `json:"statusCode"`
	Message    string `json:"message"`
	Data       struct {
		Skey   string `json:"skey"`
		UserID int64  `json:"user_id"`
	} `json:"data"`
}

// LegacyLogin answers POST /api/v1/user/login; skey is an access token.
func (a *API) LegacyLogin(c *fiber.Ctx) error {
	var body loginRequest
	if err := readLogin(c, &body); err != nil {
		return err
	}
	grant, err := a.auth.Login(c.UserContext(), a.newLogin(c, body))
	if err != nil {
		return err
	}
	login := legacyLoginAnswer{StatusCode: fiber.StatusOK, Message: "success"}
	login.Data.Skey, login.Data.UserID = grant.Token, grant.User.ID
	legacy, err := answer.JSON(fiber.StatusOK, login)
	if err != nil {
		return err
	}
	sendGrant(c, legacy, grant)
	return nil
}

// refreshRequest is the body of a refresh by clients that keep a refresh token beside the token. Ours is both.
type refreshRequest struct {
	RefreshToken lenientString `json:"refresh_token"`
	CamelToken   lenientString `json:"refreshToken"`
}

// refreshCredential is the token of a refresh or logout: from where tokens stand, else from the body, else from the query
// unless it is a GET, whose parameter Paths names. "" if there is none.
func refreshCredential(c *fiber.Ctx) string {
	call := callOf(c)
	if token.HasCredentials(call.Credential) {
		return call.Credential
	}
	var given string
	if call.Body != nil {
		if body, err := readBody(c); err == nil { // whatever else it is, it has no token
			given = refreshToken(body, call.Names)
		}
	}
	if given == "" && c.Method() != fiber.MethodGet {
		given = refreshToken(queryJSON(c), call.Names)
	}
	return cmp.Or(given, call.Credential)
}

// refreshToken is the refresh token in a JSON object, "" if there is none.
func refreshToken(object []byte, names *FieldNames) string {
	var r refreshRequest
	if decodeJSON(object, &r) != nil {
		return ""
	}
	return cmp.Or(string(cmp.Or(r.RefreshToken, r.CamelToken)), valueOf(textOf(object, names.RefreshToken)))
}

// Refresh answers POST /api/v1/auth/refresh.
func (a *API) Refresh(c *fiber.Ctx) error {
	grant, err := a.auth.Sessions.Refresh(c.UserContext(), refreshCredential(c), callOf(c).Limits.Write)
	if err != nil {
		return err
	}
	sendGrant(c, callOf(c).Answers.Refresh(grant, a.now()), grant)
	return nil
}

// loggedOut is the message of logout, in the envelope and in its data.
const loggedOut = "退出成功"

// subjectOfLogout is the user of the call, or of the refresh token that it has instead.
func (a *API) subjectOfLogout(c *fiber.Ctx) (*authn.Subject, error) {
	call := callOf(c)
	if call.Subject != nil {
		return call.Subject, nil
	}
	given, tokens := refreshCredential(c), a.auth.Tokens
	subject, err := tokens.Verify(c.UserContext(), given, func() (*token.Payload, error) {
		bearer, err := token.Bearer(given)
		if err != nil {
			return nil, err
		}
		return tokens.Keys().Parse(bearer)
	})
	if err != nil {
		return nil, err
	}
	return subject, call.Limits.Write(subject.UserID)
}

// Logout answers POST /api/v1/auth/logout; ?all=true ends every session of the user.
func (a *API) Logout(c *fiber.Ctx) error {
	subject, err := a.subjectOfLogout(c)
	if err != nil {
		return err
	}
	end := a.auth.Sessions.Logout
	if c.QueryBool("all") {
		end = a.auth.Sessions.LogoutAll
	}
	if err := end(c.UserContext(), *subject); err != nil {
		return err
	}
	clearCookie(c)
	return a.succeedWith(c, loggedOut, fiber.Map{"message": loggedOut})
}

// clearCookie lets the browser forget the token that it keeps.
func clearCookie(c *fiber.Ctx) {
	if cookie := callOf(c).Cookie; cookie != nil {
		c.Set(fiber.HeaderSetCookie, cookie.Line("", 0))
	}
}
