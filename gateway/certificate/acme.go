package certificate

import (
	"encoding/base64"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"wxgate/input"
	"wxgate/secret"
)

// ACME is the section server.tls.acme: domains whose certificates an authority issues on demand of ours (RFC 8555). With
// one, the terms of service of that authority are accepted.
type ACME struct {
	Domains   []string `yaml:"domains"`   // in lower case, each gets a certificate of its own; none: ACME is off
	Email     string   `yaml:"email"`     // whom the authority tells of problems; may be empty
	Directory string   `yaml:"directory"` // URL of the authority; empty: Let's Encrypt
	EAB       EAB      `yaml:"eab"`       // of authorities that want an account of theirs
	Cache     string   `yaml:"cache"`     // folder of accounts, certificates and keys, unless the store has them
}

// EAB is an external account binding (RFC 8555 §7.3.4), as the console of the authority shows it.
type EAB struct {
	KID string      `yaml:"kid"` // the id of the account that the authority gave
	Key secret.Text `yaml:"key"` // base64url
}

// DefaultACME is the section when nothing is set.
func DefaultACME() ACME { return ACME{Domains: []string{}, Cache: "./data/acme"} }

// Enabled reports whether there are domains.
func (a ACME) Enabled() bool { return len(a.Domains) > 0 }

// Equal reports whether two sections say the same.
func (a ACME) Equal(b ACME) bool {
	return slices.Equal(a.Domains, b.Domains) && a.Email == b.Email && a.Directory == b.Directory && a.EAB == b.EAB && a.Cache == b.Cache
}

const (
	maxDomains   = 100 // Let's Encrypt issues 50 a week for one registered domain
	maxDomainLen = 253 // RFC 1035 §2.3.4
)

// validate reports the faults of the section.
func (a ACME) validate() (f input.Faults) {
	if len(a.Domains) > maxDomains {
		f.Add("domains", "want %d or fewer, got %d", maxDomains, len(a.Domains))
	}
	for i, domain := range a.Domains[:min(len(a.Domains), maxDomains)] {
		if wrong := wrongDomain(domain); wrong != "" {
			f.Add(fmt.Sprintf("domains[%d]", i), "%s %s", input.Quote(domain), wrong)
		} else if slices.Contains(a.Domains[:i], domain) {
			f.Add(fmt.Sprintf("domains[%d]", i), "%q is there twice", domain)
		}
	}
	if !a.Enabled() && (a.Email != "" || a.Directory != "" || a.EAB != EAB{}) {
		f.Add("domains", "want the domains to ask certificates for, got none")
	}
	if address, err := mail.ParseAddress(a.Email); a.Email != "" && (err != nil || address.Address != a.Email) {
		f.Add("email", "%s is not an address such as ops@example.com", input.Quote(a.Email))
	}
	if u, err := url.Parse(a.Directory); a.Directory != "" && (err != nil || u.Scheme != "https" || !input.IsHost(u.Hostname()) || u.User != nil) {
		f.Add("directory", "%s is not the https:// URL of an ACME directory", input.Quote(a.Directory))
	}
	a.EAB.validate(&f)
	if a.Enabled() && a.Cache == "" {
		f.Add("cache", "want a folder that lasts, got none: each start would ask for new certificates")
	}
	return f
}

func (e EAB) validate(f *input.Faults) {
	key := e.Key.Reveal()
	switch {
	case (e.KID == "") != (key == ""):
		f.Add("eab", "want kid and key, got one of them")
	case secret.Mistake(key) != "":
		f.Add("eab.key", "%s", secret.Mistake(key))
	default:
		if _, err := base64.RawURLEncoding.DecodeString(key); err != nil {
			f.Add("eab.key", "is not base64url: copy it again from the console of the authority")
		}
	}
}

// wrongDomain says why an authority would not issue a certificate for a domain by the challenges that we can answer; "" is
// that it may.
func wrongDomain(domain string) string {
	_, noIP := netip.ParseAddr(domain)
	switch {
	case strings.HasPrefix(domain, "*."):
		return "is a wildcard, for which an authority looks into the DNS: name each domain, or use a certificate in files"
	case strings.ContainsFunc(domain, func(r rune) bool { return r > 0x7f }):
		return "is not ASCII: write it as xn--…"
	case noIP == nil, strings.ToLower(domain) != domain, len(domain) > maxDomainLen, !regexp.MustCompile(`^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`).MatchString(domain):
		return "is not a domain such as api.example.com, in lower case and without port or path"
	}
	return ""
}
