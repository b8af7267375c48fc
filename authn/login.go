package authn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wxgate/authn/wechat"
	"wxgate/storage"
)

// loginStore stores what a login yields, and what WeChat says about its user.
type loginStore interface {
	Login(ctx context.Context, l storage.Login) (storage.LoginResult, error)
	LoginOf(ctx context.Context, outcome string) (storage.LoginResult, error)
	Untold(ctx context.Context, userID int64) (bool, error)
	SessionKeys(ctx context.Context, userID int64) ([]storage.SessionKey, error)
	Phone(ctx context.Context, userID int64) (storage.Phone, error)
	SetPhone(ctx context.Context, userID int64, phone storage.Phone) error
}

// Login is what a mini-program sends after wx.login.
type Login struct {
	AppID    string // the mini-program; empty: the only one there is
	Code     string
	Nickname *string // optional, and often a placeholder; ignored when invalid
	Avatar   *string // optional, and often a path on the phone; ignored when invalid
	Device   string  // shown in the session list: the family of the User-Agent

	Content ContentPolicy // for the nickname and the avatar

	Admit func(appID, openID string) error // called before the session starts; an error refuses the login; may be nil
}

// Grant is an access token and its user.
type Grant struct {
	Token     string
	ExpiresIn time.Duration // from now
	User      storage.User
	Created   bool // the user is new
}

// Login exchanges the code with WeChat, finds or creates the user and starts a session. A code that arrives twice at
// once, or again within ten seconds, gets the same answer: phones resend it when an answer is lost. Errors are
// ErrInvalidRequest, ErrUserBanned, ErrUserService, a *WeChatError or an error of storage.
func (a *Authn) Login(ctx context.Context, l Login) (Grant, error) {
	grant, err := a.login(ctx, l)
	a.metrics.logins.WithLabelValues(resultOf(err, ofLogins())).Inc()
	return grant, err
}

func (a *Authn) login(ctx context.Context, l Login) (Grant, error) {
	profile := Profile{Nickname: l.Nickname, Avatar: l.Avatar}.usable()
	code, err := a.codeOf(l)
	if err != nil {
		return Grant{}, err
	}
	of, err := a.apps.find(l.AppID)
	if err != nil {
		return Grant{}, err
	}
	key := newCodeKey(of.id, code)
	return a.logins.once(ctx, key, func() (Grant, error) {
		start := a.now()
		exchanged, elsewhere, err := a.exchange(ctx, of, code, key)
		switch {
		case err != nil:
			return Grant{}, err
		case elsewhere != nil:
			return a.Tokens.grant(elsewhere.User, elsewhere.Session, elsewhere.Created)
		}
		return a.begin(ctx, l, profile, storage.Login{
			AppID: of.id, OpenID: exchanged.OpenID, UnionID: exchanged.UnionID,
			SessionKey: storage.SessionKey{Key: exchanged.SessionKey, At: start}, Outcome: a.outcome(key),
		})
	})
}

// codeOf returns the code to exchange. A tourist's code is always the same, so it stands for a fresh one.
func (a *Authn) codeOf(l Login) (string, error) {
	switch {
	case l.Code == wechat.TouristCode && a.tourist != "":
		return a.tourist + "-" + newID(), nil
	case l.Code == wechat.TouristCode:
		return "", &FieldError{"code", "是 touristappid（游客模式）的模拟值；请在 project.config.json 中填写小程序的 appid"}
	case !wechat.ValidCode(l.Code):
		return "", &FieldError{"code", "不是 wx.login 返回的 code"}
	}
	return l.Code, nil
}

// begin finds or creates the user of a login, who has been identified, and starts a session.
func (a *Authn) begin(ctx context.Context, l Login, profile Profile, login storage.Login) (Grant, error) {
	if l.Admit != nil {
		if err := l.Admit(login.AppID, login.OpenID); err != nil {
			return Grant{}, err
		}
	}
	if err := a.others.fresh(ctx); err != nil { // the user may have been banned elsewhere
		return Grant{}, err
	}
	var avatar *avatarCheck
	if l.Content.Check {
		profile, avatar = a.Users.content.admit(ctx, l.Content, a.authorOf(ctx, login), profile)
	}
	login.FirstID, login.Hold, login.Link = a.cfg.FirstUserID, a.waits(), a.cfg.linking()
	login.TakeBack = a.cfg.DeletionGrace > 0
	login.Session, login.MaxSessions = newSession(a.cfg, a.store.Epoch(), a.now(), l.Device), a.cfg.Sessions.MaxPerUser
	login.Refuse = a.Users.refuseBanned
	login.Change = func(u *storage.User) error {
		profile.apply(u)
		return nil
	}
	in, err := a.loginTold(ctx, login)
	if errors.Is(err, ErrUserBanned) {
		return Grant{}, ErrUserBanned
	}
	if err != nil {
		return Grant{}, fmt.Errorf("saving a login: %w", err)
	}
	a.Sessions.revoked.Add(in.Ended...)
	a.Users.content.await(ctx, avatar, in.User.ID)
	who := []any{"user", in.User.ID, "created", in.Created}
	if in.Account != in.User.ID {
		who = append(who, "account", in.Account)
	}
	a.log.InfoContext(ctx, "login", who...)
	if in.TookBack {
		a.metrics.deletionsTakenBack.Inc()
		a.log.InfoContext(ctx, "a user who asked to be erased took that back by a login", "user", in.User.ID)
	}
	return a.Tokens.grant(in.User, in.Session, in.Created)
}

// authorOf is who logs in, as stored so far. What the store does not say is found out by the login.
func (a *Authn) authorOf(ctx context.Context, login storage.Login) author {
	user, err := a.store.UserByOpenID(ctx, login.AppID, login.OpenID)
	if err == nil {
		user, _ = a.store.Person(ctx, user)
	}
	return author{login.AppID, login.OpenID, user}
}
