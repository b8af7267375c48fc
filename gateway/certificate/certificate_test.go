package certificate_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/certificate"
	"wxgate/gateway/certificate/certificatetest"
)

// issued writes certificates into a folder, and returns the section that names them.
func issued(t *testing.T, leaves ...certificatetest.Leaf) certificate.Config {
	t.Helper()
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	var cfg certificate.Config
	dir := t.TempDir()
	for i, leaf := range leaves {
		name := filepath.Join(dir, string(rune('a'+i)))
		if err := authority.IssueTo(name+".pem", name+".key", leaf); err != nil {
			t.Fatal(err)
		}
		cfg.Pairs = append(cfg.Pairs, certificate.Pair{Cert: name + ".pem", Key: name + ".key"})
	}
	return cfg
}

func load(t *testing.T, cfg certificate.Config) *certificate.Set {
	t.Helper()
	set, faults := cfg.Load()
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestTheCertificateIsThatOfTheName(t *testing.T) {
	t.Parallel()
	set := load(t, issued(t, certificatetest.Leaf{Names: []string{"api.example.com"}}, certificatetest.Leaf{Names: []string{"*.example.com"}},
		certificatetest.Leaf{Names: []string{"xn--fsqu00a.example"}}))
	for asked, want := range map[string]string{
		"api.example.com": "api.example.com", "API.Example.COM": "api.example.com", "api.example.com.": "api.example.com",
		"www.example.com": "*.example.com", "a.b.example.com": "api.example.com", "": "api.example.com", "other.test": "api.example.com",
		"xn--fsqu00a.example": "xn--fsqu00a.example", "*.example.com": "*.example.com",
	} {
		got, err := set.Choose(&tls.ClientHelloInfo{
			ServerName: asked, SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
		})
		if err != nil || got.Leaf.DNSNames[0] != want {
			t.Errorf("%q: got %v and %v, want %s", asked, got.Leaf.DNSNames, err, want)
		}
	}
}

func TestWhatIsWrongWithACertificateIsSaid(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for want, c := range map[string]struct {
		leaf  certificatetest.Leaf
		hosts []string
	}{
		"":                                 {certificatetest.Leaf{Names: []string{"a.test"}, Deep: true}, []string{"a.test"}},
		"has expired on":                   {certificatetest.Leaf{Names: []string{"a.test"}, Life: time.Minute}, nil},
		"expires on":                       {certificatetest.Leaf{Names: []string{"a.test"}, Life: 48 * time.Hour}, nil},
		"names no host":                    {certificatetest.Leaf{}, nil},
		"lacks the certificate of":         {certificatetest.Leaf{Names: []string{"a.test"}, Deep: true, LeafOnly: true}, nil},
		"is for a.test, which is the host": {certificatetest.Leaf{Names: []string{"a.test"}}, []string{"b.test"}},
		"no certificate is for b.test":     {certificatetest.Leaf{Names: []string{"a.test"}}, []string{"a.test", "b.test"}},
	} {
		got := load(t, issued(t, c.leaf)).Warnings(now, c.hosts)
		if text := got.Err(); (want == "") != (text == nil) || text != nil && !strings.Contains(text.Error(), want) {
			t.Errorf("%+v with hosts %v: got %v, want %q", c.leaf, c.hosts, text, want)
		}
	}
}

// TestTheIntermediateOfAnotherAuthorityCompletesNoChain is a renewal whose authority signs with another intermediate now, behind
// which somebody has put the old one.
func TestTheIntermediateOfAnotherAuthorityCompletesNoChain(t *testing.T) {
	t.Parallel()
	cfg := issued(t, certificatetest.Leaf{Names: []string{"a.test"}, Deep: true, LeafOnly: true})
	other := issued(t, certificatetest.Leaf{Names: []string{"a.test"}, Deep: true})
	var chain []byte
	for _, file := range []string{cfg.Pairs[0].Cert, other.Pairs[0].Cert} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, text...)
	}
	if err := os.WriteFile(cfg.Pairs[0].Cert, chain, 0o600); err != nil {
		t.Fatal(err)
	}
	set := load(t, cfg)
	if err := set.Warnings(time.Now(), nil).Err(); err == nil || !strings.Contains(err.Error(), "lacks the certificate of") {
		t.Errorf("got warnings %v, want one about the intermediate", err)
	}
	if got := set.Refused(time.Now()); len(got) != 1 || got[0].Why != "lacks its intermediate" {
		t.Errorf("refused are %v, want the certificate", got)
	}
}

