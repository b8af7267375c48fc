package api

import (
	"github.com/gofiber/fiber/v2"

	"wxgate/gateway/answer"
)

// Keys answers GET /.well-known/jwks.json (RFC 7517 §5) with the keys for verifying tokens and identities.
func (a *API) Keys(c *fiber.Ctx) error {
	set := a.auth.Tokens.Keys().JWKS(callOf(c).SignedIdentities)
	if len(set.Keys) == 0 {
		return answer.ErrNoRoute
	}
	if err := writeJSON(c, fiber.StatusOK, set); err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "public, max-age=300")
	return nil
}
