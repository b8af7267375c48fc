package authn

import (
	"encoding/base64"
	"encoding/json"

	"github.com/golang-jwt/jwt/v5"
)

// keyring holds the keys of authn.keys: the first signs, all verify. It never changes after New.
type keyring struct {
	signer   key
	byID     map[string]key
	byHeader map[string]key // by the first segment of their tokens
}

// key binds an algorithm to its key material, so that a token can never choose the algorithm.
type key struct {
	id     string
	method jwt.SigningMethod
	secret []byte
}

func newKeyring(keys []KeyConfig) *keyring {
	ring := &keyring{byID: make(map[string]key, len(keys)), byHeader: make(map[string]key, len(keys))}
	for i, k := range keys {
		made := key{id: k.ID, method: jwt.SigningMethodHS256, secret: []byte(k.Secret.Reveal())}
		ring.byID[k.ID] = made
		ring.byHeader[made.header()] = made
		if i == 0 {
			ring.signer = made
		}
	}
	return ring
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
	return token.SignedString(r.signer.secret)
}

// find is the jwt.Keyfunc: it picks the key that kid names and refuses a token whose alg is not that key's.
func (r *keyring) find(token *jwt.Token) (any, error) {
	kid, _ := token.Header["kid"].(string)
	k, known := r.byID[kid]
	if !known || token.Method.Alg() != k.method.Alg() {
		return nil, ErrTokenInvalid
	}
	return k.secret, nil
}
