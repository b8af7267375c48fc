// Package certificate has the certificates of a TLS listener: it reads them from files, chooses one for the name that a
// client asks for, and knows what is wrong with them. Those that an authority issues are in package acme.
package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"wxgate/input"
)

// Pair is a certificate with its chain, and its private key, each a PEM file.
type Pair struct {
	Cert string `yaml:"cert"` // the certificate, and behind it those that lead to a root: fullchain.pem
	Key  string `yaml:"key"`  // its private key (PEM)
}

// Config is that of a listener with this pair alone; an empty pair is none.
func (p Pair) Config() Config { return Config{Cert: p.Cert, Key: p.Key} }

// Config is the section server.tls. A pair beside others is the one for clients that ask for no name, or an unknown one.
type Config struct {
	Cert  string `yaml:"cert"`  // see Pair; empty: the listener is plain, unless there are pairs
	Key   string `yaml:"key"`   // see Pair
	Pairs []Pair `yaml:"pairs"` // of more names
	ACME  ACME   `yaml:"acme"`  // names whose certificates are asked for and renewed
}

// Enabled reports whether there are certificates to serve.
func (c Config) Enabled() bool {
	return c.Cert != "" || c.Key != "" || len(c.Pairs) > 0 || c.ACME.Enabled()
}

// maxPairs bounds the work of a reload.
const maxPairs = 1000

// Validate reports the faults of the section. It reads no file.
func (c Config) Validate() (f input.Faults) {
	if len(c.Pairs) > maxPairs {
		f.Add("pairs", "want %d or fewer, got %d", maxPairs, len(c.Pairs))
	}
	for _, each := range c.each() {
		if each.Cert == "" {
			f.Add(each.path+"cert", "want the file of the certificate and its chain, got none")
		}
		if each.Key == "" {
			f.Add(each.path+"key", "want the file of the private key, got none")
		}
	}
	return append(f, c.ACME.validate().At("acme")...)
}

// Files are all files that the section names.
func (c Config) Files() (files []string) {
	for _, each := range c.each() {
		files = append(files, each.Cert, each.Key)
	}
	return slices.DeleteFunc(files, func(file string) bool { return file == "" })
}

// placed is a pair and where it stands in the section.
type placed struct {
	Pair
	path string // "" or "pairs[0]."
}

func (c Config) each() (all []placed) {
	if c.Cert != "" || c.Key != "" {
		all = append(all, placed{Pair{c.Cert, c.Key}, ""})
	}
	for i, pair := range c.Pairs {
		all = append(all, placed{pair, fmt.Sprintf("pairs[%d].", i)})
	}
	return all
}

// Set is the certificates of a configuration that stand in files. It never changes.
type Set struct {
	all     []loaded
	byName  map[string][]*tls.Certificate // lower case; "*.example.com" for a wildcard
	managed []string                      // domains of ACME
}

// loaded is a certificate and where it comes from.
type loaded struct {
	placed
	certificate *tls.Certificate
}

// Load reads the files. The faults name each file that cannot be served.
func (c Config) Load() (_ *Set, f input.Faults) {
	s := &Set{byName: map[string][]*tls.Certificate{}, managed: c.ACME.Domains}
	for _, each := range c.each() {
		if each.Cert == "" || each.Key == "" {
			continue // of which Validate speaks
		}
		certificate, err := load(each.Pair)
		if err != nil {
			f.Add(each.path+faulty(each.Pair, err), "%s", explain(each.Pair, err))
			continue
		}
		s.all = append(s.all, loaded{each, &certificate})
		for _, name := range names(certificate.Leaf) {
			s.byName[name] = append(s.byName[name], &certificate)
		}
	}
	return s, f
}

var (
	// errCutOff is a file in the midst of being written: what is whole of it may be a certificate without its chain.
	errCutOff = errors.New("the file is cut off")
	// errEncrypted is a private key that needs a password.
	errEncrypted = errors.New("the key is encrypted, and nobody could type its password: openssl pkey -in FILE -out NEWFILE writes it without")
)

