package token

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"wxgate/input"
	"wxgate/secret"
)

// Config is how tokens are issued and verified.
type Config struct {
	Issuer         string
	Algorithm      string        // what the first key signs with
	Keys           []KeyConfig   // the first signs, all verify
	MaxLife        time.Duration // the longest time from iat to exp that our tokens may have
	AcceptImported bool          // accept tokens of an existing backend signed with our key
}

// KeyConfig is one key of authn.keys.
type KeyConfig struct {
	ID     string      `yaml:"id"`     // kid in the header of the tokens it signs
	Secret secret.Text `yaml:"secret"` // for HS256: at least 32 bytes
	File   string      `yaml:"file"`   // for the others: a PEM file; a public key can only verify

	// Algorithm is what the key is for: one of Algorithms. "": the first of them that its kind has.
	Algorithm string `yaml:"algorithm"`
}

// Keyring holds the keys of authn.keys: the first signs, all verify. It never changes.
type Keyring struct {
	cfg      Config
	signer   key
	byID     map[string]key
	byHeader map[string]*verifier // by the first segment of their tokens
	list     []key
}

// key binds an algorithm to its key material, so that a token can never choose the algorithm.
type key struct {
	id        string
	method    jwt.SigningMethod
	signing   any // what method signs with; nil for a public key
	verifying any // what method verifies with
	public    crypto.PublicKey
	seed      []byte // what keys for other purposes are derived from; nil for a public key
}

// NewKeyring opens the key files. The first key must be able to sign with the algorithm that the configuration names.
func NewKeyring(cfg Config) (*Keyring, error) {
	ring := &Keyring{
		cfg:      cfg,
		byID:     make(map[string]key, len(cfg.Keys)),
		byHeader: make(map[string]*verifier, len(cfg.Keys)),
	}
	keys, faults := openKeys(cfg.Algorithm, cfg.Keys)
	if err := faults.At("authn").Err(); err != nil {
		return nil, err
	}
	for _, k := range keys {
		ring.byID[k.id], ring.byHeader[k.header()] = k, newVerifier(k)
	}
	ring.list, ring.signer = keys, keys[0]
	return ring, nil
}

// openKeys opens the keys of authn.keys, the first of which signs with an algorithm.
func openKeys(algorithm string, configured []KeyConfig) (keys []key, f input.Faults) {
	for i, cfg := range configured {
		path := fmt.Sprintf("keys[%d]", i)
		k, err := openKey(cfg)
		switch {
		case err != nil:
			f.Add(path+".file", "%v", err)
		case i == 0 && k.signing == nil:
			f.Add(path+".file", "holds a public key; the first key signs, so it must be a private one")
		case i == 0 && k.method.Alg() != algorithm && (cfg.File != "" || cfg.Secret != "") && jwt.GetSigningMethod(algorithm) != nil: // else Validate says more
			f.Add(path, "is a key for %s, but authn.algorithm is %s: make them the same, the algorithm is that of the first key", k.method.Alg(), algorithm)
			if _, rsa := k.public.(*rsa.PublicKey); rsa && hasRSA(algorithm) {
				f[len(f)-1].Message += "; an RSA key can be for any of them, so write algorithm: " + algorithm + " beside its file"
			}
		}
		keys = append(keys, k)
	}
	return keys, f
}

// CheckKeys opens keys, the first of which has to sign with the algorithm, and reports why they cannot be used. Paths
// begin with "keys".
func CheckKeys(algorithm string, keys []KeyConfig) input.Faults {
	_, f := openKeys(algorithm, keys)
	return f
}

// Signed reports whether a token's signature is of the key, whatever else the token says. The algorithm is the key's, never
// the token's. It decides nothing about a request: a Keyring is much stricter.
func (c KeyConfig) Signed(token string) bool {
	k, err := openKey(c)
	if err != nil {
		return false
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{k.method.Alg()}), jwt.WithoutClaimsValidation())
	_, err = parser.Parse(token, func(*jwt.Token) (any, error) { return k.verifying, nil })
	return err == nil
}

// Materials returns what tells the keys apart, the one that signs first: a secret, or a public key, with its algorithm, its
// id and the issuer. It is as secret as the keys.
func (r *Keyring) Materials() [][]byte {
	all := make([][]byte, len(r.list))
	for i, k := range r.list {
		all[i] = append([]byte(k.header()+"."+r.cfg.Issuer+"."), k.material()...)
	}
	return all
}

