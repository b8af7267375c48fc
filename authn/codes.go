package authn

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"wxgate/authn/wechat"
)

// A code works once and is valid for 5 minutes. Phones resend it when an answer is lost, and if WeChat did not answer
// nobody knows whether the code was used.
const (
	replayFor    = 10 * time.Second // how long a login is replayed: after a double tap, a lost answer, on a backup domain
	ambiguousFor = 5 * time.Minute  // how long a code without an answer is not sent again: as long as it is valid
	maxRemember  = 100_000          // the most codes that are remembered; beyond it logins are refused as busy
)

// codes remembers the outcomes of recent codes, so that each is sent once; T is the result of a good one. It is safe
// for concurrent use.
type codes[T any] struct {
	now   func() time.Time
	spent bool // clear outcomes are remembered for as long as codes are valid: see newSpentCodes

	mu    sync.Mutex
	known map[codeKey]*outcome[T]
	swept time.Time
}

// codeKey is a hash of appid and code: a code is a credential and is not kept.
type codeKey [sha256.Size]byte

func newCodeKey(appID, code string) codeKey { return sha256.Sum256([]byte(appID + "\x00" + code)) }

// outcome is the result of a code, or will be.
type outcome[T any] struct {
	done   chan struct{} // closed when value and err are final
	value  T
	err    error
	replay time.Time // until when a good outcome is replayed
	forget time.Time // zero while the code is in progress
}

// newCodes leaves it to WeChat to refuse a used code: whoever resends it gets WeChat's own answer.
func newCodes[T any](now func() time.Time) *codes[T] {
	return &codes[T]{now: now, known: make(map[codeKey]*outcome[T])}
}

// newSpentCodes never asks WeChat twice about a code: a clear outcome is the answer for as long as codes are valid.
func newSpentCodes[T any](now func() time.Time) *codes[T] {
	c := newCodes[T](now)
	c.spent = true
	return c
}

// once runs exchange for a code, unless the code is in progress or was seen recently: then it waits for that outcome
// and returns it.
func (c *codes[T]) once(ctx context.Context, key codeKey, exchange func() (T, error)) (T, error) {
	o, first, err := c.claim(key)
	if err != nil {
		return *new(T), err
	}
	if first {
		defer close(o.done)
		defer c.finish(key, o)
		o.err = errAborted // for those who wait, if exchange panics
		o.value, o.err = exchange()
		return o.value, o.err
	}
	select {
	case <-o.done:
		return c.replay(o)
	case <-ctx.Done():
		return *new(T), &WeChatError{Kind: ErrTimeout, Err: ctx.Err()}
	}
}

// errAborted is an exchange that panicked: nobody knows whether the code was spent.
var errAborted = &WeChatError{Kind: ErrBadResponse, Err: errors.New("the exchange was aborted")}

// replay returns a finished outcome to whoever resends the code.
func (c *codes[T]) replay(o *outcome[T]) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case o.err != nil && ambiguous(o.err):
		return *new(T), fmt.Errorf("%w: %w", ErrSentBefore, o.err)
	case o.err == nil && c.spent && !c.now().Before(o.replay):
		return *new(T), ErrCodeUsed
	}
	return o.value, o.err
}

// claim returns the outcome of a code; first means that the caller has to produce it.
func (c *codes[T]) claim(key codeKey) (o *outcome[T], first bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep()
	if o = c.known[key]; o != nil {
		return o, false, nil
	}
	if len(c.known) >= maxRemember {
		return nil, false, &WeChatError{Kind: ErrBusy, Err: errors.New("too many logins at once")}
	}
	o = &outcome[T]{done: make(chan struct{})}
	c.known[key] = o
	return o, true, nil
}

// finish decides how long an outcome is replayed.
func (c *codes[T]) finish(key codeKey, o *outcome[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	o.replay, o.forget = now.Add(replayFor), now.Add(ambiguousFor)
	switch {
	case o.err != nil && ambiguous(o.err), c.spent && conclusive(o.err):
	case o.err == nil:
		o.forget = o.replay
	default:
		delete(c.known, key) // WeChat's answer is clear, and asking again changes nothing
	}
}

// errSpent wraps errors that occurred after WeChat had accepted the code.
var errSpent = errors.New("the code is spent")

// conclusive reports whether the code was used, or was never valid.
func conclusive(err error) bool {
	return err == nil || errors.Is(err, errSpent) || errors.Is(err, ErrCodeInvalid) || errors.Is(err, ErrCodeUsed) || errors.Is(err, ErrUserBlocked)
}

// ambiguous reports whether the code may have been used without a login.
func ambiguous(err error) bool {
	if errors.Is(err, wechat.ErrUnreachable) {
		return false // nothing was sent
	}
	return errors.Is(err, ErrTimeout) || errors.Is(err, ErrBadResponse)
}

func (c *codes[T]) sweep() {
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
