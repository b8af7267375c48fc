package wechat

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"wxgate/secret"
)

const (
	// maxToken is the longest access_token taken, in bytes. The page "getStableAccessToken" asks for room for 512.
	maxToken = 2048
	// maxTokenLife bounds expires_in. WeChat says 7200 s; a larger number would only delay the discovery of a dead token.
	maxTokenLife = 2 * time.Hour
)

// ErrNoToken is returned by ServerToken of a Client with Deps.OpenInterface, which has no token.
var ErrNoToken = errors.New("the open-interface service keeps the access_token")

// ServerToken is an access_token of the mini-program itself, not of a person. The zero value means none.
type ServerToken struct {
	Value   secret.Text // visible ASCII, at most 2048 bytes
	Expires time.Time   // when WeChat stops accepting it
}

// TokenStore lets replicas share one access_token. Errors are not fatal, because stable_token gives every replica the
// same token anyway: the Client carries on without the store, and the store reports its own failures. Tokens are
// secrets and must be sealed at rest.
type TokenStore interface {
	// Load returns the token last saved for appID, or the zero ServerToken.
	Load(ctx context.Context, appID string) (ServerToken, error)
	// Save keeps token for appID in place of the last one.
	Save(ctx context.Context, appID string, token ServerToken) error
	// Lease lets this replica alone ask WeChat for the token of appID, for a few seconds or until release. While another
	// one has it, taken is false.
	Lease(ctx context.Context, appID string) (release func(), taken bool, err error)
}

// ServerToken returns an access_token that should be valid for another five minutes, and fetches one only if there is
// none: POST /cgi-bin/stable_token (page "getStableAccessToken"). At most one request is in progress, however many
// callers there are; in the last five minutes the old token is still returned while the next one is fetched. The error
// is an *Error, or wraps ErrTimeout, ErrUnreachable, ErrBadResponse, ErrTokenRefused, ErrNoToken or the caller's
// context.Canceled. Call and its siblings get the token themselves; this is for callers that build their own requests.
func (c *Client) ServerToken(ctx context.Context) (ServerToken, error) {
	if c.tokens == nil {
		return ServerToken{}, named(APIStableToken, ErrNoToken)
	}
	token, err := c.tokens.token(ctx)
	return token, named(APIStableToken, err)
}

// InvalidateToken reports that WeChat refused old with errcode 40001, 40014 or 42001. The next ServerToken fetches
// another token, unless that has already happened.
func (c *Client) InvalidateToken(old secret.Text) {
	if c.tokens != nil {
		c.tokens.invalidate(old)
	}
}

// stableToken asks WeChat for the current token, or with force for a new one, which kills the current at once.
func (c *Client) stableToken(ctx context.Context, force bool) (ServerToken, error) {
	ctx, ended := c.metrics.begin(ctx, APIStableToken)
	token, err := c.exchangeToken(ctx, force)
	ended(err)
	return token, err
}

func (c *Client) exchangeToken(ctx context.Context, force bool) (ServerToken, error) {
	body, err := json.Marshal(map[string]any{
		"grant_type":    "client_credential",
		"appid":         c.cfg.AppID,
		"secret":        c.cfg.Secret.Reveal(),
		"force_refresh": force,
	})
	if err != nil {
		return ServerToken{}, errors.New("building the request")
	}
	requested := c.tokens.now() // before the answer, so that we are early rather than late
	answer, err := c.transport.send(ctx, call{
		method: http.MethodPost, path: "/cgi-bin/stable_token", body: body, contentType: jsonType, limit: maxBody,
	})
	if err != nil {
		return ServerToken{}, err
	}
	value, life, err := parseToken(answer.Body, c.cfg.Secret.Reveal())
	return ServerToken{Value: value, Expires: requested.Add(life)}, err
}

// parseToken reads the answer of stable_token.
func parseToken(body []byte, secrets ...string) (secret.Text, time.Duration, error) {
	members, err := parseAnswer(APIStableToken, body, secrets)
	if err != nil {
		return "", 0, err
	}
	value, err := members.text("access_token")
	if err != nil || value == "" || len(value) > maxToken || !visibleASCII(value) {
		return "", 0, badResponse(errors.New("access_token is not visible ASCII of 1 to 2048 bytes"))
	}
	seconds, err := strconv.ParseUint(string(members["expires_in"]), 10, 31)
	if err != nil || seconds == 0 {
		return "", 0, badResponse(errors.New("expires_in is not a whole number above 0"))
	}
	return secret.Text(value), min(time.Duration(seconds)*time.Second, maxTokenLife), nil
}