// load reads a pair.
func load(pair Pair) (c tls.Certificate, err error) {
	chain, err := input.File(pair.Cert)
	if err != nil {
		return c, err
	}
	key, err := input.File(pair.Key)
	if err != nil {
		return c, err
	}
	if bytes.Contains(key, []byte("ENCRYPTED")) { // PKCS #8, and as OpenSSL wrote keys before
		return c, errEncrypted
	}
	if c, err = tls.X509KeyPair(chain, key); err != nil {
		return c, err
	}
	for block := new(pem.Block); block != nil; {
		block, chain = pem.Decode(chain)
	}
	if bytes.Contains(chain, []byte("-----B")) {
		return c, errCutOff
	}
	return c, nil
}

// faulty is the key of the section whose file err is about.
func faulty(pair Pair, err error) string {
	var unread *os.PathError
	if errors.Is(err, errEncrypted) || errors.As(err, &unread) && unread.Path == pair.Key {
		return "key"
	}
	return "cert"
}

// explain names the file that err is about. An error of crypto/tls never quotes a key.
func explain(pair Pair, err error) string {
	var unread *os.PathError
	switch {
	case errors.As(err, &unread):
		return err.Error()
	case errors.Is(err, errCutOff):
		return pair.Cert + ": " + err.Error()
	case errors.Is(err, errEncrypted):
		return pair.Key + ": " + err.Error()
	}
	return fmt.Sprintf("%s with %s: %s", pair.Cert, pair.Key, strings.TrimPrefix(err.Error(), "tls: "))
}

// names are the names that a certificate is for, in lower case. The common name is none of them (RFC 6125 §6.4.4).
func names(leaf *x509.Certificate) (all []string) {
	for _, name := range leaf.DNSNames {
		all = append(all, strings.ToLower(name))
	}
	for _, ip := range leaf.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

// Empty reports whether there are no files.
func (s *Set) Empty() bool { return len(s.all) == 0 }

// errNone is a handshake without any certificate in files.
var errNone = errors.New("there is no certificate")

// AskedName is the name that a client asks for (SNI), in lower case; "" is none.
func AskedName(hello *tls.ClientHelloInfo) string {
	return strings.TrimSuffix(strings.ToLower(hello.ServerName), ".")
}

// fitting are the certificates for a name in lower case: those of that very name, else of a wildcard.
func (s *Set) fitting(name string) []*tls.Certificate {
	if exact := s.byName[name]; len(exact) > 0 {
		return exact
	}
	_, domain, _ := strings.Cut(name, ".")
	return s.byName["*."+domain]
}

// Has reports whether there is a certificate for a name in lower case.
func (s *Set) Has(name string) bool { return len(s.fitting(name)) > 0 }

// Choose returns the certificate for the name that a client asks for (RFC 6066 §3): one of that very name, else a
// wildcard, else the first of the configuration. Of several that fit, it is the first that the client can use.
func (s *Set) Choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	fitting := s.fitting(AskedName(hello))
	for _, certificate := range fitting {
		if hello.SupportsCertificate(certificate) == nil {
			return certificate, nil
		}
	}
	switch {
	case len(fitting) > 0:
		return fitting[0], nil
	case len(s.all) > 0:
		return s.all[0].certificate, nil
	}
	return nil, errNone
}

// expiringSoon is when a certificate is warned about that somebody else renews: ACME clients renew a month before.
const expiringSoon = 14 * 24 * time.Hour

