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
	id      string
	client  WeChat
	slots   *slots
	breaker breaker.Breaker // of logins
	checks  checks
	budget  time.Duration
	now     func() time.Time
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
	p := &app{id: id, budget: deps.Budget, now: deps.Now, slots: newSlots(deps.Concurrency, deps.Budget/2, m)}
	p.breaker.Configure(weChatBreaker())
	p.checks.slots = newSlots(deps.Concurrency, contentBudget/2, m)
	p.checks.breaker.Configure(weChatBreaker())
	return p
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
func exchangeWith[T any](ctx context.Context, p *app, send func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, p.budget)
	defer cancel()
	var none T
	pass, err := p.breaker.Allow(p.now())
	if err != nil {
		return none, &WeChatError{Kind: ErrBusy, Err: errors.New("WeChat has stopped answering")}
	}
	result := breaker.Neutral // if the exchange panics
	defer func() { p.breaker.Record(pass, result, p.now()) }()
	session, err := inSlot(ctx, p, send)
	result = weChatResult(err)
	if err != nil {
		return none, WeChatFailure(err)
	}
	return session, nil
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

// inSlot takes a slot, so that a slow WeChat holds up a limited number of logins.
func inSlot[T any](ctx context.Context, p *app, send func(context.Context) (T, error)) (T, error) {
	if err := p.slots.acquire(ctx); err != nil {
		return *new(T), err
	}
	defer p.slots.release()
	return retryBusy(ctx, send)
}

// checks limit what is asked about content, so that a WeChat that does not answer holds up neither logins nor those who wait.
type checks struct {
	slots   *slots
	breaker breaker.Breaker
}

// check calls WeChat about what users write, within contentBudget.
func (p *app) check(ctx context.Context, call func(context.Context, WeChat) error) error {
	ctx, cancel := context.WithTimeout(ctx, contentBudget)
	defer cancel()
	pass, err := p.checks.breaker.Allow(p.now())
	if err != nil {
		return &WeChatError{Kind: ErrBusy, Err: errors.New("WeChat has stopped answering")}
	}
	result := breaker.Neutral // if the call panics
	defer func() { p.checks.breaker.Record(pass, result, p.now()) }()
	if err := p.checks.slots.acquire(ctx); err != nil {
		return err
	}
	defer p.checks.slots.release()
	err = call(ctx, p.client)
	result = weChatResult(err)
	return err
}

// phone trades the code of a button for a number. The code is sent once.
func (p *app) phone(ctx context.Context, code, openID string) (wechat.Phone, error) {
	if err := p.slots.acquire(ctx); err != nil {
		return wechat.Phone{}, err
	}
	defer p.slots.release()
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
