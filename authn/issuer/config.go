package issuer

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"wxgate/authn/token"
	"wxgate/input"
	"wxgate/secret"
)

// Config is one entry of authn.issuers.
type Config struct {
	Name       string            `yaml:"name"`       // by which routes name it; a label of metrics
	Issuer     string            `yaml:"iss"`        // iss of its tokens, exactly; "": they have none, with a secret alone
	JWKS       string            `yaml:"jwks"`       // the address of its public keys
	Secret     secret.Text       `yaml:"secret"`     // or what it signs with HS256, HS384 or HS512
	Algorithms []string          `yaml:"algorithms"` // that its keys may have; empty: RS256, with a secret HS256
	Audience   Audience          `yaml:"aud"`        // one of these is in aud of its tokens; empty: they have none, with a secret alone
	Subject    string            `yaml:"subject"`    // the claim that says who it is; sub
	Headers    map[string]string `yaml:"headers"`    // header for services -> claim
}

// SetDefaults sets the values that an entry need not mention.
func (c *Config) SetDefaults() { c.Subject = "sub" }

// Audience is a list of audiences; one of them may be written alone.
type Audience []string

// UnmarshalText reads the short form.
func (a *Audience) UnmarshalText(text []byte) error {
	*a = Audience{string(text)}
	return nil
}

// Wanted names what the key takes.
func (*Audience) Wanted() string { return "a text or a list of texts" }

// The bounds of an entry.
const (
	maxNameBytes  = 32
	maxTextBytes  = 1024 // of iss, jwks and each aud
	maxAudiences  = 8
	maxHeaders    = 16
	maxClaimBytes = 128
)

// algorithms are those that keys may have, the preferred one first.
func (c Config) algorithms() []string {
	switch {
	case len(c.Algorithms) > 0:
		return c.Algorithms
	case c.Secret != "":
		return token.SecretAlgorithms()[:1]
	}
	return token.PublicAlgorithms()[:1]
}

// String says whose tokens an issuer's are, and with what keys they are verified.
func (c Config) String() string {
	keys := "a secret"
	if c.JWKS != "" {
		keys = "keys from " + c.JWKS
	}
	of := c.Issuer
	if of == "" {
		of = "without iss"
	}
	return fmt.Sprintf("%s (%s, %s)", of, strings.Join(c.algorithms(), ", "), keys)
}

// Validate reports every fault of an entry but those of the names of its headers.
func (c Config) Validate() (f input.Faults) {
	if !validName(c.Name) {
		f.Add("name", "%q is not 1 to %d letters, digits, '-', '_' or '.'", c.Name, maxNameBytes)
	}
	if len(c.Issuer) > maxTextBytes {
		f.Add("iss", "has %d bytes; %d are the most", len(c.Issuer), maxTextBytes)
	}
	switch {
	case c.JWKS != "" && c.Secret != "":
		f.Add("secret", "conflicts with jwks; tokens are verified with one of the two")
	case c.Secret != "":
		c.validateSecret(&f)
	case c.JWKS == "":
		f.Add("jwks", "is empty, so no token could be verified; write the address of the keys, or a secret")
	default:
		c.validateJWKS(&f)
	}
	if len(c.Audience) > maxAudiences {
		f.Add("aud", "has %d entries; %d are the most", len(c.Audience), maxAudiences)
	}
	for i, aud := range c.Audience {
		if aud == "" || len(aud) > maxTextBytes {
			f.Add(fmt.Sprintf("aud[%d]", i), "has %d bytes; wanted are 1 to %d", len(aud), maxTextBytes)
		}
	}
	c.validateClaims(&f)
	return f
}

func (c Config) validateClaims(f *input.Faults) {
	if c.Subject == "" || len(c.Subject) > maxClaimBytes {
		f.Add("subject", "has %d bytes; wanted are 1 to %d", len(c.Subject), maxClaimBytes)
	}
	if len(c.Headers) == 0 || len(c.Headers) > maxHeaders {
		f.Add("headers", "has %d entries; wanted are 1 to %d, such as X-Admin-Id: sub, so that services learn who is calling", len(c.Headers), maxHeaders)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if claim := c.Headers[name]; claim == "" || len(claim) > maxClaimBytes {
			f.Add("headers."+name, "names a claim of %d bytes; wanted are 1 to %d", len(claim), maxClaimBytes)
		}
	}
}

// minSecretBytes are the shortest secrets that RFC 7518 §3.2 allows.
func minSecretBytes(algorithm string) int {
	return map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[algorithm]
}

func (c Config) validateSecret(f *input.Faults) {
	text, algorithms := c.Secret.Reveal(), c.algorithms()
	if len(algorithms) != 1 || !slices.Contains(token.SecretAlgorithms(), algorithms[0]) {
		f.Add("algorithms", "%s is not one of %s; a secret is for one of them", strings.Join(algorithms, ", "), strings.Join(token.SecretAlgorithms(), ", "))
	}
	least := minSecretBytes(algorithms[0])
	switch mistake := secret.Mistake(text); {
	case mistake != "":
		f.Add("secret", "%s", mistake)
	case len(text) < least:
		f.Add("secret", "has %d bytes; %s needs %d or more", len(text), algorithms[0], least)
	case secret.WellKnown(text):
		f.Add("secret", "is a pattern or an example that anybody can guess; make one with `wxgate keys new`")
	}
}

func (c Config) validateJWKS(f *input.Faults) {
	if fault := faultOfAddress(c.JWKS); fault != "" {
		f.Add("jwks", "%s", fault)
	}
	for i, algorithm := range c.Algorithms {
		f.OneOf(fmt.Sprintf("algorithms[%d]", i), algorithm, token.PublicAlgorithms()...)
	}
	if c.Issuer == "" {
		f.Add("iss", "is empty; it is the iss of the tokens, such as https://auth.example.com/realms/admin")
	}
	if len(c.Audience) == 0 {
		f.Add("aud", "is empty; it is what aud of the tokens names, or tokens for any other service of this issuer would be accepted")
	}
}

// faultOfAddress says why keys cannot be fetched from an address, "" if they can.
func faultOfAddress(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil || !input.IsHost(u.Hostname()) || len(address) > maxTextBytes:
		return fmt.Sprintf("%.80q is not an address such as https://auth.example.com/jwks.json", address)
	case u.User != nil || u.Fragment != "":
		return "has a user or a fragment, which an address of public keys does not have"
	case u.Scheme == "http" && input.IsLoopback(u.Hostname()):
		return ""
	case u.Scheme != "https":
		return fmt.Sprintf("%s is not https: whoever is on the way could exchange the keys; http is for this machine alone", address)
	}
	return ""
}

func validName(name string) bool {
	return name != "" && len(name) <= maxNameBytes &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}
