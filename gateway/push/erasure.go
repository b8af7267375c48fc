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
	LoggedInSince(ctx context.Context, appID, openID string, since time.Time) (bool, error)
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
func (e event) erases() bool { return e.is(consentRevoked) || e.is(accountCancelled) }

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
			return nil, 0, errWaits
		}
		return value, erasureLife, nil
	})
	if errors.Is(err, errWaits) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", answer.ErrPushRefused, err)
	}
	r.log.Warn(lograte.Kind{Message: "a person is to be erased: the service is told in a day, because message push is in plain mode (明文模式)", Reason: "erasure"}, "appid", m.app.ID)
	return nil
}

var errWaits = errors.New("it waits already")

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
	value, err := r.store.Temporary(ctx, name)
	if err == nil {
		err = json.Unmarshal(value, &e)
	}
	return e, err
}

// tellErasure tells a service, unless the person has logged in since.
func (r *Receiver) tellErasure(ctx context.Context, e erasure, app App, to *upstream.Upstream) error {
	back, err := r.store.LoggedInSince(ctx, e.AppID, e.OpenID, e.At)
	if err != nil {
		return err
	}
	if back {
		r.log.Warn(lograte.Kind{Message: "a person is not erased, who has logged in since", Reason: "erasure"}, "appid", e.AppID)
		return nil
	}
	event, _ := eventOf(e.Message)
	m := Message{app: App{ID: app.ID, Upstream: app.Upstream}, json: e.Message, proven: true, event: event}
	ctx, cancel := context.WithTimeout(ctx, m.Budget())
	defer cancel()
	_, err = r.Deliver(ctx, m, to, rand.Text())
	return err
}
