// Package certificatetest is a certificate authority for tests.
package certificatetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

// Authority issues certificates that clients with its Pool accept.
type Authority struct {
	root, intermediate *issuer
}

type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Leaf is a certificate that is wanted.
type Leaf struct {
	Names    []string      // host names and addresses
	Life     time.Duration // from an hour ago; 0: 90 days
	Deep     bool          // an intermediate signs it
	LeafOnly bool          // the chain is left out
}

// NewAuthority makes an authority with an intermediate.
func NewAuthority() (*Authority, error) {
	root, err := newIssuer("wxgate test root", nil)
	if err != nil {
		return nil, err
	}
	intermediate, err := newIssuer("wxgate test intermediate", root)
	return &Authority{root, intermediate}, err
}

func newIssuer(name string, parent *issuer) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
	}
	self := &issuer{template, key}
	if parent == nil {
		parent = self
	}
	self.certificate, err = parent.sign(template, &key.PublicKey)
	return self, err
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return n
}

func (i *issuer) sign(template *x509.Certificate, key *ecdsa.PublicKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, i.certificate, key, i.key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// Pool has the root.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.root.certificate)
	return pool
}

// PEM is the root, as files have it.
func (a *Authority) PEM() []byte {
	return encode("CERTIFICATE", a.root.certificate.Raw)
}

// Issue returns a certificate with its chain, and its key, as PEM.
func (a *Authority) Issue(leaf Leaf) (chain, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	begin, life := time.Now().Add(-time.Hour), leaf.Life
	if life == 0 {
		life = 90 * 24 * time.Hour
	}
	template := &x509.Certificate{
		SerialNumber: serial(), NotBefore: begin, NotAfter: begin.Add(life), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range leaf.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	by := a.root
	if leaf.Deep {
		by = a.intermediate
		template.IssuingCertificateURL = []string{"http://ca.invalid/intermediate.crt"}
	}
	signed, err := by.sign(template, &private.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	chain = encode("CERTIFICATE", signed.Raw)
	if leaf.Deep && !leaf.LeafOnly {
		chain = append(chain, encode("CERTIFICATE", a.intermediate.certificate.Raw)...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	return chain, encode("PRIVATE KEY", der), err
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Server is the configuration of a server with the certificate of a leaf.
func (a *Authority) Server(leaf Leaf) (*tls.Config, error) {
	chain, key, err := a.Issue(leaf)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	return &tls.Config{Certificates: []tls.Certificate{pair}}, err
}

// IssueTo writes a certificate and its key into files, each by a rename as certbot does.
func (a *Authority) IssueTo(cert, key string, leaf Leaf) error {
	chain, private, err := a.Issue(leaf)
	if err != nil {
		return err
	}
	for file, text := range map[string][]byte{cert: chain, key: private} {
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			return err
		}
		if err := os.Rename(file+".new", file); err != nil {
			return err
		}
	}
	return nil
}
