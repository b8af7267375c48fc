package pay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"wxgate/input"
	"wxgate/secret"
)

const testKey = secret.Text("0123456789abcdefghijABCDEFGHIJ!#")

func TestAMerchantNeedsANumberAKeyAndSomethingToVerifyWith(t *testing.T) {
	t.Parallel()
	good := Config{MchID: "1900000001", APIv3Key: testKey, PublicKeys: []PublicKey{{"PUB_KEY_ID_01", "a.pem"}}, Certificates: []string{"b.pem"}}
	if faults := good.Validate(); len(faults) > 0 {
		t.Errorf("a good section: %v", faults)
	}
	for path, spoil := range map[string]func(c *Config){
		"mchid":               func(c *Config) { c.MchID = "wx1234" },
		"apiv3_key":           func(c *Config) { c.APIv3Key = testKey[1:] },
		"apiv3_key ":          func(c *Config) { c.APIv3Key = "" },
		"apiv3_key  ":         func(c *Config) { c.APIv3Key = "${WX_APIV3_KEY_NOT_REPLACED_HERE}" },
		"public_keys":         func(c *Config) { c.PublicKeys, c.Certificates = nil, nil },
		"public_keys[0].id":   func(c *Config) { c.PublicKeys = []PublicKey{{"5157F09EFDC096DE15EBE81A47057A72", "a.pem"}} },
		"public_keys[0].file": func(c *Config) { c.PublicKeys = []PublicKey{{"PUB_KEY_ID_01", ""}} },
		"public_keys[1].id":   func(c *Config) { c.PublicKeys = append(c.PublicKeys[:1:1], PublicKey{"PUB_KEY_ID_01", "c.pem"}) },
		"certificates[1]":     func(c *Config) { c.Certificates = []string{"b.pem", "b.pem"} },
		"certificates[0]":     func(c *Config) { c.Certificates = []string{""} },
		"certificates":        func(c *Config) { c.Certificates = strings.Fields(strings.Repeat("a ", 17)) },
	} {
		bad := good
		spoil(&bad)
		faults := bad.Validate()
		if len(faults) == 0 || faults[0].Path != strings.TrimSpace(path) && path != "certificates" {
			t.Errorf("%s: got %v", path, faults)
		}
		for _, fault := range faults {
			if strings.Contains(fault.Message, string(testKey[1:])) {
				t.Errorf("%s: the fault quotes the key: %s", path, fault.Message)
			}
		}
	}
	if faults := (Config{MchID: "1900000001"}).ValidateUnsigned(); len(faults) > 0 {
		t.Errorf("a number alone, where Cloud Run vouches: %v", faults)
	}
	if faults := (Config{MchID: "1900000001"}).Validate(); len(faults) != 2 {
		t.Errorf("a number alone: %v, want the key and the public keys", faults)
	}
}

// certificateOf makes a certificate in PEM.
func certificateOf(t *testing.T, name string, ends time.Time) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<60))
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestAFileThatIsNoneIsSaidToBeWhatItIs(t *testing.T) {
	t.Parallel()
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := x509.MarshalPKIXPublicKey(&elliptical.PublicKey)
	own, platform := certificateOf(t, "1900000001", time.Now().AddDate(1, 0, 0)), certificateOf(t, "Tenpay.com sign", time.Now().AddDate(1, 0, 0))
	private := []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	load := func(c Config) input.Faults {
		c.MchID = "1900000001"
		_, faults := c.Load()
		return faults
	}
	for want, text := range map[string][]byte{
		"has no PUBLIC KEY in PEM": platform, "is a private key": private, "not RSA of 2048 bits": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: other}),
		"is cut off": []byte("-----BEGIN PUBLIC KEY-----\nMIIB"), "has no PUBLIC KEY": []byte("PUB_KEY_ID_01"),
	} {
		faults := load(Config{PublicKeys: []PublicKey{{"PUB_KEY_ID_01", write(t, "key.pem", text)}}})
		if len(faults) != 1 || faults[0].Path != "public_keys[0].file" || !strings.Contains(faults[0].Message, want) {
			t.Errorf("a public key: got %v, want %s", faults, want)
		}
	}
	for want, text := range map[string][]byte{
		"merchant's own certificate": own, "is a private key": private, "has no CERTIFICATE": {}, "is cut off": platform[:len(platform)-30],
		"as another one has": append(append([]byte{}, platform...), platform...),
	} {
		faults := load(Config{Certificates: []string{write(t, "certificate.pem", text)}})
		if len(faults) != 1 || faults[0].Path != "certificates[0]" || !strings.Contains(faults[0].Message, want) {
			t.Errorf("a certificate: got %v, want %s", faults, want)
		}
	}
	if faults := load(Config{Certificates: []string{"/nowhere/certificate.pem"}}); len(faults) != 1 {
		t.Errorf("a file that is not there: %v", faults)
	}
}

func TestACertificateThatExpiresIsWarnedAbout(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := Config{MchID: "1900000001", Certificates: []string{
		write(t, "a.pem", certificateOf(t, "a", now.AddDate(0, 2, 0))), write(t, "b.pem", certificateOf(t, "b", now.AddDate(0, 0, 29))), write(t, "c.pem", certificateOf(t, "c", now.Add(-time.Minute))),
	}}
	keys, faults := c.Load()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	warnings := keys.Warnings(now)
	if len(warnings) != 2 || warnings[0].Path != "certificates[1]" || !strings.Contains(warnings[0].Message, "expires on") || !strings.Contains(warnings[1].Message, "has expired") {
		t.Errorf("got %v, want one that expires and one that has", warnings)
	}
}

func TestASerialIsTheSameInEitherCaseAndPadded(t *testing.T) {
	t.Parallel()
	keys, faults := Config{MchID: "1900000001", Certificates: []string{"testdata/payscore.pem"}}.Load()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for serial, known := range map[string]bool{"D7CE59D1F522D701": true, "d7ce59d1f522d701": true, "00D7CE59D1F522D701": true, "D7CE59D1F522D70": false, "": false} {
		if got := keys.of(serial) != nil; got != known {
			t.Errorf("%q: known %v, want %v", serial, got, known)
		}
	}
	if (*Keys)(nil).of("D7CE59D1F522D701") != nil {
		t.Error("no keys have one")
	}
}
