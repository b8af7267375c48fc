package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// The bounds of RSA keys: RFC 7518 §3.3 forbids shorter moduli, and longer ones make a signature expensive to check.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// PublicAlgorithms are the algorithms of key pairs, as RFC 7518 §3.1 and RFC 8037 §3.1 name them.
func PublicAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// SecretAlgorithms are the algorithms of shared secrets (RFC 7518 §3.2).
func SecretAlgorithms() []string { return []string{"HS256", "HS384", "HS512"} }

// AlgorithmsFor returns the algorithms that a public key can be for, the most common one first. The error says what is
// wrong with it, as something that a file or a set of keys holds.
func AlgorithmsFor(public crypto.PublicKey) ([]string, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits; %d is the least and %d the most", bits, minRSABits, maxRSABits)
		}
		return slices.DeleteFunc(PublicAlgorithms(), func(a string) bool { return !hasRSA(a) }), nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []string{"ES256"}, nil
		case elliptic.P384():
			return []string{"ES384"}, nil
		case elliptic.P521():
			return []string{"ES512"}, nil
		}
		return nil, fmt.Errorf("an EC key on %s; the curves are P-256, P-384 and P-521", k.Params().Name)
	case ed25519.PublicKey:
		return []string{"EdDSA"}, nil
	}
	return nil, fmt.Errorf("a %T; wanted is an RSA, EC or Ed25519 key", public)
}

// GenerateKey makes a private key for one of PublicAlgorithms. rsaBits is the size of one of RSA.
func GenerateKey(algorithm string, rsaBits int) (crypto.Signer, error) {
	switch algorithm {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return rsa.GenerateKey(rand.Reader, rsaBits)
}

// hasRSA reports whether an algorithm is one of RSA keys.
func hasRSA(algorithm string) bool {
	return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
}

// deterministic returns the method in a form that signs the same claims with the same signature, so that parallel
// refreshes of one token, on whatever replica, get the same answer. seed is what only holders of the private key know.
// Verifying is the library's.
func deterministic(method jwt.SigningMethod, seed []byte) jwt.SigningMethod {
	switch m := method.(type) {
	case *jwt.SigningMethodECDSA:
		return deterministicECDSA{m}
	case *jwt.SigningMethodRSAPSS:
		return deterministicPSS{m, seed}
	}
	return method // PKCS #1 v1.5 and Ed25519 are deterministic
}

// deterministicECDSA signs as RFC 6979 says.
type deterministicECDSA struct{ *jwt.SigningMethodECDSA }

// Sign returns r and s, each as long as the order of the curve (RFC 7518 §3.4).
func (m deterministicECDSA) Sign(signingString string, k any) ([]byte, error) {
	private, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	der, err := private.Sign(nil, digest(m.Hash, signingString), m.Hash)
	if err != nil {
		return nil, fmt.Errorf("signing with %s: %w", m.Name, err)
	}
	return joinSignature(der, m.KeySize)
}

// joinSignature turns an ECDSA signature in ASN.1 into r and s, size bytes each.
func joinSignature(der []byte, size int) ([]byte, error) {
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, fmt.Errorf("reading an ECDSA signature: %w", err)
	}
	out := make([]byte, 2*size)
	rs.R.FillBytes(out[:size])
	rs.S.FillBytes(out[size:])
	return out, nil
}

// deterministicPSS derives the salt from the key and from what is signed. Nothing depends on its being random: even one
// that everybody knows would be as good as PKCS #1 v1.5 (RFC 8017 §8.1).
type deterministicPSS struct {
	*jwt.SigningMethodRSAPSS

	seed []byte
}

// Sign signs with a salt as long as the hash (RFC 7518 §3.5).
func (m deterministicPSS) Sign(signingString string, k any) ([]byte, error) {
	private, ok := k.(*rsa.PrivateKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	hashed := digest(m.Hash, signingString)
	salt := hmac.New(sha512.New, m.seed)
	_, _ = salt.Write(append([]byte("wxgate PSS salt v1\x00"), hashed...)) // a hash never fails
	signature, err := rsa.SignPSS(bytes.NewReader(salt.Sum(nil)), private, m.Hash, hashed, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	if err != nil {
		return nil, fmt.Errorf("signing with %s: %w", m.Alg(), err)
	}
	return signature, nil
}

func digest(of crypto.Hash, text string) []byte {
	h := of.New()
	_, _ = io.WriteString(h, text) // a hash never fails
	return h.Sum(nil)
}
