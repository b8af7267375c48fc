// Package config is gateway.yaml: its sections with their defaults, what the environment fills in, and every fault with
// its place in the file.
package config

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"wxgate/authn"
	"wxgate/authn/token"
	"wxgate/authn/wechat"
	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/gateway/answer"
	"wxgate/gateway/limit"
	"wxgate/histogram"
	"wxgate/input"
	"wxgate/storage"
	"wxgate/storage/mysql"
	"wxgate/tracing"
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
	Metrics   histogram.Config           `yaml:"metrics"`
	Tracing   tracing.Config             `yaml:"tracing"`

	References strictyaml.References `yaml:"-"` // what the file has written in the place of values
}

// DefaultConfig is a gateway.yaml that says nothing: it has no routes, no upstreams and no secrets.
func DefaultConfig() Config {
	edge := gateway.DefaultConfig()
	return Config{
		Server: edge.Server, WeChat: wechat.DefaultConfig(), Authn: authn.DefaultConfig(), Identity: edge.Identity,
		Storage: storage.DefaultConfig(), Endpoints: edge.Endpoints, Answers: edge.Answers,
		Limits: edge.Limits, Log: edge.Log, Tracing: tracing.DefaultConfig(),
	}
}

// Validate reports every fault. It opens nothing.
func (c Config) Validate() input.Faults {
	var f input.Faults
	if service := c.Authn.OnUser.Upstream; service != "" {
		f.OneOf("authn.on_user.upstream", service, slices.Sorted(maps.Keys(c.Upstreams))...)
	}
	for path, payment := range c.VirtualPayments() {
		if payment.Upstream != "" {
			f.OneOf(path+".upstream", payment.Upstream, slices.Sorted(maps.Keys(c.Upstreams))...)
		}
	}
	return slices.Concat(c.validateRouting(), f, c.WeChat.Validate().At("wechat"), c.Authn.Validate().At("authn"), c.validateStorage().At("storage"), c.Tracing.Validate().At("tracing"))
}

// VirtualPayments are the sections virtual_payment of the mini-programs, by their path.
func (c Config) VirtualPayments() map[string]wechat.VirtualPaymentConfig {
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

// Reload is c with what a running gateway takes over from next; the rest of next needs a restart.
func (c Config) Reload(next Config) Config {
	read := next
	next.Server, next.WeChat, next.Authn = c.Server.Reload(next.Server), c.WeChat.Reload(next.WeChat), c.Authn.Reload(next.Authn)
	next.Storage, next.Metrics = c.Storage, c.Metrics
	next.References = read.References.With(c.References, strictyaml.Differ(next, read))
	return next
}

// Text is c as YAML, with every key and without secrets: neither what is one by its type, nor what comes from the environment
// or from a file, nor the values of headers, which are often the credentials of a service.
func (c Config) Text() string {
	header := regexp.MustCompile(`[._]headers\.set\.`)
	return strictyaml.Print(c, c.References, header.MatchString)
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
	return on.Upstream != "" && method == http.MethodPost && strings.EqualFold(asked, path) && c.SameService(name, on.Upstream)
}

// SameService reports whether two upstreams are one service: those that share a target are.
func (c Config) SameService(a, b string) bool {
	return a == b || slices.ContainsFunc(c.Upstreams[a].Targets, func(t upstream.Target) bool {
		return slices.ContainsFunc(c.Upstreams[b].Targets, func(other upstream.Target) bool { return t.URL == other.URL })
	})
}
