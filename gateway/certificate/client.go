package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"wxgate/input"
)

// ClientConfig is for who asks a listener that has this pair, by whatever address: it trusts the certificates of the pair's file
// beside the authorities of the system, for the first name of the certificate. One that the file had a moment ago passes if the
// same authority of the system signed it. The key is not read.
func (p Pair) ClientConfig() (*tls.Config, error) {
	chain, err := input.File(p.Cert)
	if err != nil {
		return nil, err
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	var leaf *x509.Certificate
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Cert, err)
		}
		roots.AddCert(certificate)
		if leaf == nil {
			leaf = certificate
		}
	}
	if leaf == nil {
		return nil, fmt.Errorf("%s holds no certificate in PEM", p.Cert)
	}
	all := names(leaf)
	if len(all) == 0 {
		return nil, fmt.Errorf("%s names no host (subjectAltName): nobody can check it", p.Cert)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: strings.Replace(all[0], "*", "any", 1)}, nil
}
