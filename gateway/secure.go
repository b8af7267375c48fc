package gateway

import "crypto/tls"

// tlsConfig is that of the public listener; nil: it is plain. Versions and ciphers are Go's: TLS 1.2 and 1.3. Keys of
// session tickets change daily, and are this process's own.
func (p *pipeline) tlsConfig() *tls.Config {
	if p.snapshot.Load().certificates == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return p.snapshot.Load().certificates.Choose(hello)
		},
	}
}

// Hosts are the hosts of routes, if each of them has one; none: any host is served.
func (c Config) Hosts() (hosts []string) {
	for _, r := range c.Routes {
		if r.Host == "" {
			return nil
		}
		hosts = append(hosts, r.Host)
	}
	return hosts
}
