// Package wechat is a client of api.weixin.qq.com.
//
// Code2Session exchanges the js_code of wx.login for a Session. It sends a code at most once, returns within
// Config.Timeout, and never puts a secret, a code or a URL into an error. PhoneNumber, CheckSession, ResetSessionKey, Call
// and Relay, which reach every other API, need an access_token; they share the one of ServerToken. Decrypt, Signature and
// HMACSignature are pure functions for data from the mini-program, and Push handles messages from WeChat itself.
// Everything is safe for concurrent use. Package sandbox is a local stand-in for the server.
package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// masked is shown in place of what belongs in no log.
const masked = "***"

// Client calls WeChat for one mini-program.
type Client struct {
	moderation

	cfg       *Config // behind a pointer, so that a struct printed with a Client in it shows an address and not the secret
	transport *transport
	metrics   *metrics
	tokens    *broker // nil when the open-interface service adds the token
}

// Deps are what a Client works with. Several Clients may share them.
type Deps struct {
	Metrics prometheus.Registerer
	Now     func() time.Time // the clock by which tokens age; nil: time.Now
	Tokens  TokenStore       // shares the access_token, so that replicas ask WeChat once and a restart does not; nil: none

	// OpenInterface is for Cloud Run's 开放接口服务, a sidecar that answers http://api.weixin.qq.com inside the container and
	// adds the token itself: no call carries an access_token, none is fetched, and ServerToken returns ErrNoToken. It is never
	// guessed from the URL, since the sandbox and a relay are http:// too; the caller sets it when wechat.cloud_run is on and
	// base_url begins with http://.
	OpenInterface bool
}

// New returns a Client that works, or every fault of cfg and deps. It opens no connection.
func New(cfg Config, deps Deps) (*Client, error) {
	faults := cfg.Validate()
	if deps.OpenInterface && !strings.HasPrefix(cfg.BaseURL, "http://") { // where each call would be answered 41001
		faults.Add("base_url", "the open-interface service of Cloud Run is plain http://")
	}
	if err := faults.At("wechat").Err(); err != nil {
		return nil, err
	}
	m, err := newMetrics(deps.Metrics, APICode2Session, cfg.BaseURL)
	if err != nil {
		return nil, err
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	c := &Client{cfg: &cfg, transport: newTransport(cfg.BaseURL, cfg.Timeout, cfg.Concurrency), metrics: m}
	c.moderation = moderation{ask: c.answerOf}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if !deps.OpenInterface {
		c.tokens = newBroker(deps, cfg.AppID, 2*cfg.Timeout, c.stableToken)
	}
	return c, nil
}

// Code2Session exchanges the js_code of wx.login (valid for 5 minutes, once) for a Session (page "code2Session"). The
// error is an *Error if WeChat answered with an errcode; otherwise it wraps ErrTimeout, ErrUnreachable, ErrBadResponse,
// ErrInvalidCode or the caller's context.Canceled. It never retries; after ErrCodeBusy that is up to the caller.
func (c *Client) Code2Session(ctx context.Context, code string) (Session, error) {
	if !ValidCode(code) {
		return Session{}, fmt.Errorf("wechat %s: %w", APICode2Session, ErrInvalidCode)
	}
	ctx, ended := c.metrics.begin(ctx, APICode2Session)
	session, err := c.code2Session(ctx, code)
	ended(err)
	return session, named(APICode2Session, err)
}

func (c *Client) code2Session(ctx context.Context, code string) (Session, error) {
	query := url.Values{
		"appid":      {c.cfg.AppID},
		"secret":     {c.cfg.Secret.Reveal()},
		"js_code":    {code},
		"grant_type": {"authorization_code"},
	}
	answer, err := c.transport.send(ctx, call{method: http.MethodGet, path: "/sns/jscode2session", query: query, limit: maxBody})
	if err != nil {
		return Session{}, err
	}
	return parseSession(answer.Body, c.cfg.Secret.Reveal(), code)
}

// Close waits for a token that is being fetched, for at most twice Config.Timeout, and closes idle connections. Calls
// in progress finish, and the Client stays usable.
func (c *Client) Close() {
	if c.tokens != nil {
		c.tokens.wait()
	}
	c.transport.CloseIdleConnections()
}

// Format writes *** for every verb: %s looks behind pointers, where the secret and the token are.
func (Client) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// named says which call failed; an *Error says so itself.
func named(api string, err error) error {
	var answer *Error
	if err == nil || errors.As(err, &answer) {
		return err
	}
	return fmt.Errorf("wechat %s: %w", api, err)
}
