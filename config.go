package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

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
	return slices.Concat(c.validateRouting(), c.WeChat.Validate(), c.Authn.Validate(), c.Storage.Validate())
}

// validateRouting reports the faults of what decides on requests.
func (c Config) validateRouting() []error {
	names := slices.Sorted(maps.Keys(c.Upstreams))
	faults := c.gateway().Validate(names)
	for _, name := range names {
		faults = append(faults, c.Upstreams[name].Validate("upstreams."+name)...)
	}
	if len(names) == 0 && (c.WeChat.Push.Upstream != "" || slices.ContainsFunc(c.Routes, func(r gateway.RouteConfig) bool { return r.Upstream != "" })) {
		faults = append(faults, errors.New("upstreams: there is none, so routes lead nowhere; write below it NAME: http://127.0.0.1:3000"))
	}
	if len(c.Routes) == 0 {
		faults = append(faults, errors.New("routes: there is none, so nothing would be forwarded"))
	}
	return faults
}

// warnings are about what holds and may not be meant; each text begins with the key's path.
func (c Config) warnings() []error {
	found := c.gateway().Overrides()
	for i, each := range c.WeChat.Each() {
		path := "wechat.appid"
		if len(c.WeChat.Apps) > 0 {
			path = fmt.Sprintf("wechat.apps[%d].appid", i)
		}
		if !wechat.LooksLikeAppID(each.AppID) {
			found = append(found, fmt.Errorf("%s: %q is not wx and 16 of the characters 0 to 9 and a to f, as appids are", path, each.AppID))
		}
	}
	return found
}

// gateway is what the package gateway works by.
func (c Config) gateway() gateway.Config {
	return gateway.Config{
		Server: c.Server, Routes: c.Routes, Identity: c.Identity, Limits: c.Limits, Log: c.Log,
		CloudRun: c.WeChat.CloudRun, PhoneByDecryption: c.WeChat.PhoneByDecryption,
		FunctionKey: c.WeChat.CloudFunctionSecret, PushUpstream: c.WeChat.Push.Upstream,
		PublicKeys: slices.ContainsFunc(c.Authn.Keys, func(k authn.KeyConfig) bool { return k.File != "" }),
	}
}

