package wechat

import (
	"context"
	"sync"
	"time"

	"wxgate/secret"
)

const (
	// renewBefore is how long before its end a token is replaced. WeChat makes the next one at that moment and accepts both
	// until the end (page "getStableAccessToken").
	renewBefore = 5 * time.Minute
	// minRenewal is the shortest time between two renewals that nobody is waiting for.
	minRenewal = 10 * time.Second
	// minForce is the shortest time between two forced refreshes; within it WeChat would ignore the second. It allows 20 a day.
	minForce = 30 * time.Second
)

// broker keeps one access_token and replaces it: early, and when WeChat refuses it.
type broker struct {
	now     func() time.Time
	store   TokenStore // may be nil
	appID   string
	timeout time.Duration // for one replacement, the store included
	fetch   func(ctx context.Context, force bool) (ServerToken, error)

	mu      sync.Mutex
	current *ServerToken // behind a pointer, as in Client
	refused *secret.Text // the token that WeChat refused last
	renewAt time.Time
	forced  time.Time // when a refresh was forced last
	flight  *flight   // the replacement under way, or nil
}

// flight is one replacement that many callers wait for.
type flight struct {
	done  chan struct{} // closed when token and err are set
	token *ServerToken
	err   error
}

func newBroker(deps Deps, appID string, timeout time.Duration, fetch func(context.Context, bool) (ServerToken, error)) *broker {
	return &broker{now: deps.Now, store: deps.Tokens, appID: appID, timeout: timeout, fetch: fetch, current: new(ServerToken), refused: new(secret.Text)}
}

// token returns the current token, or waits for the next one.
func (b *broker) token(ctx context.Context) (ServerToken, error) {
	for {
		current, f := b.tokenOrFlight()
		if f == nil {
			return current, nil
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return ServerToken{}, transportError(ctx, ctx.Err(), false)
		}
		// A replacement that began before the token was refused may bring the same one back: then there is another look.
		if f.err != nil || !b.isRefused(f.token.Value) {
			return *f.token, f.err
		}
	}
}

// tokenOrFlight returns a usable token, which it has replaced in the background when that is due, or what to wait for.
func (b *broker) tokenOrFlight() (ServerToken, *flight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	usable := b.usable()
	if usable && b.now().Before(b.renewAt) {
		return *b.current, nil
	}
	f := b.launch()
	if usable {
		return *b.current, nil
	}
	return ServerToken{}, f
}

// usable reports whether WeChat would accept the current token. The caller holds mu.
func (b *broker) usable() bool {
	return b.now().Before(b.current.Expires) && b.current.Value != *b.refused
}

// launch returns the replacement under way, which it starts when there is none. The caller holds mu.
func (b *broker) launch() *flight {
	if b.flight == nil {
		b.flight = &flight{done: make(chan struct{}), token: new(ServerToken)}
		go b.fly(b.flight, *b.refused, b.forced)
	}
	return b.flight
}

// fly replaces the token for everybody who waits. It does not use the context of the one who came first: he may leave, and
// a server may reuse what is behind it. wait ends after it.
func (b *broker) fly(f *flight, refused secret.Text, forced time.Time) {
	defer close(f.done)
	ctx, cancel := context.WithTimeout(context.Background(), b.timeout)
	defer cancel()
	token, err := b.next(ctx, refused, &forced)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.flight, b.forced = nil, forced
	*f.token, f.err = token, err
	if err != nil {
		b.renewAt = b.now().Add(minRenewal) // for a token that is still good; whoever has none asks at once
		return
	}
	*b.current = token
	b.renewAt = later(token.Expires.Add(-renewBefore), b.now().Add(minRenewal))
}

// next returns a token other than refused: the one of another replica, else WeChat's current one, else a forced one.
func (b *broker) next(ctx context.Context, refused secret.Text, forced *time.Time) (ServerToken, error) {
	token, release, ok := b.loadOrLease(ctx, refused)
	defer release()
	if ok {
		return token, nil
	}
	token, err := b.fetch(ctx, false)
	if err == nil && token.Value == refused {
		token, err = b.force(ctx, refused, forced)
	}
	if err != nil {
		return ServerToken{}, err
	}
	b.save(ctx, token)
	return token, nil
}

// The wait for another replica that is asking WeChat.
const (
	leaseWait  = 2 * time.Second
	leaseAgain = 50 * time.Millisecond // the pause before another look
)

// loadOrLease returns the token of another replica, or lets this one ask WeChat. It waits for a replica that asks already,
// but not for long: asking twice does no harm.
func (b *broker) loadOrLease(ctx context.Context, refused secret.Text) (token ServerToken, release func(), ok bool) {
	release = func() {}
	if b.store == nil {
		return token, release, false
	}
	ctx, cancel := context.WithTimeout(ctx, min(leaseWait, b.timeout/2))
	defer cancel()
	for {
		if token, ok = b.load(ctx, refused); ok {
			return token, release, true
		}
		release, taken, err := b.store.Lease(ctx, b.appID)
		switch {
		case err != nil:
			return token, func() {}, false
		case taken:
			token, ok = b.load(ctx, refused) // somebody may just have saved one
			return token, release, ok
		}
		timer := time.NewTimer(leaseAgain)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return token, func() {}, false
		}
	}
}

// force kills WeChat's current token. Only a token that WeChat gives out and refuses is worth that.
func (b *broker) force(ctx context.Context, refused secret.Text, forced *time.Time) (ServerToken, error) {
	if !forced.IsZero() && b.now().Sub(*forced) < minForce {
		return ServerToken{}, ErrTokenRefused
	}
	*forced = b.now()
	token, err := b.fetch(ctx, true)
	if err == nil && token.Value == refused { // another replica has just forced one, and it is refused as well
		err = ErrTokenRefused
	}
	return token, err
}

// load returns the token of another replica, or one from before a restart, when it is worth having.
func (b *broker) load(ctx context.Context, refused secret.Text) (ServerToken, bool) {
	token, err := b.store.Load(ctx, b.appID)
	good := err == nil && token.Value != "" && token.Value != refused && b.now().Before(token.Expires.Add(-renewBefore))
	return token, good
}

// save ignores the error, as TokenStore says.
func (b *broker) save(ctx context.Context, token ServerToken) {
	if b.store != nil {
		_ = b.store.Save(ctx, b.appID, token)
	}
}

// invalidate makes old unusable. When another token is current, somebody was faster.
func (b *broker) invalidate(old secret.Text) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old != "" && b.current.Value == old {
		*b.refused = old
	}
}

// isRefused reports whether WeChat refused token last.
func (b *broker) isRefused(token secret.Text) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return token == *b.refused
}

// secret returns the current token, for the eyes of hide.
func (b *broker) secret() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.current.Value.Reveal()
}

// wait returns when no replacement is under way.
func (b *broker) wait() {
	b.mu.Lock()
	f := b.flight
	b.mu.Unlock()
	if f != nil {
		<-f.done
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
