package authn

import (
	"context"
	"errors"
	"time"

	"wxgate/authn/wechat"
	"wxgate/breaker"
)

// WeChat is what authn needs from a mini-program's client of api.weixin.qq.com.
type WeChat interface {
	// Code2Session exchanges a code of wx.login for an openid and a session_key; the code is sent once.
	Code2Session(ctx context.Context, code string) (wechat.Session, error)
	// PhoneNumber exchanges the code of a getPhoneNumber button, pressed by this openid, for a phone number; each call
	// costs money.
	PhoneNumber(ctx context.Context, code, openID string) (wechat.Phone, error)
	// CheckSession reports whether WeChat still holds a user's session_key.
	CheckSession(ctx context.Context, openID, sessionKey string) (bool, error)
	// ResetSessionKey has WeChat replace a session_key.
	ResetSessionKey(ctx context.Context, openID, sessionKey string) (wechat.Session, error)
	// CheckProfile asks about texts of a user, who is using the mini-program.
	CheckProfile(ctx context.Context, openID string, text wechat.ProfileText) (wechat.ContentCheck, error)
	// CheckImage asks about a picture of such a user; WeChat pushes the result with the traceID.
	CheckImage(ctx context.Context, openID, address string) (traceID string, err error)
}

// app is one mini-program: its client of WeChat, and the limits that keep logins from waiting for a WeChat that does
// not answer.
type app struct {
	id     string
	client WeChat
	logins *lane // of codes, also of the phone button
	checks *lane // of what users write
}

// weChatBreaker opens when half of the exchanges within 10 s have failed. From then on one exchange is let through
// every 5 s, and the first that succeeds closes it.
func weChatBreaker() breaker.Config {
	return breaker.Config{Failures: 0.5, MinRequests: 20, Window: 10 * time.Second, Open: 5 * time.Second, Probes: 1}
}

// apps are the mini-programs by appid.
type apps map[string]*app

const (
	busyRetries = 2                      // retries after -1 (WeChat is busy, the code was not used)
	busyPause   = 150 * time.Millisecond // before the first of them; twice as long before the second
)

// newApps gives each mini-program deps.Concurrency slots.
func newApps(deps Deps, m *metrics) apps {
	made := make(apps, len(deps.Apps))
	for id, client := range deps.Apps {
		made[id] = newApp(id, deps, m)
		made[id].client = client
	}
	return made
}

func newApp(id string, deps Deps, m *metrics) *app {
	return &app{id: id, logins: newLane(deps, deps.Budget, m), checks: newLane(deps, contentBudget, m)}
}

// lane bounds questions to WeChat of one kind, in number and time, so that a WeChat that does not answer holds up neither other
// kinds nor those who wait.
type lane struct {
	slots   *slots
	breaker breaker.Breaker
	budget  time.Duration // for one, with what it waits for
	now     func() time.Time
}

func newLane(deps Deps, budget time.Duration, m *metrics) *lane {
	l := &lane{slots: newSlots(deps.Concurrency, budget/2, m), budget: budget, now: deps.Now}
	l.breaker.Configure(weChatBreaker())
	return l
}

// do asks within the bounds. Without an answer of WeChat for a while it is not asked at all: ErrBusy.
func (l *lane) do(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.budget)
	defer cancel()
	pass, err := l.breaker.Allow(l.now())
	if err != nil {
		return &WeChatError{Kind: ErrBusy, Err: errors.New("WeChat has stopped answering")}
	}
	result := breaker.Neutral // if the question panics
	defer func() { l.breaker.Record(pass, result, l.now()) }()
	if err = l.slots.acquire(ctx); err == nil {
		defer l.slots.release()
		err = ask(ctx)
	}
	result = weChatResult(err)
	return err
}

// find returns the mini-program with that appid, or the only one if id is empty.
func (a apps) find(id string) (*app, error) {
	if id == "" && len(a) == 1 {
		for _, only := range a {
			return only, nil
		}
	}
	found, known := a[id]
	if !known {
		return nil, &FieldError{"X-App-Id", "不是已配置的小程序"}
	}
	return found, nil
}

// exchange trades a code for an openid within the budget, retries included.
func (p *app) exchange(ctx context.Context, code string) (wechat.Session, error) {
	return exchangeWith(ctx, p, func(ctx context.Context) (wechat.Session, error) { return p.client.Code2Session(ctx, code) })
}

// exchangeWith is exchange by a call that is sent once, unless WeChat is busy.
func exchangeWith[T any](ctx context.Context, p *app, send func(context.Context) (T, error)) (answer T, err error) {
	err = p.logins.do(ctx, func(ctx context.Context) (err error) {
		answer, err = retryBusy(ctx, send)
		return err
	})
	if err != nil {
		return *new(T), WeChatFailure(err)
	}
	return answer, nil
}

// weChatResult returns Failure if WeChat did not answer, or was busy every time; a refusal is an answer. An exchange
// that got no slot says nothing about WeChat.
func weChatResult(err error) breaker.Result {
	var answer *wechat.Error
	switch {
	case errors.Is(err, ErrBusy):
		return breaker.Neutral
	case errors.As(err, &answer) && answer.Code == wechat.ErrCodeBusy,
		errors.Is(err, wechat.ErrTimeout), errors.Is(err, wechat.ErrBadResponse), errors.Is(err, wechat.ErrUnreachable):
		return breaker.Failure
	}
	return breaker.Success
}

// check calls WeChat about what users write, within contentBudget.
func (p *app) check(ctx context.Context, call func(context.Context, WeChat) error) error {
	return p.checks.do(ctx, func(ctx context.Context) error { return call(ctx, p.client) })
}

// phone trades the code of a button for a number. The code is sent once.
func (p *app) phone(ctx context.Context, code, openID string) (wechat.Phone, error) {
	if err := p.logins.slots.acquire(ctx); err != nil {
		return wechat.Phone{}, err
	}
	defer p.logins.slots.release()
	phone, err := p.client.PhoneNumber(ctx, code, openID)
	if err != nil {
		return wechat.Phone{}, WeChatFailure(err)
	}
	return phone, nil
}

// retryBusy retries if WeChat is busy; nothing else is ever retried.
func retryBusy[T any](ctx context.Context, send func(context.Context) (T, error)) (T, error) {
	for attempt := 0; ; attempt++ {
		session, err := send(ctx)
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
