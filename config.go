package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"

	"wxgate/authn"
	"wxgate/authn/wechat"
	"wxgate/gateway"
	"wxgate/storage"
	"wxgate/strictyaml"
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
	Limits    gateway.LimitsConfig       `yaml:"limits"`
	Log       gateway.LogConfig          `yaml:"log"`
}

// DefaultConfig is a gateway.yaml that says nothing: it has no routes, no upstreams and no secrets.
func DefaultConfig() Config {
	edge := gateway.DefaultConfig()
	return Config{
		Server: edge.Server, WeChat: wechat.DefaultConfig(), Authn: authn.DefaultConfig(), Identity: edge.Identity,
		Storage: storage.DefaultConfig(), Limits: edge.Limits, Log: edge.Log,
	}
}

// Validate reports every fault; each text begins with the key's path. It opens nothing.
func (c Config) Validate() []error {
	names := slices.Sorted(maps.Keys(c.Upstreams))
	faults := slices.Concat(c.gateway().Validate(names), c.WeChat.Validate(), c.Authn.Validate(), c.Storage.Validate())
	for _, name := range names {
		faults = append(faults, c.Upstreams[name].Validate("upstreams."+name)...)
	}
	if len(c.Routes) == 0 {
		faults = append(faults, errors.New("routes: there is none, so nothing would be forwarded"))
	}
	return faults
}

// gateway is what the package gateway works by.
func (c Config) gateway() gateway.Config {
	return gateway.Config{
		Server: c.Server, Routes: c.Routes, Identity: c.Identity, Limits: c.Limits, Log: c.Log,
		CloudRun: c.WeChat.CloudRun, FunctionKey: c.WeChat.CloudFunctionSecret, PushUpstream: c.WeChat.Push.Upstream,
	}
}

// files are those that sections name and that are read again with each configuration, in an order that stays.
func (c Config) files() []string {
	var files []string
	for _, key := range c.Authn.Keys {
		if key.File != "" {
			files = append(files, key.File)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		files = append(files, c.Upstreams[name].TLS.Files()...)
	}
	return files
}

// fromEnvironment fills what the file leaves out, and lets PORT win over server.listen as WeChat Cloud Run expects.
func (c *Config) fromEnvironment(env strictyaml.LookupEnv) {
	if id, ok := env("WX_APPID"); ok && c.WeChat.AppID == "" && len(c.WeChat.Apps) == 0 {
		c.WeChat.AppID = id
	}
	if secret, ok := env("WX_SECRET"); ok && c.WeChat.Secret.Reveal() == "" && len(c.WeChat.Apps) == 0 {
		c.WeChat.Secret = wechat.Secret(secret)
	}
	if secret, ok := env("JWT_SECRET"); ok && len(c.Authn.Keys) == 0 {
		c.Authn.Keys = []authn.KeyConfig{{ID: "main", Secret: authn.Secret(secret)}}
	}
	if port, ok := env("PORT"); ok && port != "" {
		host, _, err := net.SplitHostPort(c.Server.Listen)
		if err != nil {
			host = ""
		}
		c.Server.Listen = net.JoinHostPort(host, port)
	}
}

// loadConfig reads a configuration file. The error holds every fault, one a line, with its place in the file.
func loadConfig(file string, env strictyaml.LookupEnv) (Config, error) {
	cfg := DefaultConfig()
	err := strictyaml.Read(file, env, &cfg, func() error {
		cfg.fromEnvironment(env)
		return errors.Join(cfg.Validate()...)
	})
	var faults strictyaml.Faults
	if errors.As(err, &faults) {
		return Config{}, fmt.Errorf("the configuration does not hold:\n%w", faults)
	}
	if err != nil {
		return Config{}, err
	}
	return cfg, nil
}
