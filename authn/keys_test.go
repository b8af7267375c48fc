package authn

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxgate/authn/token"

	"github.com/golang-jwt/jwt/v5"
)

// writeKey writes a private key in PKCS #8, or its public half in PKIX.
func writeKey(t *testing.T, private crypto.Signer, public bool) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	kind := "PRIVATE KEY"
	if public {
		der, err = x509.MarshalPKIXPublicKey(private.Public())
		kind = "PUBLIC KEY"
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newPrivateKey(t *testing.T, algorithm string) crypto.Signer {
	t.Helper()
	private, err := token.GenerateKey(algorithm, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func TestEveryAlgorithmSignsVerifiesAndRefreshesToOneToken(t *testing.T) {
	t.Parallel()
	for _, algorithm := range append([]string{"HS256"}, token.PublicAlgorithms()...) {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			f := newFixtureWith(t, func(cfg *Config) {
				cfg.Algorithm = algorithm
				if algorithm != "HS256" {
					cfg.Keys = []token.KeyConfig{{ID: "a", File: writeKey(t, newPrivateKey(t, algorithm), false), Algorithm: algorithm}}
				}
			})
			bearer := f.loginAs(t, "alice").Token
			f.wantVerdict(t, "its token", bearer, nil)
			if parsed, _, err := jwt.NewParser().ParseUnverified(bearer, jwt.MapClaims{}); err != nil || parsed.Header["alg"] != algorithm {
				t.Errorf("the header says %v, %v; want %s", parsed.Header["alg"], err, algorithm)
			}
			if first, second := f.mustRefresh(t, bearer), f.mustRefresh(t, bearer); first != second {
				t.Error("two refreshes of one token gave two tokens")
			}
			if got := len(f.Tokens.Keys().JWKS(false).Keys); got != map[string]int{"HS256": 0}[algorithm] && algorithm == "HS256" || algorithm != "HS256" && got != 1 {
				t.Errorf("the JWKS has %d keys", got)
			}
		})
	}
}

func TestANewKeySignsAndTheOldOneVerifiesUntilItGoes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.loginAs(t, "alice").Token
	f.wantVerdict(t, "a token of the only key", old, nil)
	f.setKeys(t, "HS256", testKey("new"), f.key)
	fresh := f.loginAs(t, "bob").Token
	f.wantVerdict(t, "a token of the old key beside the new", old, nil)
	f.wantVerdict(t, "a token of the new key", fresh, nil)
	f.setKeys(t, "HS256", testKey("new"))
	f.wantVerdict(t, "a cached token of a key that is gone", old, token.ErrInvalid)
	f.wantVerdict(t, "a token of the key that stayed", fresh, nil)
	if _, err := f.Tokens.NewKeyring("RS256", []token.KeyConfig{testKey("new")}); err == nil {
		t.Error("keys that do not hold were taken")
	}
	f.wantVerdict(t, "after keys that were refused", fresh, nil)
}

// setKeys replaces the keys as a reload does.
func (f *fixture) setKeys(t *testing.T, algorithm string, keys ...token.KeyConfig) {
	t.Helper()
	ring, err := f.Tokens.NewKeyring(algorithm, keys)
	if err != nil {
		t.Fatal(err)
	}
	f.Tokens.SetKeys(ring)
}

// TestAnRSAKeyKeepsItsAlgorithmWhenItRotates: the tokens of the key that is second now were signed with its own algorithm.
func TestAnRSAKeyKeepsItsAlgorithmWhenItRotates(t *testing.T) {
	t.Parallel()
	old := token.KeyConfig{ID: "old", File: writeKey(t, newPrivateKey(t, "PS384"), false), Algorithm: "PS384"}
	next := token.KeyConfig{ID: "next", File: writeKey(t, newPrivateKey(t, "RS256"), false)}
	f := newFixtureWith(t, func(cfg *Config) { cfg.Algorithm, cfg.Keys = "PS384", []token.KeyConfig{old} })
	bearer := f.loginAs(t, "alice").Token
	f.setKeys(t, "RS256", next, old)
	f.wantVerdict(t, "a token of the old key", bearer, nil)
	f.wantVerdict(t, "a token of the new key", f.loginAs(t, "bob").Token, nil)
	set := f.Tokens.Keys().JWKS(false)
	if len(set.Keys) != 2 || set.Keys[0].Algorithm != "RS256" || set.Keys[1].Algorithm != "PS384" {
		t.Errorf("the JWKS is %+v", set)
	}
}

