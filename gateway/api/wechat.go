package api

import (
	"cmp"
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/storage"
)

// headerAppID names the mini-program of a login when several are configured.
const headerAppID = "X-App-Id"

// Decrypt answers POST /api/v1/auth/decrypt: data of wx.getWeRunData, wx.getShareInfo or wx.getUserInfo.
func (a *API) Decrypt(c *fiber.Ctx) error {
	subject := callOf(c).Subject
	var body authn.Encrypted
	if err := readJSON(c, &body); err != nil {
		return err
	}
	var plaintext json.RawMessage
	err := callOf(c).Limits.Decryption(func() (err error) {
		plaintext, err = a.auth.OpenData.Decrypt(c.UserContext(), *subject, body)
		return err
	})
	if err != nil {
		return err
	}
	return a.succeed(c, plaintext)
}

// Phone answers POST /api/v1/auth/phone. WeChat charges for each number, so requests are limited per user.
func (a *API) Phone(c *fiber.Ctx) error {
	call := callOf(c)
	body := authn.PhoneRequest{ByDecryption: call.PhoneByDecryption}
	text, err := readBody(c)
	if err == nil {
		err = decodeJSON(text, &body)
	}
	if err != nil {
		return err
	}
	body.Code = cmp.Or(body.Code, valueOf(textOf(text, call.Names.PhoneCode)))
	if err := body.Validate(); err != nil {
		return err
	}
	if err := call.Limits.Phone(); err != nil {
		return err
	}
	var phone storage.Phone
	find := func() (err error) {
		phone, err = a.auth.OpenData.Phone(c.UserContext(), *call.Subject, body)
		return err
	}
	if body.Code == "" {
		err = call.Limits.Decryption(find)
	} else {
		err = find()
	}
	if err != nil {
		return err
	}
	return a.succeed(c, phone)
}

// CloudLogin answers POST /api/v1/auth/cloud-login: a login by the headers that WeChat Cloud Run adds or our cloud
// function signs, never by a body.
func (a *API) CloudLogin(c *fiber.Ctx) error {
	call := callOf(c)
	if call.Cloud == nil {
		return authn.ErrCloudIdentity
	}
	var body loginRequest
	if call.Body != nil {
		if err := readLogin(c, &body); err != nil {
			return err
		}
	}
	grant, err := a.auth.CloudLogin(c.UserContext(), *call.Cloud, a.newLogin(c, body))
	if err != nil {
		return err
	}
	sendGrant(c, call.Answers.Login(grant, a.now()), grant)
	return nil
}
