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

// How a code is treated on its way to WeChat. A code works once and lives for 5 minutes, phones send it again when an
// answer is lost, and nobody can tell whether a code was spent when WeChat did not answer.
const (
	replayFor    = 10 * time.Second // how long a login is answered again: a double tap, a lost answer, a backup domain
	ambiguousFor = 5 * time.Minute  // how long a code is not sent again after an answer that never came: as long as it lives
	maxRemember  = 100_000          // codes that are remembered; beyond it a login is refused as busy
)

// codes remembers what became of the codes seen lately, so that each is sent once; T is what comes of a good one. It is
// safe for concurrent use.
type codes[T any] struct {
	now   func() time.Time
	spent bool // a code whose outcome is clear is remembered for as long as it lives, and refused: see newSpentCodes

	mu    sync.Mutex
	known map[codeKey]*outcome[T]
	swept time.Time
}

// codeKey is a hash of appid and code: a code is a credential, and is not kept.
type codeKey [sha256.Size]byte

func newCodeKey(appID, code string) codeKey { return sha256.Sum256([]byte(appID + "\x00" + code)) }

// outcome is what one code came to, or will.
type outcome[T any] struct {
	done   chan struct{} // closed when value and err are final
	value  T
	err    error
	replay time.Time // until when a good outcome is given again
	forget time.Time // zero while the code is under way
}

// newCodes leaves it to WeChat to refuse a code that was spent: who sends it again is told WeChat's own word.
func newCodes[T any](now func() time.Time) *codes[T] {
	return &codes[T]{now: now, known: make(map[codeKey]*outcome[T])}
}

// newSpentCodes never asks WeChat twice about a code: once it is clear what became of one, that is the answer for as long
// as codes live.
func newSpentCodes[T any](now func() time.Time) *codes[T] {
	c := newCodes[T](now)
	c.spent = true
	return c
}

// once runs exchange for a code, unless the code is under way or was seen lately: then it waits for that outcome and
// returns it.
func (c *codes[T]) once(ctx context.Context, key codeKey, exchange func() (T, error)) (T, error) {
	o, first, err := c.claim(key)
	if err != nil {
		return *new(T), err
	}
	if first {
		defer close(o.done)
		defer c.finish(key, o)
		o.err = errAborted // for whoever waits, should exchange panic
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

// replay returns a finished outcome for who sends the code once more.
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

// claim returns the outcome of a code; first says that the caller has to bring it about.
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

// finish decides how long an outcome is given again.
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
		delete(c.known, key) // WeChat's word on the code is clear, and asking again changes nothing
	}
}

// errSpent is what went wrong after WeChat had taken the code.
var errSpent = errors.New("the code is spent")

// conclusive reports whether the code itself is spent, or was never good.
func conclusive(err error) bool {
	return err == nil || errors.Is(err, errSpent) || errors.Is(err, ErrCodeInvalid) || errors.Is(err, ErrCodeUsed) || errors.Is(err, ErrUserBlocked)
}

// ambiguous reports whether the code may have been spent although no login came of it.
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
