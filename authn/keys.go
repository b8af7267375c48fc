package authn

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	"wxgate/input"
)

// keyring holds the keys of authn.keys: the first signs, all verify. It never changes after New.
type keyring struct {
	signer   key
	byID     map[string]key
	byHeader map[string]key // by the first segment of their tokens
	list     []key
	cache    *tokenCache // of tokens that these keys verified
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

// newKeyring opens the key files. The first key must be able to sign with the algorithm that the configuration names.
func newKeyring(algorithm string, configured []KeyConfig) (*keyring, error) {
	ring := &keyring{
		byID:     make(map[string]key, len(configured)),
		byHeader: make(map[string]key, len(configured)),
		cache:    newTokenCache(),
	}
	keys, faults := openKeys(algorithm, configured)
	if err := faults.At("authn").Err(); err != nil {
		return nil, err
	}
	for _, k := range keys {
		ring.byID[k.id], ring.byHeader[k.header()] = k, k
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
		case i == 0 && k.method.Alg() != algorithm:
			f.Add(path, "is a key for %s, but authn.algorithm is %s: make them the same, the algorithm is that of the first key", k.method.Alg(), algorithm)
		}
		keys = append(keys, k)
	}
	return keys, f
}

// CheckKeys opens the keys of a section, and reports why they cannot be used.
func CheckKeys(cfg Config) input.Faults {
	_, f := openKeys(cfg.Algorithm, cfg.Keys)
	return f
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

// sign returns the compact serialisation of the claims, signed with the first key.
func (r *keyring) sign(c *Claims) (string, error) {
	token := jwt.NewWithClaims(r.signer.method, c)
	token.Header["kid"] = r.signer.id
	return token.SignedString(r.signer.signing)
}

// find is the jwt.Keyfunc: it picks the key that kid names and refuses a token whose alg is not that key's. A token
// without kid, which checkForm lets pass only where foreign ones are taken, may be of any key for HS256.
func (r *keyring) find(token *jwt.Token) (any, error) {
	kid, named := token.Header["kid"].(string)
	if !named && token.Method.Alg() == jwt.SigningMethodHS256.Alg() {
		return r.sharedSecrets(), nil
	}
	k, known := r.byID[kid]
	if !known || token.Method.Alg() != k.method.Alg() {
		return nil, ErrTokenInvalid
	}
	return k.verifying, nil
}

// sharedSecrets are the keys for HS256, as the library tries several.
func (r *keyring) sharedSecrets() jwt.VerificationKeySet {
	var set jwt.VerificationKeySet
	for _, k := range r.list {
		if secret, shared := k.verifying.([]byte); shared {
			set.Keys = append(set.Keys, secret)
		}
	}
	return set
}
