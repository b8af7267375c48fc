package audit

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"wxgate/config"
	"wxgate/gateway"
	"wxgate/input"
)

// openRoutes are warnings about routes that cover what is meant for other callers, or for the gateway itself.
func openRoutes(cfg config.Config) (ws input.Warnings) {
	for _, o := range cfg.Gateway().Openings(cfg.SameService) {
		ws.Warn("open-route", fmt.Sprintf("routes[%d].path", o.Route), "%v", o)
	}
	for _, c := range cfg.Gateway().Covered() {
		ws.Warn("endpoints-under-route", fmt.Sprintf("routes[%d].path", c.Route), "%v", c)
	}
	return ws
}

// issuers are warnings about issuers that no route names.
func issuers(cfg config.Config) (ws input.Warnings) {
	for i, each := range cfg.Authn.Issuers {
		if !slices.ContainsFunc(cfg.Routes, func(r gateway.RouteConfig) bool { return r.Issuer == each.Name }) {
			ws.Warn("issuer-unused", fmt.Sprintf("authn.issuers[%d].name", i), "no route has issuer: %s, so its tokens are accepted nowhere", each.Name)
		}
	}
	return ws
}

// reachable names the routes by which clients reach what services keep for the gateway.
func reachable(cfg config.Config) (ws input.Warnings) {
	edge := cfg.Gateway()
	if on := cfg.Authn.OnUser; on.Upstream != "" {
		for _, way := range edge.Ways(on.Upstream, http.MethodPost, on.Path, cfg.SameService) {
			ws.Warn("events-reachable", "authn.on_user.path", "%s", way.Warning("only the signature tells the service which are the gateway's"))
		}
	}
	for _, way := range edge.PushWays(cfg.SameService) {
		ws.Warn("push-reachable", "wechat.push.upstream", "the service gets messages at /wechat/push, and %s", way.Warning("the service cannot tell them from WeChat's"))
	}
	sections := cfg.VirtualPayments()
	for _, section := range slices.Sorted(maps.Keys(sections)) {
		payment := sections[section]
		if payment.Upstream == "" {
			continue
		}
		for _, way := range edge.Ways(payment.Upstream, http.MethodPost, payment.Path, cfg.SameService) {
			ws.Warn("orders-reachable", section+".path", "%s", way.Warning("the service cannot tell them from the gateway's"))
		}
	}
	for i, r := range cfg.Routes {
		if r.WeChatPay.IsZero() {
			continue
		}
		path, ways := edge.NotificationWays(r, cfg.SameService)
		for _, way := range ways {
			ws.Warn("payments-reachable", fmt.Sprintf("routes[%d].wechat_pay", i), "the service gets notifications at %s, and %s", path, way.Warning("the service cannot tell them from WeChat Pay's"))
		}
	}
	return ws
}

// quotas are warnings about users who begin a day anew by deleting their account.
func quotas(cfg config.Config) (ws input.Warnings) {
	const day = 24 * time.Hour
	if len(cfg.Endpoints.User) > 0 && cfg.Authn.DeletionGrace < day && len(cfg.Gateway().Quotas()) > 0 {
		ws.Warn("quota-reset", "authn.deletion_grace", "is shorter than a day: who deletes their account and logs in again within it has the quotas of the day anew; 24h prevents that")
	}
	return ws
}
