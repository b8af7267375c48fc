package command

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxgate/config"
	"wxgate/gateway/certificate/certificatetest"
)

// serveHandshakes completes those that come, and returns the address.
func serveHandshakes(t *testing.T, cfg *tls.Config) (addr string) {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			if secure, ok := conn.(*tls.Conn); ok {
				_ = secure.Handshake()
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().String()
}

// TestTheDoctorSaysWhatPhonesWouldRefuse connects to domains that are served well and badly.
func TestTheDoctorSaysWhatPhonesWouldRefuse(t *testing.T) {
	t.Parallel()
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	here := []string{"127.0.0.1"}
	for want, c := range map[string]struct {
		leaf   certificatetest.Leaf
		change func(*tls.Config)
	}{
		"ok TLS 1.3, h2, the chain ends in wxgate test root, the certificate is good for 89 days": {leaf: certificatetest.Leaf{Names: here, Deep: true}},
		"ok TLS 1.2, http/1.1, the chain ends in": {certificatetest.Leaf{Names: here}, func(cfg *tls.Config) {
			cfg.MaxVersion, cfg.NextProtos = tls.VersionTLS12, nil
		}},
		"the certificate ends in 1 days; renew it": {leaf: certificatetest.Leaf{Names: here, Life: 48 * time.Hour}},
		"; renew the certificate":                  {leaf: certificatetest.Leaf{Names: here, Life: time.Minute}},
		"; serve the whole chain":                  {leaf: certificatetest.Leaf{Names: here, Deep: true, LeafOnly: true}},
		"; serve a certificate that is for":        {leaf: certificatetest.Leaf{Names: []string{"other.test"}}},
		"; serve TLS 1.2 or later": {certificatetest.Leaf{Names: here}, func(cfg *tls.Config) {
			cfg.MinVersion, cfg.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		}},
	} {
		cfg, err := authority.Server(c.leaf)
		if err != nil {
			t.Fatal(err)
		}
		cfg.NextProtos = []string{"h2", "http/1.1"}
		if c.change != nil {
			c.change(cfg)
		}
		f := tlsFinding(t.Context(), "https://"+serveHandshakes(t, cfg)+"/", authority.Pool())
		got := "ok " + f.advice
		if f.err != nil {
			got = f.err.Error() + "; " + f.advice
		}
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestTheDoctorSaysWhyADomainIsNotReached tries a port on which nobody listens, and a name that there is not.
func TestTheDoctorSaysWhyADomainIsNotReached(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if f := tlsFinding(t.Context(), ln.Addr().String(), nil); f.err == nil || !strings.HasPrefix(f.advice, "open the port") {
		t.Errorf("a closed port: got %v; %s", f.err, f.advice)
	}
	if got := tlsAdvice(&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}); !strings.Contains(got, "record of the DNS") {
		t.Errorf("a name that there is not: got %q", got)
	}
}

// TestACacheThatIsNoFolderIsNamed before an authority has issued what could not be kept.
func TestACacheThatIsNoFolderIsNamed(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "acme")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.DefaultConfig()
	cfg.Storage.Badger.Dir = t.TempDir()
	cfg.Server.TLS.ACME.Domains, cfg.Server.TLS.ACME.Cache = []string{"api.example.com"}, file
	var got []string
	for _, warning := range folderWarnings(cfg) {
		got = append(got, warning.Error())
	}
	if want := file + " is not a folder; set server.tls.acme.cache to a folder that the user of wxgate may write to"; len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	cfg.Storage.Driver = "mysql"
	if got := cacheError(cfg); got != nil {
		t.Errorf("with a database: got %v, want no error", got)
	}
}
