package authn

import (
	"context"
	"fmt"

	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/storage"
)

// Prefetch is a pre-fetch of WeChat's (数据预拉取): its server calls with a code of its own at a cold start.
type Prefetch struct {
	AppID string // the mini-program; empty: the only one there is
	Code  string

	Ask   func() error                     // asked before WeChat is; nil: always
	Admit func(appID, openID string) error // asked as soon as WeChat has said who it is for; nil: always
}

// Prefetched returns the user of a pre-fetch. The code may have given the phone a new session_key, so that is remembered; a
// session does not begin, for no phone would ever hold its token. A code is sent once, however often it comes.
func (a *Authn) Prefetched(ctx context.Context, p Prefetch) (*Subject, error) {
	if !wechat.ValidCode(p.Code) {
		return nil, token.ErrMissing
	}
	of, err := a.apps.find(p.AppID)
	if err != nil {
		return nil, err
	}
	return a.prefetches.once(ctx, newCodeKey(of.id, p.Code), func() (*Subject, error) { return a.prefetch(ctx, of, p) })
}

func (a *Authn) prefetch(ctx context.Context, of *app, p Prefetch) (*Subject, error) {
	if err := p.ask(); err != nil {
		return nil, err
	}
	begun := a.now()
	exchanged, err := of.exchange(ctx, p.Code)
	if err != nil {
		return nil, err
	}
	if err := p.admit(of.id, exchanged.OpenID); err != nil {
		return nil, fmt.Errorf("%w: %w", errSpent, err)
	}
	in, err := a.store.Login(ctx, storage.Login{
		AppID: of.id, OpenID: exchanged.OpenID, UnionID: exchanged.UnionID,
		SessionKey: storage.SessionKey{Key: exchanged.SessionKey, At: begun}, Change: a.Users.refuseBanned,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: remembering a pre-fetch: %w", errSpent, err)
	}
	return a.Tokens.withoutSession(in.User), nil
}

func (p Prefetch) ask() error {
	if p.Ask == nil {
		return nil
	}
	return p.Ask()
}

func (p Prefetch) admit(appID, openID string) error {
	if p.Admit == nil {
		return nil
	}
	return p.Admit(appID, openID)
}
