package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/golang-jwt/jwt/v5"

	"wxgate/input"
)

// minRSABits is the shortest RSA key that RFC 7518 §3.3 allows.
const minRSABits = 2048

// openKey makes a key of its configuration: a shared secret for HS256, or a PEM file whose kind of key is the algorithm.
func openKey(cfg KeyConfig) (key, error) {
	if cfg.File == "" {
		secret := []byte(cfg.Secret.Reveal())
		return key{id: cfg.ID, method: jwt.SigningMethodHS256, signing: secret, verifying: secret, seed: secret}, nil
	}
	private, public, err := readKeyFile(cfg.File)
	if err != nil {
		return key{}, err
	}
	k := key{id: cfg.ID, verifying: public, public: public}
	switch pub := public.(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() < minRSABits {
			return key{}, fmt.Errorf("%s holds an RSA key of %d bits; %d is the least", cfg.File, pub.N.BitLen(), minRSABits)
		}
		k.method = jwt.SigningMethodRS256
	case *ecdsa.PublicKey:
		if pub.Curve != elliptic.P256() {
			return key{}, fmt.Errorf("%s holds an EC key that is not on P-256; ES256 needs that curve", cfg.File)
		}
		k.method = deterministicES256{jwt.SigningMethodES256}
	case ed25519.PublicKey:
		k.method = jwt.SigningMethodEdDSA
	default:
		return key{}, fmt.Errorf("%s holds a %T; wanted is an RSA, P-256 or Ed25519 key", cfg.File, public)
	}
	if private == nil {
		return k, nil
	}
	k.signing = private
	k.seed, err = x509.MarshalPKCS8PrivateKey(private)
	return k, err
}

// readKeyFile reads one key in PEM: PKCS #8, PKCS #1 or SEC 1 for a private key, PKIX for a public one. Errors name the
// file and never quote it.
func readKeyFile(path string) (private crypto.Signer, public crypto.PublicKey, err error) {
	data, err := input.File(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, nil, fmt.Errorf("%s holds no PEM block", path)
	}
	if public, err = x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		return nil, public, nil
	}
	if private, err = parsePrivate(block.Bytes); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return private, private.Public(), nil
}

func parsePrivate(der []byte) (crypto.Signer, error) {
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		if signer, ok := k.(crypto.Signer); ok {
			return signer, nil
		}
	}
	if k, err := x509.ParseECPrivateKey(der); err == nil {
		return k, nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return k, nil
	}
	return nil, errors.New("the PEM block is neither a private key (PKCS #8, PKCS #1, SEC 1) nor a public one (PKIX)")
}

// deterministicES256 signs as RFC 6979 says: the same claims give the same token, so that parallel refreshes of one
// token, on whatever replica, get the same answer. Verifying is the library's.
type deterministicES256 struct{ *jwt.SigningMethodECDSA }

// Sign returns r and s, 32 bytes each (RFC 7518 §3.4).
func (m deterministicES256) Sign(signingString string, k any) ([]byte, error) {
	private, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	h := crypto.SHA256.New()
	_, _ = io.WriteString(h, signingString) // a hash never fails
	der, err := private.Sign(nil, h.Sum(nil), crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing with ES256: %w", err)
	}
	return joinSignature(der)
}

// joinSignature turns an ECDSA signature in ASN.1 into r and s, 32 bytes each.
func joinSignature(der []byte) ([]byte, error) {
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, fmt.Errorf("reading an ECDSA signature: %w", err)
	}
	out := make([]byte, 64)
	rs.R.FillBytes(out[:32])
	rs.S.FillBytes(out[32:])
	return out, nil
}
