package authn

import (
	"fmt"
	"slices"
	"time"

	"wxgate/authn/issuer"
	"wxgate/authn/token"
	"wxgate/input"
	"wxgate/secret"
	"wxgate/storage"
)

// minSecretBytes is the shortest HS256 secret that is accepted: RFC 7518 §3.2 asks for at least the size of the hash.
const minSecretBytes = 32

// Config is the section authn of gateway.yaml.
type Config struct {
	Issuer        string            `yaml:"issuer"`    // iss of our tokens
	Algorithm     string            `yaml:"algorithm"` // what the first key signs with: HS256 or one of token.PublicAlgorithms
	Keys          []token.KeyConfig `yaml:"keys"`      // the first signs, all verify
	TokenTTL      time.Duration     `yaml:"token_ttl"` // how long an access token lives; 7 days
	Leeway        time.Duration     `yaml:"leeway"`    // how far clocks may differ
	Refresh       RefreshConfig     `yaml:"refresh"`
	Sessions      SessionsConfig    `yaml:"sessions"`
	AcceptForeign bool              `yaml:"accept_foreign"` // accept tokens of an existing backend signed with our key
	Link          string            `yaml:"link"`           // LinkUnionID: one person over all mini-programs; empty: a user in each
	FirstUserID   int64             `yaml:"first_user_id"`  // new users get this id or a higher one; 1 to 2^52
	OnUser        OnUserConfig      `yaml:"on_user"`
	DeletionGrace time.Duration     `yaml:"deletion_grace"` // how long a user who asked to be erased can take that back by logging in; at most 30 days; 0: they are erased at once
	Issuers       []issuer.Config   `yaml:"issuers"`        // of tokens of others, which routes name
	TokenFrom     []string          `yaml:"token_from"`     // where a token may stand: header names, cookie:NAME, subprotocol:NAME
	SetCookie     string            `yaml:"set_cookie"`     // the cookie that logins set: a name, or one with attributes; empty: none
}

// LinkUnionID links the accounts of which WeChat says that they have one unionid.
const LinkUnionID = "unionid"

