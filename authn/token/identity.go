package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"time"
)

// Signer creates the short-lived tokens that prove to a service that a request came through the gateway: EdDSA JWTs
// (RFC 8037) that name the service, the user and the request. The keys are derived from authn.keys, so replicas share
// them and nothing else has to be configured. They differ from the keys of access tokens, so neither kind of token is
// accepted as the other.
type Signer struct {
	issuer  string
	ttl     time.Duration
	private ed25519.PrivateKey
	header  string // the first segment, and the dot
	now     func() time.Time
}

// NewSigner returns a Signer whose tokens live for ttl by the clock now.
func (r *Keyring) NewSigner(ttl time.Duration, now func() time.Time) (*Signer, error) {
	private, id, err := identityKey(r.signer)
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(map[string]string{"alg": "EdDSA", "kid": id, "typ": "JWT"})
	if err != nil {
		return nil, err
	}
	segment := base64.RawURLEncoding.EncodeToString(header) + "."
	return &Signer{issuer: r.cfg.Issuer, ttl: ttl, private: private, header: segment, now: now}, nil
}

// ResetKey is what ends connections of QUIC that a process was killed with (RFC 9000 §10.3): derived from the signing key, it is the
// same in the next process on this host, and another one on other hosts, which others could ask to end them (§21.11).
func (r *Keyring) ResetKey(host string) (key [32]byte, err error) {
	derived, err := hkdf.Key(sha256.New, r.signer.seed, []byte(host), "wxgate stateless reset v1", len(key))
	if err != nil {
		return key, fmt.Errorf("deriving the key of stateless resets: %w", err)
	}
	return [32]byte(derived), nil
}

// identityKey derives the identity key of a key of ours with HKDF (RFC 5869).
func identityKey(k key) (private ed25519.PrivateKey, id string, err error) {
	seed, err := hkdf.Key(sha256.New, k.seed, nil, "wxgate signed identity v1", ed25519.SeedSize)
	if err != nil {
		return nil, "", fmt.Errorf("deriving the identity key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), k.id + ".identity", nil
}

// identityClaims is the payload of a signed identity.
type identityClaims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Subject   string `json:"sub"`
	OpenID    string `json:"openid"`
	RequestID string `json:"request_id"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
}

// Sign returns the signed identity of a user for one request to one service.
func (s *Signer) Sign(userID int64, openID, audience, requestID string) (string, error) {
	now := s.now()
	payload, err := json.Marshal(identityClaims{
		Issuer: s.issuer, Audience: audience, Subject: strconv.FormatInt(userID, 10), OpenID: openID,
		RequestID: requestID, IssuedAt: now.Unix(), ExpiresAt: now.Add(s.ttl).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("signing an identity: %w", err)
	}
	token := append(make([]byte, 0, 512), s.header...)
	token = base64.RawURLEncoding.AppendEncode(token, payload)
	signature := ed25519.Sign(s.private, token)
	token = append(token, '.')
	return string(base64.RawURLEncoding.AppendEncode(token, signature)), nil
}

// publicKey is a public key as RFC 7517 writes it.
type publicKey struct {
	KeyType   string `json:"kty"`
	KeyID     string `json:"kid"`
	Use       string `json:"use"` // always sig
	Algorithm string `json:"alg"`
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
	N         string `json:"n,omitempty"`
	E         string `json:"e,omitempty"`
}

// JWKS is a set of public keys.
type JWKS struct {
	Keys []publicKey `json:"keys"`
}

// JWKS returns the public keys of our tokens and, with signedIdentity, of signed identities. It is empty if there are
// only shared secrets.
func (r *Keyring) JWKS(signedIdentity bool) JWKS {
	set := JWKS{Keys: []publicKey{}}
	for _, k := range r.list {
		if jwk, public := newJWK(k.id, k.method.Alg(), k.public); public {
			set.Keys = append(set.Keys, jwk)
		}
		if !signedIdentity || k.seed == nil {
			continue
		}
		if private, id, err := identityKey(k); err == nil {
			jwk, _ := newJWK(id, "EdDSA", private.Public())
			set.Keys = append(set.Keys, jwk)
		}
	}
	return set
}

// newJWK writes a public key; false when the key is a secret one.
func newJWK(id, algorithm string, public crypto.PublicKey) (publicKey, bool) {
	b64 := base64.RawURLEncoding.EncodeToString
	jwk := publicKey{KeyID: id, Use: "sig", Algorithm: algorithm}
	switch k := public.(type) {
	case ed25519.PublicKey:
		jwk.KeyType, jwk.Curve, jwk.X = "OKP", "Ed25519", b64(k)
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 0x04, X, Y
		if err != nil {
			return publicKey{}, false
		}
		half := (len(point) - 1) / 2
		jwk.KeyType, jwk.Curve, jwk.X, jwk.Y = "EC", k.Params().Name, b64(point[1:1+half]), b64(point[1+half:])
	case *rsa.PublicKey:
		jwk.KeyType, jwk.N, jwk.E = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	default:
		return publicKey{}, false
	}
	return jwk, true
}
