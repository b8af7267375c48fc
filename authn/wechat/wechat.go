// Package wechat is the client of api.weixin.qq.com, and of nothing else.
//
// Code2Session turns the js_code of wx.login into a Session. It sends a code at most once, answers within
// Config.Timeout, and never puts a secret, a code or a URL into an error. PhoneNumber, CheckSession, ResetSessionKey and
// Call, which reaches every other API, need an access_token; ServerToken keeps one that all of them share. Decrypt,
// Signature and HMACSignature are pure functions over what the mini-program sends, and Push opens what WeChat itself
// sends. Everything is safe for concurrent use. The package sandbox beside this one is a local stand-in for the server side.
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
	cfg       *Config // behind a pointer, so that a struct printed with a Client in it shows an address and not the secret
	transport *http.Transport
	metrics   *metrics
	tokens    *broker // nil when the open-interface service adds the token
}

// New returns a Client that works, or every fault of cfg and opts. It opens no connection. reg may not be nil; several
// Clients may share one.
func New(cfg Config, reg prometheus.Registerer, opts ...Option) (*Client, error) {
	o := optionsOf(opts)
	faults := cfg.Validate()
	if o.openInterface && !strings.HasPrefix(cfg.BaseURL, "http://") { // where each call would be answered 41001
		faults.Add("base_url", "the open-interface service of Cloud Run is plain http://")
	}
	if err := faults.At("wechat").Err(); err != nil {
		return nil, err
	}
	m, err := newMetrics(reg, APICode2Session)
	if err != nil {
		return nil, err
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	c := &Client{cfg: &cfg, transport: newTransport(cfg.Timeout), metrics: m}
	if !o.openInterface {
		c.tokens = newBroker(o, cfg.AppID, 2*cfg.Timeout, c.stableToken)
	}
	return c, nil
}

// Code2Session exchanges the js_code of wx.login (valid 5 minutes, once) for a Session (page "code2Session"). The error
// is an *Error when WeChat answered an errcode, and otherwise wraps ErrTimeout, ErrUnreachable, ErrBadResponse,
// ErrInvalidCode or the caller's context.Canceled. It never tries twice; who retries after ErrCodeBusy decides so.
func (c *Client) Code2Session(ctx context.Context, code string) (Session, error) {
	if !ValidCode(code) {
		return Session{}, fmt.Errorf("wechat %s: %w", APICode2Session, ErrInvalidCode)
	}
	start := time.Now()
	session, err := c.code2Session(ctx, code)
	c.metrics.observe(APICode2Session, time.Since(start), err)
	return session, named(APICode2Session, err)
}

func (c *Client) code2Session(ctx context.Context, code string) (Session, error) {
	query := url.Values{
		"appid":      {c.cfg.AppID},
		"secret":     {c.cfg.Secret.Reveal()},
		"js_code":    {code},
		"grant_type": {"authorization_code"},
	}
	answer, err := c.send(ctx, call{method: http.MethodGet, path: "/sns/jscode2session", query: query, limit: maxBody})
	if err != nil {
		return Session{}, err
	}
	return parseSession(answer.Body, c.cfg.Secret.Reveal(), code)
}

// Close waits for a token that is being fetched, at most twice Config.Timeout, and ends the idle connections. Calls still
// under way finish; the Client stays usable.
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
