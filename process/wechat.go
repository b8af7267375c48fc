package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/gateway"
	"wxgate/gateway/admin"
	"wxgate/gateway/push"
	"wxgate/secret"
	"wxgate/storage"
)

// openWeChat makes the client of each mini-program, as authn and the admin API want it. Through the store it shares
// WeChat's access_tokens with a process that is restarted.
func (s *Service) openWeChat(cfg wechat.Config, metrics prometheus.Registerer) (map[string]authn.WeChat, map[string]admin.Broker, error) {
	apps, brokers := map[string]authn.WeChat{}, map[string]admin.Broker{}
	for _, each := range cfg.Each() {
		client, err := wechat.New(each, wechat.Deps{
			Metrics: metrics, Tokens: tokenStore{s.store}, OpenInterface: each.CloudRun && strings.HasPrefix(each.BaseURL, "http://"),
		})
		if err != nil {
			return nil, nil, fmt.Errorf("opening the client of WeChat: %w", err)
		}
		apps[each.AppID], brokers[each.AppID] = client, client
		s.onClose(func() error { client.Close(); return nil })
	}
	return apps, brokers, nil
}

// openWebs makes the client of each account of web pages.
func (s *Service) openWebs(cfg wechat.Config, metrics prometheus.Registerer) (map[wechat.WebKind]authn.WebApp, error) {
	webs := map[wechat.WebKind]authn.WebApp{}
	for kind, each := range cfg.Webs() {
		client, err := wechat.NewWeb(each, wechat.Deps{Metrics: metrics})
		if err != nil {
			return nil, fmt.Errorf("opening the client of wechat.%s: %w", kind, err)
		}
		webs[kind] = authn.WebApp{AppID: each.AppID, Client: client}
		s.onClose(func() error { client.Close(); return nil })
	}
	return webs, nil
}

// newPushes makes what opens pushed messages of each mini-program that has message push.
func newPushes(cfg wechat.Config) (apps push.Apps, err error) {
	for _, each := range cfg.Each() {
		if each.Push.Upstream == "" {
			continue
		}
		app := push.App{ID: each.AppID, Upstream: each.Push.Upstream, SealPayments: !each.Push.PlainPaymentAnswers}
		if each.Push.Token.Reveal() != "" {
			if app.Opens, err = wechat.NewPush(each.AppID, each.Push.Token, each.Push.AESKey); err != nil {
				return nil, fmt.Errorf("message push of %s: %w", each.AppID, err)
			}
		}
		apps = append(apps, app)
	}
	return apps, nil
}

// tokenStore keeps the access_tokens of WeChat in our store.
type tokenStore struct{ *storage.Store }

// Load returns the token that was saved last, or the zero token.
func (s tokenStore) Load(ctx context.Context, appID string) (wechat.ServerToken, error) {
	token, expires, err := s.ServerToken(ctx, appID)
	return wechat.ServerToken{Value: secret.Text(token), Expires: expires}, err
}

// Save saves a token.
func (s tokenStore) Save(ctx context.Context, appID string, token wechat.ServerToken) error {
	return s.SaveServerToken(ctx, appID, token.Value.Reveal(), token.Expires)
}

// tokenLease is longer than WeChat takes to answer, and not much.
const tokenLease = 10 * time.Second

// Lease lets this process alone ask WeChat.
func (s tokenStore) Lease(ctx context.Context, appID string) (release func(), taken bool, err error) {
	lease := storage.NewLease(s.Store, "token "+appID, tokenLease)
	if err := lease.Take(ctx); errors.Is(err, storage.ErrLeased) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, err
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = lease.Release(ctx) // else it ends by itself
	}, true, nil
}

// warnOfMerchants warns of platform certificates of routes[].wechat_pay that expire.
func warnOfMerchants(merchants gateway.Merchants, log *slog.Logger) {
	for _, fault := range merchants.Warnings(time.Now()) {
		log.Warn("a certificate may not do", "id", fault.ID, "warning", fault.Error())
	}
}
