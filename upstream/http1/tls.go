package http1

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"

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
	config := &tls.Config{ServerName: c.ServerName, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
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
	return &Security{sumOf([]byte(c.ServerName), ca, cert, key), config}, f
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
