package authn

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"wxgate/authn/token"
	"wxgate/secret"
	"wxgate/storage"
)

// CloudIdentity is the caller as WeChat Cloud Run reports it, in headers that the platform adds to calls from within
// WeChat.
type CloudIdentity struct {
	AppID   string
	OpenID  string
	UnionID string
}

// CloudLogin starts a session for a user whom the platform has identified. There is no code, no call to WeChat and no
// session_key, so encryptedData cannot be decrypted. The caller guarantees that the identity comes from the platform.
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
	if !validOpenID(id.UnionID) {
		id.UnionID = "" // the token may name it, and has no room for more
	}
	return a.begin(ctx, l, profile, storage.Login{AppID: id.AppID, OpenID: id.OpenID, UnionID: id.UnionID})
}

// CloudSubject returns the user of a request without a token whom the platform has identified; the caller guarantees
// that. For somebody who has never logged in it returns token.ErrMissing.
func (a *Authn) CloudSubject(ctx context.Context, id CloudIdentity) (*Subject, error) {
	subject, err := a.cloudSubject(ctx, id)
	if err != nil {
		a.metrics.refused(err)
		return nil, err
	}
	return subject, nil
}

func (a *Authn) cloudSubject(ctx context.Context, id CloudIdentity) (*Subject, error) {
	if !a.ourCloud(id) {
		return nil, token.ErrMissing
	}
	account, err := a.store.UserByOpenID(ctx, id.AppID, id.OpenID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, token.ErrMissing
	}
	var user storage.User
	if err == nil {
		user, err = a.store.Person(ctx, account)
	}
	if err != nil {
		return nil, fmt.Errorf("finding the user of a cloud identity: %w", err)
	}
	if err := a.others.fresh(ctx); err != nil {
		return nil, err
	}
	if errors.Join(a.Users.refuseBanned(account.ID), a.Users.refuseBanned(user.ID)) != nil {
		return nil, token.ErrRevoked
	}
	if err := a.Deletions.refuse(ctx, user.ID); err != nil {
		return nil, err
	}
	if err := a.ensureTold(ctx, user.ID); err != nil {
		return nil, err
	}
	return a.Tokens.withoutSession(user), nil
}

// ourCloud reports whether an identity is of a mini-program of ours: with resource sharing others call, too.
func (a *Authn) ourCloud(id CloudIdentity) bool {
	_, ours := a.apps[id.AppID]
	return ours && validOpenID(id.OpenID)
}

// signedCallWindow is how far the clocks of the cloud function and of the gateway may differ, and so how long a signature
// that somebody stole is worth something.
const signedCallWindow = time.Minute

// SignedCall is how the cloud function api-proxy describes a call that it forwards. The platform tells the function who
// is calling, and the function signs it; see miniprogram/cloudfunctions/api-proxy/signature.js.
type SignedCall struct {
	AppID     string
	OpenID    string
	Timestamp string // Unix seconds
	Method    string // as it was sent, before X-HTTP-Method-Override
	Target    string // path and query, as they were sent
	Content   string // SHA-256 of the body, in hex; compared by whoever reads the body
	Signature string // HMAC-SHA256 over the version and the others, in hex
}

// signedCallVersion is the first line of what is signed. Version 1 had no such line and left the content out, so that one
// signature carried any body for a minute; it is not believed any more.
const signedCallVersion = "v2"

// Identity returns the caller, and reports whether to trust it: the call was signed with key within the last minute.
func (s SignedCall) Identity(key secret.Text, now time.Time) (CloudIdentity, bool) {
	signature, err := hex.DecodeString(s.Signature)
	believed := err == nil && key.Reveal() != "" && hmac.Equal(signature, s.sum(key)) && s.isOf(now)
	if !believed {
		return CloudIdentity{}, false
	}
	return CloudIdentity{AppID: s.AppID, OpenID: s.OpenID}, true
}

// sum is over a line each; none of them can hold a line break, which no part of a request's head can.
func (s SignedCall) sum(key secret.Text) []byte {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte(strings.Join([]string{signedCallVersion, s.Timestamp, s.AppID, s.OpenID, s.Method, s.Target, s.Content}, "\n")))
	return mac.Sum(nil)
}

func (s SignedCall) isOf(now time.Time) bool {
	seconds, err := strconv.ParseInt(s.Timestamp, 10, 64)
	return err == nil && now.Sub(time.Unix(seconds, 0)).Abs() <= signedCallWindow
}