// Warnings are about certificates that are served and that clients may refuse. hosts are those of the routes; none: any
// host is served.
func (s *Set) Warnings(now time.Time, hosts []string) (ws input.Warnings) {
	for _, each := range s.all {
		leaf := each.certificate.Leaf
		switch left := leaf.NotAfter.Sub(now); {
		case left <= 0:
			ws.Warn("certificate-expired", each.path+"cert", "%s has expired on %s: clients refuse it", each.Cert, day(leaf.NotAfter))
		case left < expiringSoon:
			ws.Warn("certificate-expires", each.path+"cert", "%s expires on %s: renew it", each.Cert, day(leaf.NotAfter))
		}
		if leaf.NotBefore.After(now) {
			ws.Warn("certificate-early", each.path+"cert", "%s is valid from %s on, which by our clock is later", each.Cert, leaf.NotBefore.UTC().Format(time.DateTime))
		}
		if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
			ws.Warn("certificate-nameless", each.path+"cert", "%s names no host (subjectAltName): clients refuse it", each.Cert)
		}
		if lacksIntermediate(each.certificate) {
			ws.Warn("certificate-chain", each.path+"cert", "%s lacks the certificate of %q, which signed it: append that one, or use the file that is called fullchain",
				each.Cert, leaf.Issuer.CommonName)
		}
		if len(hosts) > 0 && !slices.ContainsFunc(hosts, func(host string) bool { return covers(leaf, host) }) {
			ws.Warn("certificate-unused", each.path+"cert", "%s is for %s, which is the host of no route", each.Cert, strings.Join(names(leaf), ", "))
		}
	}
	if len(s.all) == 0 && len(s.managed) == 0 { // nothing is served over TLS
		return ws
	}
	for _, host := range hosts {
		if !slices.Contains(s.managed, host) && !slices.ContainsFunc(s.all, func(l loaded) bool { return covers(l.certificate.Leaf, host) }) {
			ws.Warn("host-without-certificate", "cert", "no certificate is for %s, the host of a route", host)
		}
	}
	for i, domain := range s.managed {
		if len(hosts) > 0 && !slices.ContainsFunc(hosts, func(host string) bool { return hostCovers(host, domain) }) {
			ws.Warn("acme-domain-unused", fmt.Sprintf("acme.domains[%d]", i), "%s is the host of no route", domain)
		}
	}
	return ws
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// hostCovers reports whether the host of a route, which may be a wildcard, is that of a domain.
func hostCovers(host, domain string) bool {
	_, above, _ := strings.Cut(domain, ".")
	return host == domain || host == "*."+above
}

// covers reports whether a certificate is for a host, which may be a wildcard like *.example.com itself.
func covers(leaf *x509.Certificate, host string) bool {
	if strings.HasPrefix(host, "*.") {
		return slices.Contains(names(leaf), host)
	}
	return leaf.VerifyHostname(host) == nil
}

// lacksIntermediate reports whether no certificate of a chain has signed the first one, and no root of the system has:
// phones do not fetch what is missing. One that the root of a private authority signs itself is whole.
func lacksIntermediate(certificate *tls.Certificate) bool {
	leaf := certificate.Leaf
	if len(leaf.IssuingCertificateURL) == 0 || slices.Equal(leaf.RawIssuer, leaf.RawSubject) {
		return false
	}
	for _, der := range certificate.Certificate[1:] {
		if signer, err := x509.ParseCertificate(der); err == nil && leaf.CheckSignatureFrom(signer) == nil {
			return false
		}
	}
	_, err := leaf.Verify(x509.VerifyOptions{CurrentTime: leaf.NotBefore.Add(time.Second), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err != nil
}

// Refusal is a certificate that all clients refuse, or all phones.
type Refusal struct {
	Cert string // its file
	Why  string // what the file has or lacks
}

// Refused finds the certificates that have expired, and chains without their intermediate.
func (s *Set) Refused(now time.Time) (all []Refusal) {
	for _, each := range s.all {
		switch {
		case !now.Before(each.certificate.Leaf.NotAfter):
			all = append(all, Refusal{each.Cert, "has expired"})
		case lacksIntermediate(each.certificate):
			all = append(all, Refusal{each.Cert, "lacks its intermediate"})
		}
	}
	return all
}

// Expiry is when a certificate ends.
type Expiry struct {
	Name string // its first name
	Cert string // its file
	At   time.Time
}

// Expiries returns when the certificates end, in the order of the configuration.
func (s *Set) Expiries() (all []Expiry) {
	for _, each := range s.all {
		leaf, name := each.certificate.Leaf, ""
		if known := names(leaf); len(known) > 0 {
			name = known[0]
		}
		all = append(all, Expiry{name, each.Cert, leaf.NotAfter})
	}
	return all
}
