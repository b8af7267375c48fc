package push

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"wxgate/gateway/answer"
	"wxgate/gateway/once"
	"wxgate/lograte"
	"wxgate/storage"
	"wxgate/upstream"
)

// Store is what a receiver needs from storage; package storage documents each method.
type Store interface {
	once.Store
	Temporaries(ctx context.Context, prefix string, limit int) ([]string, error)
	UserByOpenID(ctx context.Context, appID, openID string) (storage.User, error)
	Sessions(ctx context.Context, userID int64, after storage.SessionCursor, limit int) ([]storage.Session, error)
	SessionKeys(ctx context.Context, userID int64) ([]storage.SessionKey, error)
}

var _ Store = (*storage.Store)(nil)

// In plain mode whoever has seen one address could have a person erased. So an event that asks for it waits, and a person who logs
// in meanwhile is still there.
const (
	erasureWait   = 24 * time.Hour
	erasureLife   = 7 * 24 * time.Hour // until then the service may fail
	erasureLook   = time.Minute        // between two looks
	erasurePrefix = "push erasure "
	maxErasures   = 1000 // that wait at a time
)

// erases reports whether a service has to delete what it has of a person: the person withdrew a consent, or left WeChat.
func (e event) erases() bool {
	return e.name() == "user_authorization_revoke" || e.name() == "user_authorization_cancellation"
}

// erasure is an event that waits.
type erasure struct {
	AppID   string          `json:"appid"`
	OpenID  string          `json:"openid"`
	At      time.Time       `json:"at"` // when it came
	Message json.RawMessage `json:"message"`
}

// postpone lets an event wait.
func (r *Receiver) postpone(ctx context.Context, m Message) error {
	waiting, err := r.store.Temporaries(ctx, erasurePrefix, maxErasures)
	if err == nil && len(waiting) >= maxErasures {
		err = errors.New("too many erasures wait")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", answer.ErrPushRefused, err)
	}
	value, err := json.Marshal(erasure{m.app.ID, m.event.text("OpenID"), r.now(), m.json})
	if err != nil {
		return errNotFromWeChat
	}
	name := erasurePrefix + once.Key(m.app.ID+" "+m.event.key())
	err = r.store.ChangeTemporary(ctx, name, func(known []byte) ([]byte, time.Duration, error) {
		if known != nil {
			return nil, 0, errLooked // it waits already
		}
		return value, erasureLife, nil
	})
	if errors.Is(err, errLooked) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", answer.ErrPushRefused, err)
	}
	r.log.Warn(lograte.Kind{Message: "a person is to be erased: the service is told in a day, because message push is in plain mode (明文模式)", Reason: "erasure"}, "appid", m.app.ID)
	return nil
}

var errLooked = errors.New("nothing is changed")

// TellErasures tells services of those that have waited, until ctx ends.
func (r *Receiver) TellErasures(ctx context.Context, to func(appID string) (App, *upstream.Upstream)) {
	if r.store == nil {
		return
	}
	ticker := time.NewTicker(erasureLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.tellErasures(ctx, to)
		}
	}
}

// tellErasures looks once. What fails is told at the next look.
func (r *Receiver) tellErasures(ctx context.Context, to func(appID string) (App, *upstream.Upstream)) {
	names, err := r.store.Temporaries(ctx, erasurePrefix, maxErasures)
	if err != nil {
		return
	}
	failed := map[string]bool{} // by appid: whose service is not asked again at this look
	for _, name := range names {
		waiting, err := r.erasureOf(ctx, name)
		if err != nil || r.now().Sub(waiting.At) < erasureWait {
			continue
		}
		app, service := to(waiting.AppID)
		if service == nil || failed[waiting.AppID] {
			continue
		}
		if err := r.tellErasure(ctx, waiting, app, service); err != nil {
			failed[waiting.AppID] = true
			r.log.Warn(lograte.Kind{Message: "the service was not told of a person who is to be erased; it is told again for seven days in all", Reason: "erasure"},
				"appid", waiting.AppID, "since", waiting.At.Format(time.RFC3339), "error", err)
			continue
		}
		_ = r.store.ChangeTemporary(ctx, name, func([]byte) ([]byte, time.Duration, error) { return nil, 0, nil })
	}
}

func (r *Receiver) erasureOf(ctx context.Context, name string) (e erasure, err error) {
	var parsed error
	err = r.store.ChangeTemporary(ctx, name, func(value []byte) ([]byte, time.Duration, error) {
		parsed = json.Unmarshal(value, &e)
		return nil, 0, errLooked
	})
	if errors.Is(err, errLooked) {
		err = parsed
	}
	return e, err
}

// tellErasure tells a service, unless the person has logged in since.
func (r *Receiver) tellErasure(ctx context.Context, e erasure, app App, to *upstream.Upstream) error {
	back, err := r.isBack(ctx, e)
	if err != nil {
		return err
	}
	if back {
		r.log.Warn(lograte.Kind{Message: "a person is not erased, who has logged in since", Reason: "erasure"}, "appid", e.AppID)
		return nil
	}
	event, _ := eventOf(e.Message)
	_, err = r.Deliver(ctx, Message{app: App{ID: app.ID, Upstream: app.Upstream}, json: e.Message, proven: true, event: event}, to, rand.Text())
	return err
}

// isBack reports whether a person has logged in since: a login yields a session_key, which a logout leaves, or, on WeChat Cloud Run,
// a session alone.
func (r *Receiver) isBack(ctx context.Context, e erasure) (bool, error) {
	user, err := r.store.UserByOpenID(ctx, e.AppID, e.OpenID)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	keys, err := r.store.SessionKeys(ctx, user.ID)
	if err != nil || len(keys) > 0 && keys[0].At.After(e.At) {
		return err == nil, err
	}
	since, err := r.store.Sessions(ctx, user.ID, storage.SessionCursor{CreatedAt: e.At}, 100)
	return len(since) > 0, err
}
