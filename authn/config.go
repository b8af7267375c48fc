package authn

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"wxgate/authn/wechat"
	"wxgate/secret"
)

// MinSecretBytes is the shortest HS256 secret that is accepted: RFC 7518 §3.2 asks for at least the size of the hash.
const MinSecretBytes = 32

// Secret is a string that prints as ***.
type Secret = wechat.Secret

// Config is the section authn of gateway.yaml.
type Config struct {
	Issuer        string         `yaml:"issuer"`    // iss of our tokens
	Algorithm     string         `yaml:"algorithm"` // what the first key signs with: HS256, RS256, ES256 or EdDSA
	Keys          []KeyConfig    `yaml:"keys"`      // the first signs, all verify
	TokenTTL      time.Duration  `yaml:"token_ttl"` // how long an access token lives; 7 days
	Leeway        time.Duration  `yaml:"leeway"`    // how far clocks may differ
	Refresh       RefreshConfig  `yaml:"refresh"`
	Sessions      SessionsConfig `yaml:"sessions"`
	AcceptForeign bool           `yaml:"accept_foreign"` // take tokens of an existing backend that our key signed
}

// KeyConfig is one key of authn.keys.
type KeyConfig struct {
	ID     string `yaml:"id"`     // kid in the header of the tokens it signs
	Secret Secret `yaml:"secret"` // for HS256: at least MinSecretBytes bytes
	File   string `yaml:"file"`   // for RS256, ES256, EdDSA: a PEM file; a public key can only verify
}

// SessionsConfig is authn.sessions.
type SessionsConfig struct {
	MaxPerUser int `yaml:"max_per_user"` // the oldest ends when one too many begins; 50; 0: no limit, 1: one device
}

// RefreshConfig is authn.refresh.
type RefreshConfig struct {
	Window time.Duration `yaml:"window"` // how long after its expiry a token can still be refreshed
	Grace  time.Duration `yaml:"grace"`  // how long after a refresh the replaced token still works
}

// DefaultConfig is the section authn as it is when gateway.yaml says nothing.
func DefaultConfig() Config {
	return Config{
		Issuer:    "wxgate",
		Algorithm: "HS256",
		TokenTTL:  7 * 24 * time.Hour,
		Leeway:    5 * time.Second,
		Refresh:   RefreshConfig{Window: 7 * 24 * time.Hour, Grace: time.Minute},
		Sessions:  SessionsConfig{MaxPerUser: 50},
	}
}

// Reload is c with what a running process takes over from next: the keys.
func (c Config) Reload(next Config) Config {
	c.Algorithm, c.Keys = next.Algorithm, next.Keys
	return c
}

// Validate reports every fault of the section; each text begins with the key's path.
func (c Config) Validate() []error {
	faults := c.validateKeys()
	fault := func(path, format string, args ...any) {
		faults = append(faults, fmt.Errorf("authn."+path+": "+format, args...))
	}
	if c.Issuer == "" {
		fault("issuer", "is empty")
	}
	if !slices.Contains([]string{"HS256", "RS256", "ES256", "EdDSA"}, c.Algorithm) {
		fault("algorithm", "%q is not one of HS256, RS256, ES256, EdDSA", c.Algorithm)
	}
	if c.Sessions.MaxPerUser < 0 {
		fault("sessions.max_per_user", "%d is negative", c.Sessions.MaxPerUser)
	}
	if c.TokenTTL < time.Minute {
		fault("token_ttl", "%v is shorter than 1m", c.TokenTTL)
	}
	if c.Leeway < 0 || c.Leeway > time.Minute {
		fault("leeway", "%v is not between 0s and 1m", c.Leeway)
	}
	if c.Refresh.Window < 0 {
		fault("refresh.window", "%v is negative", c.Refresh.Window)
	}
	if c.Refresh.Grace < 0 || c.Refresh.Grace > time.Hour {
		fault("refresh.grace", "%v is not between 0s and 1h", c.Refresh.Grace)
	}
	return faults
}

func (c Config) validateKeys() []error {
	if len(c.Keys) == 0 {
		return []error{fmt.Errorf("authn.keys: there is none to sign tokens with; set one here or JWT_SECRET in the environment (%d bytes or more)", MinSecretBytes)}
	}
	var faults []error
	seen := map[string]bool{}
	for i, k := range c.Keys {
		path := fmt.Sprintf("authn.keys[%d]", i)
		if !validKeyID(k.ID) {
			faults = append(faults, fmt.Errorf("%s.id: %q is not 1 to 64 letters, digits, '-', '_' or '.'", path, k.ID))
		}
		if seen[k.ID] {
			faults = append(faults, fmt.Errorf("%s.id: %q is there twice", path, k.ID))
		}
		seen[k.ID] = true
		faults = append(faults, k.validateMaterial(path)...)
		if mistake := secret.Mistake(k.Secret.Reveal()); mistake != "" && i == 0 {
			faults = append(faults, fmt.Errorf("%s.secret: %s", path, mistake))
		}
	}
	return faults
}

func (k KeyConfig) validateMaterial(path string) []error {
	secret := k.Secret.Reveal()
	switch {
	case k.File != "" && secret != "":
		return []error{fmt.Errorf("%s: has a secret and a file; a key is one of them", path)}
	case k.File != "":
		return nil
	case len(secret) < MinSecretBytes:
		return []error{fmt.Errorf("%s.secret: has %d bytes; HS256 needs %d or more; `wxgate keys new` makes one", path, len(secret), MinSecretBytes)}
	case wellKnown(secret):
		return []error{fmt.Errorf("%s.secret: is a pattern or an example that anybody can guess; make one with `wxgate keys new`", path)}
	}
	return nil
}

// wellKnown reports whether a secret is made of so few characters, or of such words, that it was never random.
func wellKnown(secret string) bool {
	different := map[rune]bool{}
	for _, r := range secret {
		different[r] = true
	}
	lower := strings.ToLower(secret)
	return len(different) < 8 || slices.ContainsFunc([]string{"changeme", "change-me", "your-secret", "your_secret", "secretkey", "your-256-bit-secret"},
		func(word string) bool { return strings.Contains(lower, word) })
}

func validKeyID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, r := range id {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.') {
			return false
		}
	}
	return true
}
