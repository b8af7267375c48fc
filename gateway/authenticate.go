package gateway

import (
	"bytes"
	"errors"
	"net/url"

	jwtware "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	"github.com/golang-jwt/jwt/v5"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/storage"
)

// authenticate demands a token as the route says.
func (g *Gateway) authenticate(c *fiber.Ctx) error {
	if err := g.identify(c, exchangeOf(c)); err != nil {
		return err
	}
	return c.Next()
}

// identify finds out who the request is from, as far as its route wants to know: ex.subject.
func (g *Gateway) identify(c *fiber.Ctx, ex *exchange) error {
	switch ex.route.auth {
	case AuthNone:
		return nil
	case AuthPrefetch:
		return g.identifyPrefetch(c, ex)
	case AuthOptional:
		if !authn.HasCredentials(authorizationOf(c)) {
			return g.cloudOrNobody(c, ex)
		}
	case AuthRequired:
		if ex.cloud != nil && !authn.HasCredentials(authorizationOf(c)) {
			return g.identifyCloud(c, ex)
		}
	}
	err := g.identifyBearer(c, ex)
	if errors.Is(err, storage.ErrUnavailable) && g.door.moved() { // a token of another backend asks for its user
		return g.move(c, ex)
	}
	return err
}

// authorizationOf is the request's Authorization, in the request's own memory. A second line could be read differently by
// the service: together they are a list (RFC 9110 §5.2), which is nobody's token.
func authorizationOf(c *fiber.Ctx) string {
	lines := c.Request().Header.PeekAll(fiber.HeaderAuthorization)
	if len(lines) < 2 {
		return c.Get(fiber.HeaderAuthorization)
	}
	return string(bytes.Join(lines, []byte(", ")))
}

// identifyBearer takes a request on only with a valid bearer token.
func (g *Gateway) identifyBearer(c *fiber.Ctx, ex *exchange) (err error) {
	ex.subject, err = g.deps.Authn.Verify(c.Context(), authorizationOf(c), func() (*authn.Payload, error) { return g.parseToken(c) })
	return err
}

// parseToken returns what a token says that was not seen before, if its form and signature hold.
func (g *Gateway) parseToken(c *fiber.Ctx) (*authn.Payload, error) {
	if err := g.jwt(c); err != nil {
		return nil, err
	}
	parsed, _ := c.Locals(jwtKey).(*jwt.Token)
	said, _ := parsed.Claims.(*authn.Payload)
	return said, nil
}

// jwtKey is where contrib/jwt leaves the parsed token.
const jwtKey = "wxgate.jwt"

// newJWT wraps gofiber/contrib/jwt. It hands no algorithm, issuer, expiry or leeway to the parser, so authn checks the form
// of the token before it, the algorithm in the key function and the claims after it.
func newJWT(auth *authn.Authn) fiber.Handler {
	return jwtware.New(jwtware.Config{
		ContextKey:         jwtKey,
		Claims:             &authn.Payload{},
		KeyFunc:            func(token *jwt.Token) (any, error) { return auth.Keys().Key(token) },
		TokenProcessorFunc: func(token string) (string, error) { return token, auth.Keys().CheckForm(token) },
		SuccessHandler:     func(*fiber.Ctx) error { return nil },
		ErrorHandler: func(_ *fiber.Ctx, err error) error {
			if errors.Is(err, jwtware.ErrJWTMissingOrMalformed) {
				return authn.ErrTokenMalformed // there is a token: see authorizationOf
			}
			return err
		},
	})
}

// identifyCloud lets a request without a token pass as the user that WeChat Cloud Run names.
func (g *Gateway) identifyCloud(c *fiber.Ctx, ex *exchange) (err error) {
	if err := g.takePlace(c, ex); err != nil { // the store is about to be asked
		return err
	}
	if err := g.enterStore(c, ex); err != nil {
		return err
	}
	ctx, cancel := ex.context()
	defer cancel()
	ex.subject, err = g.deps.Authn.CloudSubject(ctx, *ex.cloud)
	return err
}

// cloudOrNobody lets a request without a token pass, as the user that the platform names, or as nobody.
func (g *Gateway) cloudOrNobody(c *fiber.Ctx, ex *exchange) error {
	if ex.cloud == nil {
		return nil
	}
	err := g.identifyCloud(c, ex)
	if errors.Is(err, authn.ErrTokenMissing) { // never logged in
		return nil
	}
	return err
}

// prefetchedKey is the key of the user of a pre-fetch in its user values, for the second walk.
type prefetchedKey struct{}

// identifyPrefetch authenticates a request of WeChat's pre-fetch (page framework/ability/pre-fetch): its server GETs the
// configured address with ?appid and either ?code, a code of wx.login, or ?token, what the mini-program gave to
// wx.setBackgroundFetchToken: an access token of ours. Neither goes on to the service.
func (g *Gateway) identifyPrefetch(c *fiber.Ctx, ex *exchange) error {
	if c.Method() != fiber.MethodGet {
		return answer.ErrNoRoute
	}
	_, query, _ := bytes.Cut(ex.target.Raw, []byte{'?'})
	values, err := url.ParseQuery(string(query))
	if err != nil || len(values["code"])+len(values["token"]) != 1 {
		return authn.ErrTokenMissing
	}
	ex.target.Raw = withoutCredentials(ex.target.Raw)
	if token := values.Get("token"); token != "" {
		c.Request().Header.Set(fiber.HeaderAuthorization, "Bearer "+token)
		return g.identifyBearer(c, ex)
	}
	if known, _ := c.Locals(prefetchedKey{}).(*authn.Subject); known != nil { // the first walk has spent the code
		ex.subject = known
		return nil
	}
	if err := g.takePlace(c, ex); err != nil { // WeChat is about to be asked
		return err
	}
	if err := g.enterStore(c, ex); err != nil {
		return err
	}
	ctx, cancel := ex.context()
	defer cancel()
	ex.subject, err = g.deps.Authn.Prefetched(ctx, authn.Prefetch{
		AppID: values.Get("appid"), Code: values.Get("code"),
		Ask: func() error { return g.spend(ex, ex.rules.prefetches, 0) },
		Admit: func(appID, openID string) error {
			return g.spend(ex, ex.rules.prefetched, g.buckets.OfOpenID(appID, openID))
		},
	})
	c.Locals(prefetchedKey{}, ex.subject)
	return err
}

// withoutCredentials is a target without the parameters code and token; the others stay byte for byte.
func withoutCredentials(raw []byte) []byte {
	path, query, found := bytes.Cut(raw, []byte{'?'})
	if !found {
		return raw
	}
	kept := append(bytes.Clone(path), '?')
	for part := range bytes.SplitSeq(query, []byte{'&'}) {
		name, _, _ := bytes.Cut(part, []byte{'='})
		decoded, err := url.QueryUnescape(string(name))
		if err != nil || decoded == "code" || decoded == "token" {
			continue
		}
		kept = append(append(kept, part...), '&')
	}
	return kept[:len(kept)-1]
}
