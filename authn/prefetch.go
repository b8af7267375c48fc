package authn

import (
	"context"
	"errors"
	"fmt"

	"wxgate/authn/wechat"
	"wxgate/storage"
)

// prefetched is the user of a pre-fetch (数据预拉取): WeChat's server calls with a code of its own at a cold start. The
// code may have given the phone a new session_key, so that is remembered; a session does not begin, for no phone would
// ever hold its token.
func (a *Authn) prefetched(ctx context.Context, appID, code string) (Subject, error) {
	if !wechat.ValidCode(code) {
		return Subject{}, ErrTokenMissing
	}
	of, err := a.appOf(appID)
	if err != nil {
		return Subject{}, err
	}
	begun := a.now()
	exchanged, err := of.exchange(ctx, code)
	if err != nil {
		return Subject{}, err
	}
	in, err := a.store.Login(ctx, storage.Login{
		AppID: of.id, OpenID: exchanged.OpenID, UnionID: exchanged.UnionID,
		SessionKey: storage.SessionKey{Key: exchanged.SessionKey, At: begun}, Change: a.refuseBanned,
	})
	if errors.Is(err, ErrUserBanned) {
		return Subject{}, ErrUserBanned
	}
	if err != nil {
		return Subject{}, fmt.Errorf("remembering a pre-fetch: %w", err)
	}
	return Subject{UserID: in.User.ID, AppID: of.id, OpenID: in.User.OpenID, Nickname: in.User.Nickname}, nil
}

func (a *Authn) refuseBanned(u *storage.User) error {
	if _, banned := a.Banned(u.ID); banned {
		return ErrUserBanned
	}
	return nil
}
