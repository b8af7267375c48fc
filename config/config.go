// Package config is gateway.yaml: its sections with their defaults, what the environment fills in, and every fault with
// its place in the file.
package config

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/gateway"
	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/input"
	"wxgate/storage"
	"wxgate/storage/mysql"
	"wxgate/upstream"
)

// Config is gateway.yaml: every section belongs to the package that works by it.
type Config struct {
	Server    gateway.ServerConfig       `yaml:"server"`
	WeChat    wechat.Config              `yaml:"wechat"`
	Authn     authn.Config               `yaml:"authn"`
	Identity  gateway.IdentityConfig     `yaml:"identity"`
	Storage   storage.Config             `yaml:"storage"`
	Upstreams map[string]upstream.Config `yaml:"upstreams"`
	Routes    []gateway.RouteConfig      `yaml:"routes"`
	Endpoints gateway.EndpointsConfig    `yaml:"endpoints"`
	Answers   answer.Config              `yaml:"answers"`
	Limits    limit.Config               `yaml:"limits"`
	Log       gateway.LogConfig          `yaml:"log"`
}

// DefaultConfig is a gateway.yaml that says nothing: it has no routes, no upstreams and no secrets.
func DefaultConfig() Config {
	edge := gateway.DefaultConfig()
	return Config{
		Server: edge.Server, WeChat: wechat.DefaultConfig(), Authn: authn.DefaultConfig(), Identity: edge.Identity,
		Storage: storage.DefaultConfig(), Endpoints: edge.Endpoints, Answers: edge.Answers,
		Limits: edge.Limits, Log: edge.Log,
	}
}

// Validate reports every fault. It opens nothing.
func (c Config) Validate() input.Faults {
	var f input.Faults
	if service := c.Authn.OnUser.Upstream; service != "" {
		f.OneOf("authn.on_user.upstream", service, slices.Sorted(maps.Keys(c.Upstreams))...)
	}
	for path, payment := range c.virtualPayments() {
		if payment.Upstream != "" {
			f.OneOf(path+".upstream", payment.Upstream, slices.Sorted(maps.Keys(c.Upstreams))...)
		}
	}
	return slices.Concat(c.validateRouting(), f, c.WeChat.Validate().At("wechat"), c.Authn.Validate().At("authn"), c.validateStorage().At("storage"))
}

// virtualPayments are the sections virtual_payment of the mini-programs, by their path.
func (c Config) virtualPayments() map[string]wechat.VirtualPaymentConfig {
	all := map[string]wechat.VirtualPaymentConfig{"wechat.virtual_payment": c.WeChat.VirtualPayment}
	for i, app := range c.WeChat.Apps {
		all[fmt.Sprintf("wechat.apps[%d].virtual_payment", i)] = app.VirtualPayment
	}
	return all
}

// validateStorage reports the faults of the store, also those that its driver knows.
func (c Config) validateStorage() input.Faults {
	f := c.Storage.Validate()
	if c.Storage.Driver == storage.DriverMySQL {
		f = append(f, mysql.Check(c.Storage.MySQL).At("mysql")...)
	}
	return f
}

// validateRouting reports the faults of what decides on requests.
func (c Config) validateRouting() input.Faults {
	f := c.Gateway().Validate()
	for name, section := range c.Upstreams {
		f = append(f, section.Validate().At("upstreams."+name)...)
	}
	return f
}

// ValidateOpened is Validate, with the faults of the files of keys and certificates.
func (c Config) ValidateOpened() input.Faults {
	f := slices.Concat(c.Validate(), token.CheckKeys(c.Authn.Algorithm, c.Authn.Keys).At("authn"))
	_, unservable := c.Server.TLS.Load()
	f = append(f, unservable.At("server.tls")...)
	_, unservable = c.Server.AdminTLS.Config().Load()
	f = append(f, unservable.At("server.admin_tls")...)
	for name, section := range c.Upstreams {
		_, unread := section.TLS.Load()
		f = append(f, unread.At("upstreams."+name+".tls")...)
	}
	_, unread := c.Gateway().Merchants()
	return append(f, unread...)
}

// Warnings are about what holds and may not be meant.
func (c Config) Warnings() input.Faults {
	return slices.Concat(c.Gateway().Warnings(), c.WeChat.Warnings().At("wechat"), c.Storage.Warnings().At("storage"), c.Authn.Warnings().At("authn"), c.wayWarnings(), c.quotaWarnings())
}

// WarningsOpened is Warnings, with those about the certificates, as of a time.
func (c Config) WarningsOpened(now time.Time) input.Faults {
	f := c.Warnings()
	if certificates, faults := c.Server.TLS.Load(); len(faults) == 0 {
		f = append(f, certificates.Warnings(now, c.Gateway().Hosts()).At("server.tls")...)
	}
	if certificates, faults := c.Server.AdminTLS.Config().Load(); len(faults) == 0 {
		f = append(f, certificates.Warnings(now, nil).At("server.admin_tls")...)
	}
	if merchants, faults := c.Gateway().Merchants(); len(faults) == 0 {
		f = append(f, merchants.Warnings(now)...)
	}
	return f
}

