package authn

import (
	"context"
	"errors"
	"fmt"

	"wxgate/storage"
)

// CloudIdentity is who WeChat Cloud Run says is calling: headers that the platform adds to calls from within WeChat.
type CloudIdentity struct {
	AppID   string
	OpenID  string
	UnionID string
}

// CloudLogin begins a session for a user whom the platform has identified: no code, no call to WeChat, and no
// session_key, so data of the old kind cannot be decrypted. The caller vouches that the identity is the platform's.
func (a *Authn) CloudLogin(ctx context.Context, id CloudIdentity, l Login) (Grant, error) {
	grant, err := a.cloudLogin(ctx, id, l)
	a.metrics.logins.WithLabelValues(resultOf(err, ofLogins())).Inc()
	return grant, err
}

func (a *Authn) cloudLogin(ctx context.Context, id CloudIdentity, l Login) (Grant, error) {
	profile := Profile{Nickname: l.Nickname, Avatar: l.Avatar}.usable()
	if !a.ourCloud(id) {
		return Grant{}, ErrCloudIdentity
	}
	return a.begin(ctx, l, profile, storage.Login{AppID: id.AppID, OpenID: id.OpenID, UnionID: id.UnionID})
}

// CloudSubject returns who a request without a token speaks for, by the platform's word, for which the caller vouches.
// Somebody who has never logged in is ErrTokenMissing.
func (a *Authn) CloudSubject(ctx context.Context, id CloudIdentity) (*Subject, error) {
	subject, err := a.cloudSubject(ctx, id)
	if err != nil {
		return nil, a.refused(err)
	}
	return subject, nil
}

func (a *Authn) cloudSubject(ctx context.Context, id CloudIdentity) (*Subject, error) {
	if !a.ourCloud(id) {
		return nil, ErrTokenMissing
	}
	user, err := a.store.UserByOpenID(ctx, id.AppID, id.OpenID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, ErrTokenMissing
	}
	if err != nil {
		return nil, fmt.Errorf("finding the user of a cloud identity: %w", err)
	}
	if _, banned := a.Banned(user.ID); banned {
		return nil, ErrTokenRevoked
	}
	return a.withoutSession(user), nil
}

// ourCloud reports whether an identity is of a mini-program of ours: with resource sharing others call, too.
func (a *Authn) ourCloud(id CloudIdentity) bool {
	_, ours := a.apps[id.AppID]
	return ours && validOpenID(id.OpenID)
}
