package doctor

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// expiringSoon is when a certificate should have been renewed.
const expiringSoon = 14 * 24 * time.Hour

// handshakeTimeout is for one connection to the domain, DNS and TLS included.
const handshakeTimeout = 5 * time.Second

// handshake connects to the domain as a phone does: TLS 1.2 or later, the full chain, and the right name (page
// framework/ability/network).
func (d domain) handshake(ctx context.Context) (tls.ConnectionState, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	plain, err := d.dial(ctx, "tcp", d.address())
	if err != nil {
		return tls.ConnectionState{}, err
	}
	conn := tls.Client(plain, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, ServerName: d.name, RootCAs: d.roots})
	defer conn.Close()
	err = conn.HandshakeContext(ctx)
	return conn.ConnectionState(), err
}

// tlsFinding is what phones think of the TLS of the domain.
func (d domain) tlsFinding(ctx context.Context) Finding {
	f := Finding{About: "TLS of " + d.String()}
	state, err := d.handshake(ctx)
	if err != nil {
		f.Err, f.Advice = err, tlsAdvice(err)
		return f
	}
	f.Advice, f.Err = judge(state)
	return f
}

// judge is what phones think of a connection whose chain ends in a known root.
func judge(state tls.ConnectionState) (advice string, err error) {
	chain := state.VerifiedChains[0]
	left := time.Until(chain[0].NotAfter)
	advice = fmt.Sprintf("%s, %s, the chain ends in %s, the certificate is good for %d days",
		tls.VersionName(state.Version), cmp.Or(state.NegotiatedProtocol, "http/1.1"), chain[len(chain)-1].Subject.CommonName, days(left))
	if old := unknownTo(state.VerifiedChains); old != "" {
		advice += "; " + old
	}
	life := chain[0].NotAfter.Sub(chain[0].NotBefore)
	switch {
	case left < expiringSoon:
		return "renew it", fmt.Errorf("the certificate ends in %d days", days(left))
	case days(life) > longest(chain[0].NotBefore):
		return "get one of a public authority that phones trust",
			fmt.Errorf("the certificate is valid for %d days, and one of that day may be for %d (CA/Browser Forum SC-081)", days(life), longest(chain[0].NotBefore))
	case slices.ContainsFunc(chain[:max(1, len(chain)-1)], weakKey):
		return "get a certificate with a longer key", errors.New("a key of the chain is RSA of less than 2048 bits, or EC of less than 256, which iOS refuses")
	}
	return advice, nil
}

func days(d time.Duration) int { return int(d.Hours() / 24) }

// longest is for how many days a certificate of that day may be valid (CA/Browser Forum, SC-081v3).
func longest(issued time.Time) int {
	for _, each := range []struct {
		from time.Time
		days int
	}{
		{time.Date(2029, 3, 15, 0, 0, 0, 0, time.UTC), 47},
		{time.Date(2027, 3, 15, 0, 0, 0, 0, time.UTC), 100},
		{time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC), 200},
	} {
		if !issued.Before(each.from) {
			return each.days
		}
	}
	return 398
}

// weakKey reports whether iOS refuses the key of a certificate (App Transport Security).
func weakKey(c *x509.Certificate) bool {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() < 2048
	case *ecdsa.PublicKey:
		return key.Params().BitSize < 256
	}
	return false
}

// unknownTo says which phones do not know the root, when no chain ends in an older one.
func unknownTo(chains [][]*x509.Certificate) string {
	for _, chain := range chains {
		root := chain[len(chain)-1].Subject.CommonName
		if !slices.ContainsFunc(youngRoots(), func(young string) bool { return strings.HasPrefix(root, young) }) {
			return ""
		}
	}
	if root := chains[0][len(chains[0])-1].Subject.CommonName; root != "ISRG Root X1" {
		return "phones with an old Android do not know this root: have the chain cross-signed by an older one, or take another authority, if you have users with such phones"
	}
	return "Android up to 7.1.0 does not know this root: take another authority if you have users with such phones"
}

// youngRoots begin the names of roots that phones from before about 2018 lack.
func youngRoots() []string {
	return []string{"ISRG Root X1", "ISRG Root X2", "GTS Root R", "Sectigo Public Server Authentication Root "}
}

// tlsAdvice is what to do about a domain to which there is no TLS.
func tlsAdvice(err error) string {
	var (
		name    *net.DNSError
		dial    *net.OpError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &name):
		return "let a record of the DNS (A, AAAA) lead from the domain to this gateway"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "open the port to the world (security group, firewall); in the Chinese mainland a cloud does so for a domain with an ICP filing (备案)"
	case errors.As(err, &host):
		return "serve a certificate that is for this domain"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the certificate"
	case errors.As(err, &unknown):
		return "serve the whole chain of a public authority (fullchain.pem): phones do not fetch an intermediate that is missing"
	}
	return "serve TLS 1.2 or later with the whole chain of a public authority"
}
