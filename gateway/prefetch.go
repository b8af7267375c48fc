package gateway

import (
	"bytes"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/gateway/answer"
)

// prefetch authenticates a request of WeChat's pre-fetch (page framework/ability/pre-fetch): its server GETs the
// configured address with ?appid and either ?code, a code of wx.login, or ?token, what the mini-program gave to
// wx.setBackgroundFetchToken: an access token of ours. Neither goes on to the service.
func (g *Gateway) prefetch(c *fiber.Ctx, ex *exchange) error {
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
		return g.deps.Authn.Bearer(c)
	}
	if _, known := authn.SubjectOf(c); known && ex.asked { // the first walk has spent the code
		return c.Next()
	}
	if err := g.takePlace(c, ex); err != nil { // WeChat is about to be asked
		return err
	}
	if err := g.enterStore(c, ex); err != nil {
		return err
	}
	ctx, cancel := ex.context()
	defer cancel()
	return g.deps.Authn.AsPrefetched(ctx, c, authn.Prefetch{
		AppID: values.Get("appid"), Code: values.Get("code"),
		Ask: func() error { return g.spend(ex, ex.rules.prefetches, 0) },
		Admit: func(appID, openID string) error {
			return g.spend(ex, ex.rules.prefetched, g.buckets.ofOpenID(appID, openID))
		},
	})
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
