package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/certificate/certificatetest"
	"wxgate/upstream/upstreamtest"
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
		"the certificate is valid for 201 days, and one of that day may be for 200 (CA/Browser Forum SC-081); get one of a public": {leaf: certificatetest.Leaf{Names: here, Life: 201 * 24 * time.Hour}},
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
		d := parseDomain("https://" + serveHandshakes(t, cfg) + "/")
		d.roots = authority.Pool()
		wantFinding(t, want, d.tlsFinding(t.Context()), want)
	}
}

// TestTheDoctorSaysWhyADomainIsNotReached tries a port on which nobody listens, and a name that there is not.
func TestTheDoctorSaysWhyADomainIsNotReached(t *testing.T) {
	t.Parallel()
	if f := parseDomain(strings.TrimPrefix(upstreamtest.Refused(t), "http://")).tlsFinding(t.Context()); f.Err == nil || !strings.HasPrefix(f.Advice, "open the port") {
		t.Errorf("a closed port: got %s", f)
	}
	if got := tlsAdvice(&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}); !strings.Contains(got, "record of the DNS") {
		t.Errorf("a name that there is not: got %q", got)
	}
}

// TestAChainIsJudgedWhole by the key of each certificate but the root's, and by the root.
func TestAChainIsJudgedWhole(t *testing.T) {
	t.Parallel()
	weak := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}
	for _, c := range []struct {
		what, root string
		keys       [3]any // of the leaf, the intermediate and the root
		want       string
	}{
		{"an old root", "GlobalSign Root CA", [3]any{}, "ok TLS 1.3, h2, the chain ends in GlobalSign Root CA, the certificate is good for 59 days"},
		{"a young root", "ISRG Root X1", [3]any{}, "the certificate is good for 59 days; Android up to 7.1.0 does not know this root"},
		{"a weak leaf", "GlobalSign Root CA", [3]any{weak, nil, nil}, "FAIL a key of the chain is RSA of less than 2048 bits"},
		{"a weak intermediate", "GlobalSign Root CA", [3]any{nil, weak, nil}, "FAIL a key of the chain is RSA of less than 2048 bits"},
		{"a weak root, which nobody looks at", "GlobalSign Root CA", [3]any{nil, nil, weak}, "ok TLS 1.3"},
	} {
		now := time.Now()
		chain := []*x509.Certificate{
			{NotBefore: now.AddDate(0, 0, -30), NotAfter: now.AddDate(0, 0, 60), PublicKey: c.keys[0]},
			{PublicKey: c.keys[1]},
			{PublicKey: c.keys[2], Subject: pkix.Name{CommonName: c.root}},
		}
		advice, err := judge(tls.ConnectionState{Version: tls.VersionTLS13, NegotiatedProtocol: "h2", VerifiedChains: [][]*x509.Certificate{chain}})
		wantFinding(t, c.what, Finding{Err: err, Advice: advice}, c.want)
	}
}

// TestARootThatOldPhonesLackIsNamed unless another chain ends in an older one.
func TestARootThatOldPhonesLackIsNamed(t *testing.T) {
	t.Parallel()
	to := func(roots ...string) (chains [][]*x509.Certificate) {
		for _, root := range roots {
			chains = append(chains, []*x509.Certificate{{}, {Subject: pkix.Name{CommonName: root}}})
		}
		return chains
	}
	for _, c := range []struct {
		chains [][]*x509.Certificate
		want   string
	}{
		{to("GlobalSign Root CA"), ""},
		{to("GTS Root R1", "GlobalSign Root CA"), ""},
		{to("GTS Root R4"), "old Android do not know this root"},
		{to("ISRG Root X2", "ISRG Root X1"), "old Android do not know this root"},
		{to("ISRG Root X1"), "Android up to 7.1.0 does not know"},
		{to("Sectigo Public Server Authentication Root R46"), "old Android do not know this root"},
	} {
		if got := unknownTo(c.chains); !strings.Contains(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("chains to %v: got %q, want %q", c.chains[0][1].Subject, got, c.want)
		}
	}
}

// TestKeysThatIOSRefusesAreWeak measures RSA and EC.
func TestKeysThatIOSRefusesAreWeak(t *testing.T) {
	t.Parallel()
	for curve, want := range map[elliptic.Curve]bool{elliptic.P224(): true, elliptic.P256(): false} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := weakKey(&x509.Certificate{PublicKey: &key.PublicKey}); got != want {
			t.Errorf("%s: got weak %t, want %t", curve.Params().Name, got, want)
		}
	}
	for bits, want := range map[uint]bool{1024: true, 2048: false} {
		modulus := new(big.Int).Lsh(big.NewInt(1), bits-1)
		if got := weakKey(&x509.Certificate{PublicKey: &rsa.PublicKey{N: modulus, E: 65537}}); got != want {
			t.Errorf("RSA of %d bits: got weak %t, want %t", bits, got, want)
		}
	}
}

// TestCertificatesMayBeValidForFewerDaysEachYear has the days of the CA/Browser Forum.
func TestCertificatesMayBeValidForFewerDaysEachYear(t *testing.T) {
	t.Parallel()
	for day, want := range map[string]int{"2026-03-14": 398, "2026-03-15": 200, "2027-03-14": 200, "2027-03-15": 100, "2029-03-15": 47} {
		issued, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if got := longest(issued); got != want {
			t.Errorf("issued on %s: got %d days, want %d", day, got, want)
		}
	}
}
