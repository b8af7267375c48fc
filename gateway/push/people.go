package push

import (
	"context"
	"errors"
	"fmt"

	"wxgate/authn/wechat"
	"wxgate/gateway/answer"
	"wxgate/gateway/once"
	"wxgate/lograte"
)

// People changes what the gateway itself keeps of those whom events are about. An openid of nobody is no error.
type People interface {
	// ConsentRevoked deletes what RevokeInfo names.
	ConsentRevoked(ctx context.Context, appID, openID, revokeInfo string) error
	// AccountCancelled erases somebody.
	AccountCancelled(ctx context.Context, appID, openID string) error
	// AvatarJudged takes the result of a check that somebody asked for, not only the gateway.
	AvatarJudged(ctx context.Context, appID, traceID string, result wechat.ContentCheck) error
	// ProfileCleaned deletes nickname and avatar.
	ProfileCleaned(ctx context.Context, appID, openID string) error
}

// act does what an event wants of the gateway itself, before the service is told, and once: a repetition, because the service
// failed, finds what the person gave since. What erases is proven by now, or has waited; a profile is cleaned if the event
// is proven. The result of a picture is known by its trace_id, which WeChat has told nobody else.
func (r *Receiver) act(ctx context.Context, m Message, key string) error {
	if traceID := m.event.text("trace_id"); r.people != nil && m.event.is(mediaChecked) && traceID != "" {
		return r.people.AvatarJudged(ctx, m.app.ID, traceID, m.event.contentCheck())
	}
	if r.people == nil || !m.event.erases() && !(m.proven && m.event.is(profileCleaned)) {
		return nil
	}
	if of := m.event.text("AppID"); of != "" && of != m.app.ID {
		r.log.Warn(lograte.Kind{Message: "the gateway deletes nothing: the event is about another app", Reason: "app"}, "appid", m.app.ID)
		return nil
	}
	_, err := r.acted.Deliver(ctx, key, func(ctx context.Context, _ bool) ([]byte, error) {
		openID := m.event.text("OpenID")
		switch {
		case m.event.is(consentRevoked):
			return nil, r.people.ConsentRevoked(ctx, m.app.ID, openID, m.event.numbers("RevokeInfo"))
		case m.event.is(accountCancelled):
			return nil, r.people.AccountCancelled(ctx, m.app.ID, openID)
		}
		return nil, r.people.ProfileCleaned(ctx, m.app.ID, openID)
	})
	if errors.Is(err, once.ErrUnderWay) {
		return fmt.Errorf("%w: an earlier attempt is still at it", answer.ErrPushRefused)
	}
	return err
}