// linking is how logins link the accounts of a person; nil: they do not.
func (c Config) linking() *storage.Linking {
	if c.Link != LinkUnionID {
		return nil
	}
	return &storage.Linking{Foreign: c.AcceptForeign}
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

// DefaultConfig returns the section authn of an empty gateway.yaml.
func DefaultConfig() Config {
	return Config{
		Issuer:    "wxgate",
		Algorithm: "HS256",
		TokenTTL:  7 * 24 * time.Hour,
		Leeway:    5 * time.Second,
		Refresh:   RefreshConfig{Window: 7 * 24 * time.Hour, Grace: time.Minute},
		Sessions:  SessionsConfig{MaxPerUser: 50},

		FirstUserID: 1,
		TokenFrom:   []string{"Authorization"},
	}
}

// maxDeletionGrace is about the 15 working days within which an account has to be gone (WeChat and stores of apps ask for it).
const maxDeletionGrace = 30 * 24 * time.Hour

// Reload returns c with what a running process adopts from next: the keys, other issuers, where tokens stand, and on_user.
func (c Config) Reload(next Config) Config {
	c.Algorithm, c.Keys, c.Issuers, c.TokenFrom, c.SetCookie, c.OnUser = next.Algorithm, next.Keys, next.Issuers, next.TokenFrom, next.SetCookie, next.OnUser
	return c
}

// Validate reports every fault of the section.
func (c Config) Validate() input.Faults {
	f := slices.Concat(c.validateKeys(), c.validateIssuers(), c.OnUser.validate().At("on_user"))
	if c.Issuer == "" {
		f.Add("issuer", "is empty")
	}
	f.OneOf("algorithm", c.Algorithm, ownAlgorithms()...)
	f.OneOf("link", c.Link, "", LinkUnionID)
	if c.Sessions.MaxPerUser < 0 {
		f.Add("sessions.max_per_user", "%d is negative", c.Sessions.MaxPerUser)
	}
	input.Between(&f, "first_user_id", c.FirstUserID, 1, maxImportedID)
	if c.DeletionGrace < 0 || c.DeletionGrace > maxDeletionGrace {
		f.Add("deletion_grace", "%v is not between 0s and 720h, 30 days", c.DeletionGrace)
	}
	if c.TokenTTL < time.Minute {
		f.Add("token_ttl", "%v is shorter than 1m", c.TokenTTL)
	}
	if c.Leeway < 0 || c.Leeway > time.Minute {
		f.Add("leeway", "%v is not between 0s and 1m", c.Leeway)
	}
	if c.Refresh.Window < 0 {
		f.Add("refresh.window", "%v is negative", c.Refresh.Window)
	}
	if c.Refresh.Grace < 0 || c.Refresh.Grace > time.Hour {
		f.Add("refresh.grace", "%v is not between 0s and 1h", c.Refresh.Grace)
	}
	return f
}

// Warnings are about what holds and may not be meant.
func (c Config) Warnings() (ws input.Warnings) {
	if c.Link != "" && c.OnUser.Upstream == "" {
		ws.Warn("link-unannounced", "link", "accounts are linked at once and no service is told: one that keeps ids of users goes on with the old ones; name it in authn.on_user")
	}
	return ws
}

// tokens are what token needs of the section. No token of ours lives longer than token_ttl, and none is of use for longer than
// the refresh window after that.
func (c Config) tokens() token.Config {
	return token.Config{Issuer: c.Issuer, Algorithm: c.Algorithm, Keys: c.Keys, MaxLife: c.TokenTTL + c.Refresh.Window, AcceptImported: c.AcceptForeign}
}

func (c Config) validateKeys() (f input.Faults) {
	if len(c.Keys) == 0 {
		f.Add("keys", "is empty, so no token can be signed; set a key here or JWT_SECRET in the environment (%d bytes or more)", minSecretBytes)
	}
	seen := map[string]bool{}
	for i, k := range c.Keys {
		path := fmt.Sprintf("keys[%d]", i)
		if !validKeyID(k.ID) {
			f.Add(path+".id", "%q is not 1 to 64 letters, digits, '-', '_' or '.'", k.ID)
		}
		if seen[k.ID] {
			f.Add(path+".id", "%q is listed twice", k.ID)
		}
		seen[k.ID] = true
		validateKey(&f, path, k)
		if mistake := secret.Mistake(k.Secret.Reveal()); mistake != "" && i == 0 {
			f.Add(path+".secret", "%s", mistake)
		}
	}
	return f
}

// ownAlgorithms are those that our tokens may be signed with.
func ownAlgorithms() []string { return append([]string{"HS256"}, token.PublicAlgorithms()...) }

func validateKey(f *input.Faults, path string, k token.KeyConfig) {
	text := k.Secret.Reveal()
	if k.Algorithm != "" {
		f.OneOf(path+".algorithm", k.Algorithm, ownAlgorithms()...)
	}
	switch {
	case k.File == "" && k.Algorithm != "" && k.Algorithm != "HS256":
		f.Add(path+".algorithm", "%s needs a file; a secret is for HS256", k.Algorithm)
	case k.File != "" && k.Algorithm == "HS256":
		f.Add(path+".algorithm", "HS256 needs a secret; a file is for the others")
	}
	switch {
	case k.File != "" && text != "":
		f.Add(path, "has a secret and a file; a key is one of them")
	case k.File != "":
	case len(text) < minSecretBytes:
		f.Add(path+".secret", "has %d bytes; HS256 needs %d or more; `wxgate keys new` makes one", len(text), minSecretBytes)
	case secret.WellKnown(text):
		f.Add(path+".secret", "is a pattern or an example that anybody can guess; make one with `wxgate keys new`")
	}
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

// maxIssuers bounds authn.issuers: each one has a cache, and a goroutine that fetches its keys.
const maxIssuers = 8

// validateIssuers reports the faults of authn.issuers. A secret shared by two of them, or with us, would make a token of
// one a token of the other.
func (c Config) validateIssuers() (f input.Faults) {
	if len(c.Issuers) > maxIssuers {
		f.Add("issuers", "has %d entries; %d are the most", len(c.Issuers), maxIssuers)
	}
	for i, each := range c.Issuers {
		path, before := fmt.Sprintf("issuers[%d]", i), c.Issuers[:i]
		f = append(f, each.Validate().At(path)...)
		if each.Name != "" && slices.ContainsFunc(before, func(other issuer.Config) bool { return other.Name == each.Name }) {
			f.Add(path+".name", "%q is listed twice", each.Name)
		}
		if each.Issuer == c.Issuer && c.Issuer != "" {
			f.Add(path+".iss", "%q is authn.issuer, that of our own tokens", each.Issuer)
		}
		ours := slices.ContainsFunc(c.Keys, func(k token.KeyConfig) bool { return k.Secret == each.Secret })
		if each.Secret != "" && (ours || slices.ContainsFunc(before, func(other issuer.Config) bool { return other.Secret == each.Secret })) {
			f.Add(path+".secret", "is the secret of another issuer, or of authn.keys; each needs its own")
		}
	}
	return f
}