func TestTheHMACOfAPublicKeyIsNoSignature(t *testing.T) {
	t.Parallel()
	private := newPrivateKey(t, "RS256")
	public := writeKey(t, private, true)
	f := newFixtureWith(t, func(cfg *Config) {
		cfg.Algorithm = "RS256"
		cfg.Keys = []token.KeyConfig{{ID: "main", File: writeKey(t, private, false)}}
	})
	pemText, err := os.ReadFile(public)
	if err != nil {
		t.Fatal(err)
	}
	good := f.loginAs(t, "alice").Token
	for _, header := range []string{`{"alg":"HS256","kid":"main","typ":"JWT"}`, `{"alg":"RS256","kid":"main","typ":"JWT"}`} {
		g := &forge{fixture: f, good: good, secret: pemText}
		f.wantVerdict(t, "an HMAC with the public key under "+header, g.withHeader(header), token.ErrInvalid)
	}
}

func TestKeysThatMakeNoSenseAreRefusedInALine(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no short RSA keys:", err) // then nobody can bring one either
	}
	p384 := newPrivateKey(t, "ES384")
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaFile := writeKey(t, newPrivateKey(t, "RS256"), false)
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("no key at all, but a secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		algorithm string
		key       token.KeyConfig
		want      string
	}{
		"a file that is not there":     {"RS256", token.KeyConfig{ID: "a", File: "/nowhere/key.pem"}, "no such file"},
		"a file that is no key":        {"RS256", token.KeyConfig{ID: "a", File: junk}, "no PEM block"},
		"a short RSA key":              {"RS256", token.KeyConfig{ID: "a", File: writeKey(t, short, false)}, "1024 bits"},
		"another curve":                {"ES256", token.KeyConfig{ID: "a", File: writeKey(t, p384, false)}, "is a key for ES384"},
		"a curve of no algorithm":      {"ES256", token.KeyConfig{ID: "a", File: writeKey(t, p224, false)}, "P-256, P-384 and P-521"},
		"an RSA key for no algorithm":  {"PS256", token.KeyConfig{ID: "a", File: rsaFile}, "write algorithm: PS256 beside its file"},
		"an algorithm of another kind": {"PS256", token.KeyConfig{ID: "a", File: rsaFile, Algorithm: "ES256"}, "not for ES256"},
		"a public key that is to sign": {"EdDSA", token.KeyConfig{ID: "a", File: writeKey(t, newPrivateKey(t, "EdDSA"), true)}, "must be a private one"},
		"another algorithm":            {"HS256", token.KeyConfig{ID: "a", File: writeKey(t, newPrivateKey(t, "EdDSA"), false)}, "is a key for EdDSA"},
	} {
		_, err := token.NewKeyring(token.Config{Algorithm: c.algorithm, Keys: []token.KeyConfig{c.key}})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want a line with %q", name, err, c.want)
		}
	}
}

func TestASignedIdentityVerifiesWithTheJWKSAndWithNothingElse(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	signer, err := f.Tokens.Keys().NewSigner(time.Minute, f.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	bearer, err := signer.Sign(7, "o7", "recipes", "request-1")
	if err != nil {
		t.Fatal(err)
	}
	set := f.Tokens.Keys().JWKS(true)
	if len(set.Keys) != 1 || set.Keys[0].KeyType != "OKP" || set.Keys[0].KeyID != "main.identity" {
		t.Fatalf("the JWKS is %+v", set)
	}
	public, err := base64.RawURLEncoding.DecodeString(set.Keys[0].X)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	_, err = jwt.NewParser(jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithAudience("recipes"), jwt.WithTimeFunc(f.clock.Now)).
		ParseWithClaims(bearer, claims, func(*jwt.Token) (any, error) { return ed25519.PublicKey(public), nil })
	if err != nil || claims["sub"] != "7" || claims["openid"] != "o7" || claims["request_id"] != "request-1" {
		t.Errorf("the identity reads %v, %v", claims, err)
	}
	f.wantVerdict(t, "a signed identity as an access token", bearer, token.ErrInvalid)
}
