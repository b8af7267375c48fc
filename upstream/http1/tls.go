package http1

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"wxgate/input"
)

// sessionsKept is how many TLS sessions are kept for each address, to be resumed by its next connections.
const sessionsKept = 4

// TLS configures https:// targets. Certificates are always verified. The files are read again with each configuration,
// and what they held before is not used for new requests.
type TLS struct {
	CA         string `yaml:"ca"`          // file with the certificate authorities (PEM) to trust; those of the system
	Cert       string `yaml:"cert"`        // file with our own certificate and its chain (PEM), for services that request one
	Key        string `yaml:"key"`         // file with the key of cert (PEM)
	ServerName string `yaml:"server_name"` // the name that the service's certificate must be valid for; the target's host

	// SPKI pins the service's public key, in addition: the SHA-256 of the SubjectPublicKeyInfo of its certificate, in base64, is one
	// of these (RFC 7469 §2.4 has it as pin-sha256). One is of the key in use, another of the next; empty: any key.
	SPKI []string `yaml:"spki"`
}

// Equal reports whether o is the same section.
func (c TLS) Equal(o TLS) bool {
	return c.CA == o.CA && c.Cert == o.Cert && c.Key == o.Key && c.ServerName == o.ServerName && slices.Equal(c.SPKI, o.SPKI)
}

// ValidPin reports whether a pin is the base64 of a SHA-256.
func ValidPin(pin string) bool {
	sum, err := base64.StdEncoding.Strict().DecodeString(pin)
	return err == nil && len(sum) == sha256.Size
}

// ErrNotPinned is a service whose public key is none of those that are pinned.
var ErrNotPinned = errors.New("the service's public key is not pinned")

// pinned refuses a service whose key is none of the pins. It is asked at every handshake, also at those that resume a session.
func pinned(pins []string) func(tls.ConnectionState) error {
	if len(pins) == 0 {
		return nil
	}
	return func(state tls.ConnectionState) error {
		sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo) // the certificate was verified before
		pin := base64.StdEncoding.EncodeToString(sum[:])
		if !slices.Contains(pins, pin) {
			return fmt.Errorf("%w: it is %s, which tls.spki does not have", ErrNotPinned, pin)
		}
		return nil
	}
}

// Files returns the files that the section names.
func (c TLS) Files() []string {
	var files []string
	for _, f := range []string{c.CA, c.Cert, c.Key} {
		if f != "" {
			files = append(files, f)
		}
	}
	return files
}

// Security is a TLS section with its files loaded.
type Security struct {
	sum    [sha256.Size]byte // of the section and of what its files hold
	config *tls.Config
}

// Load reads the files, whatever else is wrong with the section. The result is of use only without a fault.
func (c TLS) Load() (*Security, input.Faults) {
	var f input.Faults
	ca, cert, key := readFile(&f, "ca", c.CA), readFile(&f, "cert", c.Cert), readFile(&f, "key", c.Key)
	config := &tls.Config{ServerName: c.ServerName, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12, VerifyConnection: pinned(c.SPKI)}
	if ca != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(ca) {
			f.Add("ca", "%s holds no certificate in PEM", c.CA)
		}
	}
	if cert != nil && key != nil {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			f.Add("cert", "%s and %s: %v", c.Cert, c.Key, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &Security{sumOf([]byte(c.ServerName), []byte(strings.Join(c.SPKI, " ")), ca, cert, key), config}, f
}

// readFile is nil when no file is named, or one that cannot be read, which is a fault.
func readFile(f *input.Faults, key, file string) []byte {
	if file == "" {
		return nil
	}
	data, err := input.File(file)
	if err != nil {
		f.Add(key, "%v", err)
		return nil
	}
	return data
}

func sumOf(parts ...[]byte) (sum [sha256.Size]byte) {
	all := sha256.New()
	for _, part := range parts {
		_ = binary.Write(all, binary.BigEndian, int64(len(part))) // a hash takes all
		_, _ = all.Write(part)
	}
	all.Sum(sum[:0])
	return sum
}

// Same reports whether other is the same section with the same content of its files.
func (s *Security) Same(other *Security) bool { return s.sum == other.sum }

// of is the TLS of one address of an origin, nil when that is plain. Sessions are resumed at the address that began
// them alone: another one may not know them, or may not be trusted with them.
func (s *Security) of(o Origin) *tls.Config {
	if !o.TLS {
		return nil
	}
	own := s.config.Clone()
	own.ClientSessionCache = tls.NewLRUClientSessionCache(sessionsKept)
	if own.ServerName == "" {
		own.ServerName = o.Host
	}
	return own
}