// wayWarnings names the routes by which clients reach what services keep for the gateway.
func (c Config) wayWarnings() (f input.Faults) {
	if on := c.Authn.OnUser; on.Upstream != "" {
		for _, way := range c.Gateway().Ways(on.Upstream, http.MethodPost, on.Path, c.sameService) {
			f.Add("authn.on_user.path", "%s", way.Warning("only the signature tells the service which are the gateway's"))
		}
	}
	for _, way := range c.Gateway().PushWays(c.sameService) {
		f.Add("wechat.push.upstream", "the service gets messages at /wechat/push, and %s", way.Warning("the service cannot tell them from WeChat's"))
	}
	sections := c.virtualPayments()
	for _, section := range slices.Sorted(maps.Keys(sections)) {
		payment := sections[section]
		if payment.Upstream == "" {
			continue
		}
		for _, way := range c.Gateway().Ways(payment.Upstream, http.MethodPost, payment.Path, c.sameService) {
			f.Add(section+".path", "%s", way.Warning("the service cannot tell them from the gateway's"))
		}
	}
	for i, r := range c.Routes {
		if r.WeChatPay.IsZero() {
			continue
		}
		path, ways := c.Gateway().NotificationWays(r, c.sameService)
		for _, way := range ways {
			f.Add(fmt.Sprintf("routes[%d].wechat_pay", i), "the service gets notifications at %s, and %s", path, way.Warning("the service cannot tell them from WeChat Pay's"))
		}
	}
	return f
}

// quotaWarnings is about users who begin a day anew by deleting their account.
func (c Config) quotaWarnings() (f input.Faults) {
	const day = 24 * time.Hour
	if len(c.Endpoints.User) > 0 && c.Authn.DeletionGrace < day && len(c.Gateway().Quotas()) > 0 {
		f.Add("authn.deletion_grace", "is shorter than a day: who deletes their account and logs in again within it has the quotas of the day anew; 24h prevents that")
	}
	return f
}

// Reload is c with what a running gateway takes over from next; the rest of next needs a restart.
func (c Config) Reload(next Config) Config {
	next.Server, next.WeChat, next.Authn = c.Server.Reload(next.Server), c.WeChat.Reload(next.WeChat), c.Authn.Reload(next.Authn)
	next.Storage = c.Storage
	return next
}

// Gateway is what the package gateway works by.
func (c Config) Gateway() gateway.Config {
	return gateway.Config{
		Server: c.Server, Routes: c.Routes, Identity: c.Identity, Endpoints: c.Endpoints, Answers: c.Answers,
		Limits: c.Limits, Log: c.Log,
		CloudRun: c.WeChat.CloudRun, PhoneByDecryption: c.WeChat.PhoneByDecryption,
		FunctionKey: c.WeChat.CloudFunctionSecret, PushUpstreams: c.WeChat.PushUpstreams(),
		PublicKeys:      slices.ContainsFunc(c.Authn.Keys, func(k token.KeyConfig) bool { return k.File != "" }),
		TokenFrom:       c.Authn.TokenFrom,
		SetCookie:       c.Authn.SetCookie,
		Issuers:         c.Authn.Issuers,
		Upstreams:       slices.Sorted(maps.Keys(c.Upstreams)),
		VirtualPayments: c.WeChat.VirtualPayments(),
		Content: authn.ContentPolicy{
			Check: c.WeChat.ContentCheck.Enabled, Unchecked: c.WeChat.ContentCheck.OnError == wechat.OnErrorAllow, Results: c.WeChat.PushApps(),
		},
		WebLogin: c.WeChat.WebLogin(c.Authn.Link == authn.LinkUnionID),
	}
}

// Services are the upstreams, with what limits says of them.
func (c Config) Services() map[string]upstream.Config {
	all := make(map[string]upstream.Config, len(c.Upstreams))
	for name, cfg := range c.Upstreams {
		all[name] = cfg.WithDials(c.Limits.Dials)
	}
	return all
}

// Files are those that sections name and that are read again with each configuration, in an order that stays.
func (c Config) Files() []string {
	var files []string
	for _, key := range c.Authn.Keys {
		if key.File != "" {
			files = append(files, key.File)
		}
	}
	files = append(append(files, c.Server.TLS.Files()...), c.Server.AdminTLS.Config().Files()...)
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		files = append(files, c.Upstreams[name].TLS.Files()...)
	}
	for _, r := range c.Routes {
		files = append(files, r.WeChatPay.Files()...)
	}
	return files
}

// IsOnUser reports whether a request to an upstream arrives where authn.on_user tells about users.
func (c Config) IsOnUser(name, method, target string) bool {
	on := c.Authn.OnUser
	path, _, _ := strings.Cut(on.Path, "?")
	asked, _, _ := strings.Cut(target, "?")
	return on.Upstream != "" && method == http.MethodPost && strings.EqualFold(asked, path) && c.sameService(name, on.Upstream)
}

// Openings finds the open routes of a configuration that hold protected ones.
func Openings(cfg Config) []gateway.Opening { return cfg.Gateway().Openings(cfg.sameService) }

// sameService reports whether two upstreams are one service: those that share a target are.
func (c Config) sameService(a, b string) bool {
	return a == b || slices.ContainsFunc(c.Upstreams[a].Targets, func(t upstream.Target) bool {
		return slices.ContainsFunc(c.Upstreams[b].Targets, func(other upstream.Target) bool { return t.URL == other.URL })
	})
}

// WarnOpenings logs what check says of open routes.
func WarnOpenings(cfg Config, log *slog.Logger) {
	for _, o := range Openings(cfg) {
		what := "an open route holds protected ones of the same service"
		if !o.Open() {
			what = "a route for other callers holds those of an issuer, of the same service"
		}
		log.Warn(what, "open", o.Path, "auth", string(o.Auth), "protected", o.Holds[0], "count", len(o.Holds))
	}
}
