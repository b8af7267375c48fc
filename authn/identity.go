package authn

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Signer makes the short tokens that prove to a service that a request came through the gateway: an EdDSA JWT (RFC
// 8037) that names the service, the user and the request. Its keys are derived from authn.keys, so that replicas share
// them and nothing more has to be configured; they differ from the keys of access tokens, so that neither kind of token
// passes for the other.
type Signer struct {
	issuer  string
	ttl     time.Duration
	private ed25519.PrivateKey
	header  string // the first segment, and the dot
	now     func() time.Time
}

// NewSigner returns a Signer whose tokens live for ttl.
func (a *Authn) NewSigner(ttl time.Duration) (*Signer, error) {
	private, id, err := identityKey(a.keys.Load().signer)
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(map[string]string{"alg": "EdDSA", "kid": id, "typ": "JWT"})
	if err != nil {
		return nil, err
	}
	segment := base64.RawURLEncoding.EncodeToString(header) + "."
	return &Signer{issuer: a.cfg.Issuer, ttl: ttl, private: private, header: segment, now: a.now}, nil
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

// Sign returns the signed identity of a subject for one request to one service.
func (s *Signer) Sign(subject *Subject, audience, requestID string) (string, error) {
	now := s.now()
	payload, err := json.Marshal(identityClaims{
		Issuer: s.issuer, Audience: audience, Subject: fmt.Sprint(subject.UserID), OpenID: subject.OpenID,
		RequestID: requestID, IssuedAt: now.Unix(), ExpiresAt: now.Add(s.ttl).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("signing an identity: %w", err)
	}
	var token strings.Builder
	token.WriteString(s.header)
	token.WriteString(base64.RawURLEncoding.EncodeToString(payload))
	signature := ed25519.Sign(s.private, []byte(token.String()))
	token.WriteByte('.')
	token.WriteString(base64.RawURLEncoding.EncodeToString(signature))
	return token.String(), nil
}

// JWKS returns the public keys that our tokens and, when identities are signed, those can be verified with. It is empty
// when there is only a shared secret.
func (a *Authn) JWKS(signedIdentity bool) JWKS {
	set := JWKS{Keys: []JWK{}}
	for _, k := range a.keys.Load().list {
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
