// Package api answers the gateway's own endpoints: logins and tokens, sessions, the profile, and data that WeChat
// encrypted. The gateway calls it once its chain has accepted a request, and it knows only what is in its Call. Its errors are
// those of authn and of the table in package answer.
package api

import (
	"fmt"
	"io"
	"mime"
	"time"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/gateway/credential"
	"wxgate/input"
	"wxgate/message"
)

// API has a handler for each endpoint. Handlers are to be called by Serve.
type API struct {
	auth *authn.Authn
	now  func() time.Time
}

// New returns the endpoints of auth. now is the clock for the timestamps of answers.
func New(auth *authn.Authn, now func() time.Time) *API { return &API{auth, now} }

// Call is a request that the chain has accepted.
type Call struct {
	Subject *authn.Subject       // its user; never nil on endpoints that require a token
	Cloud   *authn.CloudIdentity // the caller according to WeChat Cloud Run; nil: none, or not trusted
	Path    []byte               // decoded
	Fields  *message.Fields      // of its head
	Body    io.Reader            // limited in size; nil: there is none
	Limits  Limits
	Answers *answer.Shape // how answers look
	Names   *FieldNames   // of fields, beside those that are known

	Cookie *credential.SetCookie // by which the browser keeps a token; nil: by none

	Credential string // its token as it was written, "Bearer" or not; "": there is none

	Web *WebLogin // for the endpoints of web pages; nil: the call is about something else

	Payment *Payment // how the user's mini-program is paid; nil: not by virtual payment, or the call is about something else

	Content           authn.ContentPolicy // for what users write of themselves
	PhoneByDecryption bool                // wechat.phone_by_decryption
	SignedIdentities  bool                // identity.signed: services get signed identities
}

// Limits are checked once the endpoint knows whom or what to count. Their errors refuse the request.
type Limits interface {
	Login(appID, openID string) error      // as soon as WeChat has named the openid
	Write(userID int64) error              // before anything is written for a user
	Phone() error                          // before WeChat is called for a number
	Decryption(decrypt func() error) error // around a decryption; only failures count
}

// callKey is the key of the call in a request's locals.
type callKey struct{}

// Serve answers a call with one of the handlers of API, such as (*API).Login.
func (a *API) Serve(c *fiber.Ctx, call *Call, handler func(*API, *fiber.Ctx) error) error {
	c.Locals(callKey{}, call)
	return handler(a, c)
}

func callOf(c *fiber.Ctx) *Call {
	call, _ := c.Locals(callKey{}).(*Call)
	return call
}

// succeed answers 200 with data.
func (a *API) succeed(c *fiber.Ctx, data any) error { return a.succeedWith(c, "success", data) }

func (a *API) succeedWith(c *fiber.Ctx, message string, data any) error {
	success, err := callOf(c).Answers.Success(message, data, a.now())
	if err != nil {
		return err
	}
	send(c, success)
	return nil
}

// writeJSON answers with v, without the envelope.
func writeJSON(c *fiber.Ctx, status int, v any) error {
	a, err := answer.JSON(status, v)
	if err != nil {
		return err
	}
	send(c, a)
	return nil
}

// send answers with a.
func send(c *fiber.Ctx, a answer.Answer) {
	c.Status(a.Status)
	for _, f := range a.Fields {
		c.Set(f[0], f[1])
	}
	c.Response().SetBodyRaw(a.Body)
}

// readJSON decodes the body of a request into v. Unknown fields are ignored: clients of all versions send them.
func readJSON(c *fiber.Ctx, v any) error {
	body, err := readBody(c)
	if err != nil {
		return err
	}
	return decodeJSON(body, v)
}

// sendGrant answers with a, which tells the token of a grant.
func sendGrant(c *fiber.Ctx, a answer.Answer, grant authn.Grant) {
	send(c, a)
	if cookie := callOf(c).Cookie; cookie != nil {
		c.Set(fiber.HeaderSetCookie, cookie.Line(grant.Token, int64(grant.ExpiresIn/time.Second)))
	}
}

// readBody reads the whole body as JSON: what its Content-Type says is a form becomes an object. Request wrappers write
// "json" for the media type of JSON, too.
func readBody(c *fiber.Ctx) ([]byte, error) {
	contentType := c.Get(fiber.HeaderContentType)
	mediaType, _, err := mime.ParseMediaType(contentType)
	form := mediaType == fiber.MIMEApplicationForm
	if contentType != "" && (err != nil || !form && mediaType != fiber.MIMEApplicationJSON && mediaType != "json") {
		return nil, fmt.Errorf("%w: the content type is neither application/json nor application/x-www-form-urlencoded", answer.ErrInvalidRequest)
	}
	stream := callOf(c).Body
	if stream == nil {
		return nil, fmt.Errorf("%w: there is no body", answer.ErrInvalidRequest)
	}
	body, err := io.ReadAll(stream)
	if err == nil && form {
		return formJSON(body)
	}
	return body, err
}

func decodeJSON(body []byte, v any) error {
	if err := input.JSON(body, v); err != nil {
		return fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	return nil
}