func TestFilesThatCannotBeServedAreNamed(t *testing.T) {
	t.Parallel()
	good, other := issued(t, certificatetest.Leaf{Names: []string{"a.test"}}), issued(t, certificatetest.Leaf{Names: []string{"b.test"}})
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	cert, key := good.Pairs[0].Cert, good.Pairs[0].Key
	for want, pair := range map[string]certificate.Pair{
		"cert: " + cert + " with " + other.Pairs[0].Key + ": private key does not match public key": {Cert: cert, Key: other.Pairs[0].Key},
		"cert: open " + dir + "/missing.pem: no such file":                                          {Cert: filepath.Join(dir, "missing.pem"), Key: key},
		"key: open " + dir + "/missing.key: no such file":                                           {Cert: cert, Key: filepath.Join(dir, "missing.key")},
		"key: read " + dir + ": is a directory":                                                     {Cert: cert, Key: dir},
		"key: " + dir + "/8.key: the key is encrypted":                                              {Cert: cert, Key: file("8.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----\n")},
		"key: " + dir + "/1.key: the key is encrypted":                                              {Cert: cert, Key: file("1.key", "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMA==\n-----END EC PRIVATE KEY-----\n")},
		"failed to find any PEM data":                                                               {Cert: file("rubbish.pem", "rubbish"), Key: key},
	} {
		set, faults := certificate.Config{Cert: cert, Key: key, Pairs: []certificate.Pair{pair}}.Load()
		if err := faults.At("server.tls").Err(); err == nil || !strings.HasPrefix(err.Error(), "server.tls.pairs[0].") || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", pair, err, want)
		}
		if len(set.Expiries()) != 1 {
			t.Errorf("%+v: the other pair is not loaded", pair)
		}
	}
}

// TestHalfAPairIsAFaultOfTheSectionAlone: no file is opened for it.
func TestHalfAPairIsAFaultOfTheSectionAlone(t *testing.T) {
	t.Parallel()
	for _, cfg := range []certificate.Config{{Cert: "fullchain.pem"}, {Key: "privkey.pem"}} {
		_, unread := cfg.Load()
		if got := append(cfg.Validate(), unread...); len(got) != 1 {
			t.Errorf("%+v: got %v, want one fault", cfg, got.Err())
		}
	}
}

// TestACertificateThatIsCutOffIsNotServed cuts the file at every seventh byte of its chain: what is left of it may be a certificate,
// of which phones would refuse the chain.
func TestACertificateThatIsCutOffIsNotServed(t *testing.T) {
	t.Parallel()
	cfg := issued(t, certificatetest.Leaf{Names: []string{"a.test"}, Deep: true})
	whole, err := os.ReadFile(cfg.Pairs[0].Cert)
	if err != nil {
		t.Fatal(err)
	}
	if got := load(t, cfg).Refused(time.Now()); got != nil {
		t.Errorf("the whole chain: %q", got)
	}
	for n := 0; n < len(whole)-1; n += 7 {
		if err := os.WriteFile(cfg.Pairs[0].Cert, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		set, faults := cfg.Load()
		if faults.Err() == nil && set.Refused(time.Now()) == nil {
			t.Fatalf("%d of %d bytes are served", n, len(whole))
		}
	}
}
