package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"wxgate/authn/wechat"
	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/input"
	"wxgate/storage"
)

// Load reads a configuration file. The error holds every fault, one a line, with its place in the file.
func Load(file string, env strictyaml.LookupEnv) (Config, error) {
	cfg, _, err := load(file, env, Config.Validate)
	return cfg, err
}

// LoadWithFiles reads a configuration and the files of keys and certificates that it names. With an error, the
// configuration is what could be read of it.
func LoadWithFiles(file string, env strictyaml.LookupEnv) (Config, Origin, error) {
	return load(file, env, Config.ValidateOpened)
}

// Origin is where the values of a configuration come from: places in a file, or the environment.
type Origin struct {
	places strictyaml.Places
	filled filled
}

// Place says where in the file something is that was found later, or in which variable of the environment.
func (o Origin) Place(found input.Fault) strictyaml.Fault {
	return o.places.Faults(o.filled.name(input.Faults{found}))[0]
}

// Literal reports whether the file itself holds the value of the key at path.
func (o Origin) Literal(path string) bool { return o.places.Literal(path) }

// load reads a configuration whose faults validate reports.
func load(file string, env strictyaml.LookupEnv, validate func(Config) input.Faults) (Config, Origin, error) {
	var filled filled
	cfg, places, err := Read(file, strictyaml.Reader{Env: env}, func(cfg *Config) input.Faults {
		filled = cfg.fromEnvironment(env)
		return filled.name(slices.Concat(validate(*cfg), cfg.misplaced(env)))
	})
	return cfg, Origin{places, filled}, err
}

// LoadServer reads the section server for a command that only asks the running gateway: an unset variable is an empty
// one.
func LoadServer(file string, env strictyaml.LookupEnv) (gateway.ServerConfig, error) {
	lenient := func(name string) (string, bool) {
		value, _ := env(name)
		return value, true
	}
	cfg, _, err := Read(file, strictyaml.Reader{Env: lenient}, func(cfg *Config) input.Faults {
		cfg.PortFromEnvironment(env)
		return nil
	})
	return cfg.Server, err
}

// LoadStorage reads the section storage for a command that works on the database alone, such as a job that migrates it:
// such a job need not have the other secrets.
func LoadStorage(file string, env strictyaml.LookupEnv) (storage.Config, error) {
	cfg, err := loadStorage(file, env, `storage\.`)
	return cfg.Storage, err
}

// LoadStorageAndApps is LoadStorage for a command that also wants to know which mini-programs there are. Their secrets may
// be unset.
func LoadStorageAndApps(file string, env strictyaml.LookupEnv) (storage.Config, wechat.Config, error) {
	cfg, err := loadStorage(file, env, `storage\.`, `wechat\.(apps\[\d+\]\.)?appid$`)
	return cfg.Storage, cfg.WeChat, err
}

// loadStorage wants what is at these paths to be set.
func loadStorage(file string, env strictyaml.LookupEnv, wanted ...string) (Config, error) {
	unset := func(path, reference string) (string, bool) {
		if slices.ContainsFunc(wanted, func(pattern string) bool { return regexp.MustCompile("^" + pattern).MatchString(path) }) {
			return "", false
		}
		return unsetSecret(path, reference)
	}
	cfg, _, err := Read(file, strictyaml.Reader{Env: env, Unset: unset}, func(cfg *Config) input.Faults {
		return cfg.fromEnvironment(env).name(slices.Concat(cfg.validateStorage().At("storage"), cfg.misplaced(env)))
	})
	return cfg, err
}

// LoadRouting reads what decides on requests, for a command that only looks at it: an operator's shell need not have
// the secrets that the gateway was started with.
func LoadRouting(file string, env strictyaml.LookupEnv) (Config, error) {
	cfg, _, err := Read(file, strictyaml.Reader{Env: env, Unset: unsetSecret}, func(cfg *Config) input.Faults {
		cfg.PortFromEnvironment(env)
		return cfg.validateRouting()
	})
	return cfg, err
}

// LoadRoutingToFill is LoadRouting for a file whose routes may not have been written yet.
func LoadRoutingToFill(file string, env strictyaml.LookupEnv) (Config, error) {
	cfg, _, err := Read(file, strictyaml.Reader{Env: env, Unset: unsetSecret}, func(cfg *Config) input.Faults {
		return slices.DeleteFunc(cfg.validateRouting(), func(f input.Fault) bool { return f.Path == "routes" && len(cfg.Routes) == 0 })
	})
	return cfg, err
}

// unsetSecret lets secrets be unset. What stands in their place is long enough for every one of them.
func unsetSecret(path, reference string) (string, bool) {
	if strings.HasSuffix(path, ".wechat_pay.apiv3_key") {
		return "not-set-here-" + strings.Repeat("x", 19), true // 32 bytes
	}
	secret := ReplacedInSandbox(path) || strings.Contains(path, ".headers.set.")
	return "not-set-here-" + strings.Repeat("x", 32) + reference, secret
}

// Read reads a configuration file over the defaults. complete fills in what the file leaves out, and says what is
// wrong. With an error, the configuration is what could be read of it.
func Read(file string, reader strictyaml.Reader, complete func(*Config) input.Faults) (Config, strictyaml.Places, error) {
	cfg := DefaultConfig()
	places, err := reader.Read(file, &cfg, func() input.Faults { return complete(&cfg) })
	cfg.References = places.References()
	var faults strictyaml.Faults
	if errors.As(err, &faults) {
		err = fmt.Errorf("the configuration is invalid:\n%w", faults)
	}
	return cfg, places, err
}

// ReplacedInSandbox reports whether a key is one of those that are real: accounts, keys and the store.
func ReplacedInSandbox(path string) bool {
	return slices.ContainsFunc([]string{"wechat.", "authn.", "storage.", "server.admin_token", "server.services"}, func(section string) bool {
		return strings.HasPrefix(path, section)
	})
}