// material is the secret, or the public key.
func (k key) material() []byte {
	if shared, ok := k.verifying.([]byte); ok {
		return shared
	}
	public, err := x509.MarshalPKIXPublicKey(k.public)
	if err != nil {
		panic(err) // a key that was opened can be written
	}
	return public
}

// header is the first segment of every token that the key signs: one spelling, so that an unexpected member (jku, jwk,
// crit, zip) or another alg can be refused by comparing strings.
func (k key) header() string {
	header, err := json.Marshal(map[string]string{"alg": k.method.Alg(), "kid": k.id, "typ": "JWT"})
	if err != nil {
		panic(err) // a map of strings always marshals
	}
	return base64.RawURLEncoding.EncodeToString(header)
}

// Sign returns the compact serialisation of the claims, signed with the first key.
func (r *Keyring) Sign(c *Claims) (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(r.signer.method, &Payload{json: payload})
	token.Header["kid"] = r.signer.id
	return token.SignedString(r.signer.signing)
}

// CheckForm refuses a token that neither we nor an existing backend would have written like this, with ErrMalformed or
// ErrInvalid. It comes before the check of the signature: RFC 7515 §2 requires base64url without padding, white space
// or other characters, and the JWT library is lenient about all three. Imported tokens may have a different header,
// which is read strictly.
func (r *Keyring) CheckForm(token string) error {
	if len(token) > maxTokenBytes {
		return ErrMalformed
	}
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, found := strings.Cut(rest, ".")
	if !found || !canonicalBase64(header) || !canonicalBase64(payload) || !canonicalBase64(signature) {
		return ErrMalformed
	}
	if !r.isOurs(header) && !r.isImported(header) {
		return ErrInvalid
	}
	return nil
}

// isOurs reports whether a first segment is that of one of our keys.
func (r *Keyring) isOurs(header string) bool {
	_, ours := r.byHeader[header]
	return ours
}

func (r *Keyring) isImported(header string) bool {
	return r.cfg.AcceptImported && importedHeader(header)
}

// Key is a jwt.Keyfunc: it returns the key that kid names and refuses a token whose alg is not the key's. A token
// without kid, which CheckForm accepts only if imported tokens are accepted, may be signed with any HS256 key.
func (r *Keyring) Key(token *jwt.Token) (any, error) {
	kid, named := token.Header["kid"].(string)
	if !named && token.Method.Alg() == jwt.SigningMethodHS256.Alg() {
		return r.sharedSecrets(), nil
	}
	k, known := r.byID[kid]
	if !known || token.Method.Alg() != k.method.Alg() {
		return nil, ErrInvalid
	}
	return k.verifying, nil
}

// sharedSecrets are the keys for HS256, as the library tries several.
func (r *Keyring) sharedSecrets() jwt.VerificationKeySet {
	var set jwt.VerificationKeySet
	for _, k := range r.list {
		if secret, shared := k.verifying.([]byte); shared {
			set.Keys = append(set.Keys, secret)
		}
	}
	return set
}

// Parse checks the form and signature of a token and returns its payload.
func (r *Keyring) Parse(token string) (*Payload, error) {
	if err := r.CheckForm(token); err != nil {
		return nil, err
	}
	payload := new(Payload)
	if _, err := jwt.ParseWithClaims(token, payload, r.Key); err != nil {
		return nil, ErrorOf(err)
	}
	return payload, nil
}

// ErrorOf turns an error of the JWT library into one of ours.
func ErrorOf(err error) error {
	if errors.Is(err, ErrMalformed) || errors.Is(err, jwt.ErrTokenMalformed) {
		return ErrMalformed
	}
	return ErrInvalid
}

// Read reads the payload of a token: strictly if the header is ours, as RFC 7519 says if it is that of an existing
// backend. Imported claims lack what only the store knows of the user.
func (r *Keyring) Read(token string, payload *Payload) (*Claims, error) {
	header, _, _ := strings.Cut(token, ".")
	switch {
	case r.isOurs(header):
	case r.isImported(header):
		c, err := readImported(payload.json)
		if err != nil {
			return nil, err
		}
		c.Issuer, c.SessionID, c.TokenID = r.cfg.Issuer, idFrom("session", token), idFrom("token", token)
		return c, nil
	default:
		return nil, ErrInvalid // its key has just gone
	}
	c := new(Claims)
	if err := c.read(payload.json); err != nil {
		return nil, err
	}
	if err := r.checkOwn(c); err != nil {
		return nil, err
	}
	return c, nil
}