// services are the upstreams, with what limits says of them.
func (c Config) services() map[string]upstream.Config {
	all := make(map[string]upstream.Config, len(c.Upstreams))
	for name, cfg := range c.Upstreams {
		all[name] = cfg.WithDials(c.Limits.Dials)
	}
	return all
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

// fromEnvironment fills what the file leaves out, and lets PORT win over server.listen as WeChat Cloud Run expects. It
// returns which keys it filled.
func (c *Config) fromEnvironment(env strictyaml.LookupEnv) filled {
	filled := filled{}
	if id, ok := env("WX_APPID"); ok && c.WeChat.AppID == "" && len(c.WeChat.Apps) == 0 {
		c.WeChat.AppID, filled["wechat.appid"] = id, "WX_APPID in the environment"
	}
	if secret, ok := env("WX_SECRET"); ok && c.WeChat.Secret.Reveal() == "" && len(c.WeChat.Apps) == 0 {
		c.WeChat.Secret, filled["wechat.secret"] = wechat.Secret(secret), "WX_SECRET in the environment"
	}
	if secret, ok := env("JWT_SECRET"); ok && len(c.Authn.Keys) == 0 {
		c.Authn.Keys = []authn.KeyConfig{{ID: "main", Secret: authn.Secret(secret)}}
		filled["authn.keys[0]"], filled["authn.keys[0].secret"] = "JWT_SECRET in the environment", "JWT_SECRET in the environment"
	}
	if port, ok := c.portFromEnvironment(env); ok {
		filled["server.listen"] = fmt.Sprintf("PORT=%s in the environment", port)
	}
	return filled
}

// portFromEnvironment makes PORT, where it is set, the port of server.listen.
func (c *Config) portFromEnvironment(env strictyaml.LookupEnv) (port string, ok bool) {
	port, ok = env("PORT")
	if !ok || port == "" {
		return "", false
	}
	host, _, err := net.SplitHostPort(c.Server.Listen)
	if err != nil {
		host = ""
	}
	c.Server.Listen = net.JoinHostPort(host, port)
	return port, true
}

// filled are the keys that the environment filled, with the words for where their values come from.
type filled map[string]string

// name makes faults of such keys faults of the variable: the file has no such key.
func (f filled) name(faults []error) error {
	for i, fault := range faults {
		path, message, _ := strings.Cut(fault.Error(), ": ")
		if from, ok := f[path]; ok {
			faults[i] = fmt.Errorf("%s: %s", from, message)
		}
	}
	return errors.Join(faults...)
}

// loadConfig reads a configuration file. The error holds every fault, one a line, with its place in the file.
func loadConfig(file string, env strictyaml.LookupEnv) (Config, error) {
	cfg, _, err := placeConfig(file, env, Config.Validate)
	return cfg, err
}

// loadOpened reads a configuration and the files of keys and certificates that it names. With an error, the configuration
// is what could be read of it.
func loadOpened(file string, env strictyaml.LookupEnv) (Config, error) {
	cfg, _, err := openConfig(file, env)
	return cfg, err
}

// openConfig is loadOpened with the warnings on what holds and may not be meant, with their places.
func openConfig(file string, env strictyaml.LookupEnv) (Config, strictyaml.Faults, error) {
	cfg, find, err := placeConfig(file, env, Config.validateOpened)
	if err != nil {
		return cfg, nil, err
	}
	return cfg, find(cfg.warnings()), doesNotHold(find(parts(authn.CheckKeys(cfg.Authn))))
}

// validateOpened reports the faults of the configuration, and beside them those of the files of keys and certificates.
func (c Config) validateOpened() []error { return append(c.Validate(), checkFiles(c)...) }

// loadRouting reads what decides on requests, for a command that only looks at it: an operator's shell need not have the
// secrets that the gateway was started with.
func loadRouting(file string, env strictyaml.LookupEnv) (Config, error) {
	cfg, _, err := readConfig(file, strictyaml.Reader{Env: env, Unset: unsetSecret}, func(cfg *Config) error {
		cfg.portFromEnvironment(env)
		return errors.Join(cfg.validateRouting()...)
	})
	return cfg, err
}

// unsetSecret lets secrets be unset. What stands in their place is long enough for every one of them.
func unsetSecret(path, reference string) (string, bool) {
	secret := replacedInSandbox(path) || strings.Contains(path, ".headers.set.")
	return "not-set-here-" + strings.Repeat("x", 32) + reference, secret
}

// placeConfig reads a configuration whose faults validate reports; find finds the places of further ones.
func placeConfig(file string, env strictyaml.LookupEnv, validate func(Config) []error) (Config, func([]error) strictyaml.Faults, error) {
	var filled filled
	cfg, places, err := readConfig(file, strictyaml.Reader{Env: env}, func(cfg *Config) error {
		filled = cfg.fromEnvironment(env)
		return filled.name(validate(*cfg))
	})
	find := func(faults []error) strictyaml.Faults { return places.Faults(filled.name(faults)) }
	return cfg, find, err
}

// readConfig reads a configuration file over the defaults. complete fills in what the file leaves out, and says what is
// wrong. With an error, the configuration is what could be read of it.
func readConfig(file string, reader strictyaml.Reader, complete func(*Config) error) (Config, strictyaml.Places, error) {
	cfg := DefaultConfig()
	places, err := reader.Read(file, &cfg, func() error { return complete(&cfg) })
	var faults strictyaml.Faults
	if errors.As(err, &faults) {
		err = doesNotHold(faults)
	}
	return cfg, places, err
}

// doesNotHold is nil without faults.
func doesNotHold(faults strictyaml.Faults) error {
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("the configuration does not hold:\n%w", faults)
}
