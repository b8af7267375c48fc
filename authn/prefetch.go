package authn

import (
	"context"
	"fmt"

	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/storage"
)

// Prefetch is a request of WeChat's data prefetch (数据预拉取): at a cold start WeChat's own server calls with a code.
type Prefetch struct {
	AppID string // the mini-program; empty: the only one there is
	Code  string

	Precheck func() error                     // called before WeChat is asked; an error refuses the request; may be nil
	Admit    func(appID, openID string) error // called once WeChat has identified the user; likewise
}

// Prefetched returns the user of a prefetch. The code may have given the phone a new session_key, which is saved. No
// session starts, because no phone would ever receive its token. A code is sent to WeChat once, however often it
// arrives.
func (a *Authn) Prefetched(ctx context.Context, p Prefetch) (*Subject, error) {
	if !wechat.ValidCode(p.Code) {
		return nil, token.ErrMissing
	}
	of, err := a.apps.find(p.AppID)
	if err != nil {
		return nil, err
	}
	key := newCodeKey("prefetch "+of.id, p.Code) // never the outcome of a login
	return a.prefetches.once(ctx, key, func() (*Subject, error) { return a.prefetch(ctx, of, p, key) })
}

func (a *Authn) prefetch(ctx context.Context, of *app, p Prefetch, key codeKey) (*Subject, error) {
	if err := p.precheck(); err != nil {
		return nil, err
	}
	start := a.now()
	exchanged, elsewhere, err := a.exchange(ctx, of, p.Code, key)
	switch {
	case err != nil:
		return nil, err
	case elsewhere != nil:
		return a.knownSubject(ctx, elsewhere.User)
	}
	if err := p.admit(of.id, exchanged.OpenID); err != nil {
		return nil, fmt.Errorf("%w: %w", errSpent, err)
	}
	in, err := a.loginTold(ctx, storage.Login{
		AppID: of.id, OpenID: exchanged.OpenID, UnionID: exchanged.UnionID,
		SessionKey: storage.SessionKey{Key: exchanged.SessionKey, At: start}, Refuse: a.Users.refuseBanned,
		FirstID: a.cfg.FirstUserID, Link: a.cfg.linking(), Outcome: a.outcome(key),
	})
	if err != nil {
		return nil, fmt.Errorf("%w: saving a pre-fetch: %w", errSpent, err)
	}
	a.Sessions.revoked.Add(in.Ended...)
	return a.knownSubject(ctx, in.User)
}

// knownSubject is the user of a code that is spent, here or by another gateway, once the service knows of them.
func (a *Authn) knownSubject(ctx context.Context, u storage.User) (*Subject, error) {
	err := a.Deletions.refuse(ctx, u.ID)
	if err == nil {
		err = a.ensureTold(ctx, u.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSpent, err)
	}
	return a.Tokens.withoutSession(u), nil
}

func (p Prefetch) precheck() error {
	if p.Precheck == nil {
		return nil
	}
	return p.Precheck()
}

func (p Prefetch) admit(appID, openID string) error {
	if p.Admit == nil {
		return nil
	}
	return p.Admit(appID, openID)
}
