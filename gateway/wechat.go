package gateway

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/storage"
)

// headerAppID names the mini-program of a login where several are configured.
const headerAppID = "X-App-Id"

// decrypt answers POST /api/v1/auth/decrypt: data that wx.getWeRunData, wx.getShareInfo or wx.getUserInfo gave.
func (g *Gateway) decrypt(c *fiber.Ctx) error {
	subject := exchangeOf(c).subject
	var body authn.Encrypted
	if err := readJSON(c, &body); err != nil {
		return err
	}
	var opened json.RawMessage
	err := g.opening(exchangeOf(c), func() (err error) {
		opened, err = g.deps.Authn.Decrypt(c.UserContext(), *subject, body)
		return err
	})
	if err != nil {
		return err
	}
	return g.succeed(c, opened)
}

// opening tries to open encrypted data, which may fail as often as limits.decrypt_failures says for a user, on all
// endpoints together: whether ciphertexts of one's own making open, asked often enough, forges any plaintext.
func (g *Gateway) opening(ex *exchange, open func() error) error {
	return g.spendOnFailure(ex, ex.rules.decryptFailures, uint64(ex.subject.UserID), authn.ErrNotOpened, open)
}

// phone answers POST /api/v1/auth/phone. WeChat takes money for each number, so a user may not ask often.
func (g *Gateway) phone(c *fiber.Ctx) error {
	subject := exchangeOf(c).subject
	ex := exchangeOf(c)
	body := authn.PhoneRequest{ByDecryption: ex.rules.cfg.PhoneByDecryption}
	if err := readJSON(c, &body); err != nil {
		return err
	}
	if err := body.Validate(); err != nil {
		return err
	}
	if err := g.spend(ex, g.phones, uint64(subject.UserID)); err != nil {
		return err
	}
	var phone storage.Phone
	find := func() (err error) {
		phone, err = g.deps.Authn.Phone(c.UserContext(), *subject, body)
		return err
	}
	if err := g.findPhone(ex, body, find); err != nil {
		return err
	}
	return g.succeed(c, phone)
}

func (g *Gateway) findPhone(ex *exchange, r authn.PhoneRequest, find func() error) error {
	if r.Code == "" {
		return g.opening(ex, find)
	}
	return find()
}

// phoneLimit is how often a user may ask for a phone number: thrice at once, then once in ten minutes.
func phoneLimit() limit.BucketConfig {
	return limit.BucketConfig{Per: limit.PerUser, Rate: limit.Rate{Count: 6, Per: time.Hour}, Burst: 3}
}

// cloudLogin answers POST /api/v1/auth/cloud-login: a login by the headers that WeChat Cloud Run adds or that our cloud
// function signs, never by a body.
func (g *Gateway) cloudLogin(c *fiber.Ctx) error {
	ex := exchangeOf(c)
	if !ex.rules.cfg.CloudRun && ex.rules.cfg.FunctionKey == "" {
		return answer.ErrNoRoute
	}
	if ex.cloud == nil {
		return authn.ErrCloudIdentity
	}
	var body loginRequest
	if ex.body.stream != nil {
		if err := readLogin(c, &body); err != nil {
			return err
		}
	}
	grant, err := g.deps.Authn.CloudLogin(c.UserContext(), *ex.cloud, g.loginOf(c, body))
	if err != nil {
		return err
	}
	return g.succeed(c, granted{answerOf(grant), loginUserOf(grant.User)})
}

// cloudIdentity reads who WeChat says is calling; nil when it says nothing, or when we are not told to believe it.
func (r *rules) cloudIdentity(c *fiber.Ctx) *authn.CloudIdentity {
	if r.cfg.FunctionKey != "" && c.Get(headerFunctionSignature) != "" {
		return r.functionIdentity(c)
	}
	return r.cloudRunIdentity(c)
}

// headerFunctionSignature is on calls that the cloud function api-proxy signed. One that was deployed before content was
// signed sends X-Wxgate-Signature alone, which is not believed.
const (
	headerFunctionSignature = "X-Wxgate-Signature-V2"
	headerFunctionContent   = "X-Wxgate-Content-Sha256"
)

// warnOldFunction says once that a cloud function signs as the one before this release did.
func (g *Gateway) warnOldFunction(c *fiber.Ctx) {
	if exchangeOf(c).rules.cfg.FunctionKey != "" && c.Get("X-Wxgate-Signature") != "" && c.Get(headerFunctionSignature) == "" {
		g.unsigned.Do(func() {
			g.deps.Log.Warn("a call of the cloud function is not believed: it does not sign the body; deploy the api-proxy of this release")
		})
	}
}

// functionIdentity is the identity that the cloud function signed. The content was signed with it: a body that turns out to
// be another one never ends.
func (r *rules) functionIdentity(c *fiber.Ctx) *authn.CloudIdentity {
	ex := exchangeOf(c)
	content := single(c, headerFunctionContent)
	id, believed := authn.SignedCall{
		AppID: single(c, "X-Wxgate-Appid"), OpenID: single(c, "X-Wxgate-Openid"), Timestamp: single(c, "X-Wxgate-Timestamp"),
		Method: c.Method(), Target: string(c.Request().Header.RequestURI()), Content: content,
		Signature: single(c, headerFunctionSignature),
	}.Identity(r.cfg.FunctionKey, ex.arrivedAt(c))
	if !believed || !ex.body.expectContent(content) {
		return nil
	}
	return &id
}

// cloudRunIdentity is the identity in the headers of WeChat Cloud Run. X-WX-SOURCE is there only on calls from within WeChat; resource sharing uses the FROM headers instead of the plain
// ones. The platform's word is believed only where the operator says that nothing else can reach us.
func (r *rules) cloudRunIdentity(c *fiber.Ctx) *authn.CloudIdentity {
	if !r.cfg.CloudRun || c.Get("X-Wx-Source") == "" {
		return nil
	}
	for _, from := range []string{"", "From-"} {
		openid := single(c, "X-Wx-"+from+"Openid")
		if openid != "" {
			return &authn.CloudIdentity{
				AppID: single(c, "X-Wx-"+from+"Appid"), OpenID: openid, UnionID: single(c, "X-Wx-"+from+"Unionid"),
			}
		}
	}
	return nil
}

// single is a copy of the header's value, "" when it is there more than once: then somebody added one.
func single(c *fiber.Ctx, name string) string {
	values := c.Request().Header.PeekAll(name)
	if len(values) != 1 {
		return ""
	}
	return strings.TrimSpace(string(values[0]))
}
