package authn

import (
	"context"
	"errors"
	"time"

	"wxgate/authn/wechat"
)

// WeChat is what a mini-program's client of api.weixin.qq.com does for authn.
type WeChat interface {
	// Code2Session exchanges a code of wx.login for an openid and a session_key; the code is sent once.
	Code2Session(ctx context.Context, code string) (wechat.Session, error)
	// PhoneNumber exchanges the code of a getPhoneNumber button that this openid pressed for a phone number; the call costs
	// money.
	PhoneNumber(ctx context.Context, code, openID string) (wechat.Phone, error)
	// CheckSession says whether WeChat still holds a user's session_key.
	CheckSession(ctx context.Context, openID, sessionKey string) (bool, error)
	// ResetSessionKey has WeChat replace a session_key.
	ResetSessionKey(ctx context.Context, openID, sessionKey string) (wechat.Session, error)
}

// app is one mini-program: its client of WeChat, and what keeps logins from waiting for a WeChat that does not answer.
type app struct {
	id      string
	client  WeChat
	slots   chan struct{}
	breaker breaker
	budget  time.Duration
}

const (
	busyRetries  = 2                      // how often -1 (WeChat is busy, the code is not spent) is tried again
	busyPause    = 150 * time.Millisecond // before the first of them; twice as long before the second
	maxExchanges = 64                     // exchanges with WeChat at a time, per mini-program
)

func newApps(clients map[string]WeChat, budget time.Duration, now func() time.Time) map[string]*app {
	apps := make(map[string]*app, len(clients))
	for id, client := range clients {
		apps[id] = &app{id: id, client: client, slots: make(chan struct{}, maxExchanges), breaker: breaker{now: now}, budget: budget}
	}
	return apps
}

// appOf is the mini-program that a request names, or the only one there is.
func (a *Authn) appOf(id string) (*app, error) {
	if id == "" && len(a.apps) == 1 {
		for _, only := range a.apps {
			return only, nil
		}
	}
	found, known := a.apps[id]
	if !known {
		return nil, &FieldError{"X-App-Id", "不是已配置的小程序"}
	}
	return found, nil
}

// exchange trades a code for an openid within the budget, however long WeChat's moods last.
func (p *app) exchange(ctx context.Context, code string) (wechat.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, p.budget)
	defer cancel()
	if !p.breaker.allow() {
		return wechat.Session{}, &WeChatError{Kind: ErrBusy, Err: errors.New("WeChat has not answered lately")}
	}
	session, err := p.within(ctx, code)
	p.breaker.done(errors.Is(err, wechat.ErrTimeout) || errors.Is(err, wechat.ErrBadResponse) || errors.Is(err, wechat.ErrUnreachable))
	if err != nil {
		return wechat.Session{}, weChatError(err)
	}
	return session, nil
}

// within waits for one of the slots, so that a slow WeChat holds up a bounded number of logins.
func (p *app) within(ctx context.Context, code string) (wechat.Session, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
		return p.patient(ctx, code)
	case <-ctx.Done():
		return wechat.Session{}, &WeChatError{Kind: ErrBusy, Err: errors.New("too many logins wait for WeChat")}
	}
}

// patient tries again when WeChat says that it is busy; nothing else is ever tried again.
func (p *app) patient(ctx context.Context, code string) (wechat.Session, error) {
	for attempt := 0; ; attempt++ {
		session, err := p.client.Code2Session(ctx, code)
		var answer *wechat.Error
		if !errors.As(err, &answer) || answer.Code != wechat.ErrCodeBusy || attempt == busyRetries {
			return session, err
		}
		pause := time.NewTimer(busyPause << attempt)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return session, err
		}
	}
}
