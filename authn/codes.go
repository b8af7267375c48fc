package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"wxgate/authn/wechat"
)

// How a code is treated on its way to WeChat. A code works once and lives for 5 minutes, phones send it again when an
// answer is lost, and nobody can tell whether a code was spent when WeChat did not answer.
const (
	replayFor    = 10 * time.Second // how long a login is answered again: a double tap, a lost answer, a backup domain
	ambiguousFor = 5 * time.Minute  // how long a code is not sent again after an answer that never came: as long as it lives
	maxRemember  = 100_000          // codes that are remembered; beyond it a login is refused as busy
)

// codes remembers what became of the codes seen lately, so that each is sent once. It is safe for concurrent use.
type codes struct {
	now func() time.Time

	mu    sync.Mutex
	known map[codeKey]*outcome
	swept time.Time
}

// codeKey is a hash of appid and code: a code is a credential, and is not kept.
type codeKey [sha256.Size]byte

func newCodeKey(appID, code string) codeKey { return sha256.Sum256([]byte(appID + "\x00" + code)) }

// outcome is what a login with one code came to, or will.
type outcome struct {
	done   chan struct{} // closed when grant and err are final
	grant  Grant
	err    error
	forget time.Time // zero while the login is under way
}

func newCodes(now func() time.Time) *codes {
	return &codes{now: now, known: make(map[codeKey]*outcome)}
}

// once runs login for a code, unless the code is under way or was seen lately: then it waits for that outcome and
// returns it.
func (c *codes) once(ctx context.Context, key codeKey, login func() (Grant, error)) (Grant, error) {
	o, first, err := c.claim(key)
	if err != nil {
		return Grant{}, err
	}
	if first {
		defer close(o.done)
		o.grant, o.err = login()
		c.settle(key, o)
		return o.grant, o.err
	}
	select {
	case <-o.done:
		return o.grant, o.err
	case <-ctx.Done():
		return Grant{}, &WeChatError{Kind: ErrTimeout, Err: ctx.Err()}
	}
}

// claim returns the outcome of a code; first says that the caller has to bring it about.
func (c *codes) claim(key codeKey) (o *outcome, first bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	if o = c.known[key]; o != nil {
		return o, false, nil
	}
	if len(c.known) >= maxRemember {
		return nil, false, &WeChatError{Kind: ErrBusy, Err: errors.New("too many logins at once")}
	}
	o = &outcome{done: make(chan struct{})}
	c.known[key] = o
	return o, true, nil
}

// settle decides how long an outcome is given again.
func (c *codes) settle(key codeKey, o *outcome) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case o.err == nil:
		o.forget = c.now().Add(replayFor)
	case ambiguous(o.err):
		o.forget = c.now().Add(ambiguousFor)
	default:
		delete(c.known, key) // WeChat's word on the code is clear, and asking again changes nothing
	}
}

// ambiguous says whether the code may have been spent although no login came of it.
func ambiguous(err error) bool {
	if errors.Is(err, wechat.ErrUnreachable) {
		return false // nothing was sent
	}
	return errors.Is(err, ErrTimeout) || errors.Is(err, ErrBadResponse)
}

func (c *codes) sweep() {
	now := c.now()
	if now.Sub(c.swept) < time.Second {
		return
	}
	c.swept = now
	for key, o := range c.known {
		if !o.forget.IsZero() && !now.Before(o.forget) {
			delete(c.known, key)
		}
	}
}
