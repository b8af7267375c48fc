package certificate_test

import (
	"strings"
	"testing"
	"time"

	"wxgate/gateway/certificate"
)

func TestAFaultOfTheACMESectionIsNamed(t *testing.T) {
	t.Parallel()
	valid := func() certificate.ACME {
		section := certificate.DefaultACME()
		section.Domains = []string{"api.example.com", "b-2.example.com", "xn--fiq228c.example"}
		section.Email, section.Directory = "ops@example.com", "https://acme.example.com/v2/dir"
		section.EAB = certificate.EAB{KID: "kid", Key: "zWNDZM6eQGHWpSRT"}
		return section
	}
	if f := (certificate.Config{ACME: valid()}).Validate(); len(f) > 0 {
		t.Fatalf("a valid section: %v", f.Err())
	}
	many := make([]string, 101)
	for path, change := range map[string]func(*certificate.ACME){
		"acme.domains: want 100":                          func(a *certificate.ACME) { a.Domains = many },
		`acme.domains[1]: "*.example.com" is a wildcard`:  func(a *certificate.ACME) { a.Domains[1] = "*.example.com" },
		"acme.domains[0]: \"例.example.com\" is not ASCII": func(a *certificate.ACME) { a.Domains[0] = "例.example.com" },
		`acme.domains[1]: "api.example.com" is there twice`: func(a *certificate.ACME) {
			a.Domains[1] = "api.example.com"
		},
		`acme.email: "ops" is not an address`:     func(a *certificate.ACME) { a.Email = "ops" },
		`acme.email: "Ops <o@`:                    func(a *certificate.ACME) { a.Email = "Ops <o@example.com>" },
		`acme.directory: "http://`:                func(a *certificate.ACME) { a.Directory = "http://acme.example.com" },
		`acme.directory: "https://u:p@`:           func(a *certificate.ACME) { a.Directory = "https://u:p@acme.example.com" },
		"acme.eab: want kid and key":              func(a *certificate.ACME) { a.EAB.Key = "" },
		"acme.eab.key: is not base64url":          func(a *certificate.ACME) { a.EAB.Key = "a+b/" },
		"acme.eab.key: is the name of a variable": func(a *certificate.ACME) { a.EAB.Key = "$ACME_KEY" },
		"acme.cache: want a folder":               func(a *certificate.ACME) { a.Cache = "" },
		"acme.domains: want the domains":          func(a *certificate.ACME) { a.Domains = nil },
	} {
		section := valid()
		change(&section)
		err := (certificate.Config{ACME: section}).Validate().Err()
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want %s", err, path)
		}
		if err != nil && strings.Contains(err.Error(), "a+b/") {
			t.Errorf("the key is told: %v", err)
		}
	}
	for _, domain := range []string{"", "localhost", "API.example.com", "api.example.com.", "api.example.com:443", "https://api.example.com", "10.0.0.1", "::1", "a..b", "-a.example.com", "a_b.example.com", strings.Repeat("a", 64) + ".com", "a.b/c", "1.2"} {
		section := valid()
		section.Domains = []string{domain}
		if f := (certificate.Config{ACME: section}).Validate(); len(f) != 1 {
			t.Errorf("%q: got %v, want one fault", domain, f)
		}
	}
}

// TestDomainsOfACMECoverTheHostsOfRoutes looks at hosts that files lack.
func TestDomainsOfACMECoverTheHostsOfRoutes(t *testing.T) {
	t.Parallel()
	section := certificate.Config{ACME: certificate.ACME{Domains: []string{"a.example.com", "b.example.com", "c.other.com"}}}
	set, f := section.Load()
	if len(f) > 0 || !set.Empty() || !section.Enabled() {
		t.Fatalf("no files: %v", f)
	}
	warned := set.Warnings(time.Now(), []string{"a.example.com", "*.other.com", "d.example.com"})
	var got []string
	for _, each := range warned {
		got = append(got, each.Error())
	}
	want := []string{"cert: no certificate is for *.other.com, the host of a route", "cert: no certificate is for d.example.com, the host of a route", "acme.domains[1]: b.example.com is the host of no route"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
