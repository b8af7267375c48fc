package issuer

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"wxgate/authn/token"
)

// The bounds of a set of keys.
const (
	maxSetBytes   = 256 << 10
	maxKeys       = 64
	maxKeyIDBytes = 256
)

// key binds an algorithm to what it verifies with, so that a token can never choose the algorithm.
type key struct {
	id        string // kid; "": none
	algorithm string
	method    jwt.SigningMethod
	verifying any // what method verifies with
}

func newKey(id, algorithm string, verifying any) *key {
	return &key{id, algorithm, jwt.GetSigningMethod(algorithm), verifying}
}

// secretKey is the key of an issuer with a secret.
func secretKey(cfg Config) *key {
	return newKey("", cfg.algorithms()[0], []byte(cfg.Secret.Reveal()))
}

// same reports whether two public keys are the same, for the same.
func (k *key) same(other *key) bool {
	comparable, ok := k.verifying.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.id == other.id && k.algorithm == other.algorithm && comparable.Equal(other.verifying)
}

// readSet returns the public keys of a JWK set (RFC 7517 §5) that are for one of the algorithms, and why the others are not
// used. A set without such a key is an error.
func readSet(data []byte, algorithms []string) (keys []*key, ignored []string, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	switch err := json.Unmarshal(data, &set); {
	case err != nil:
		return nil, nil, fmt.Errorf("the answer is no JWK set: %w", err)
	case len(set.Keys) > maxKeys:
		return nil, nil, fmt.Errorf("the set has %d keys; %d are the most", len(set.Keys), maxKeys)
	}
	for i, member := range set.Keys {
		k, err := readKey(member, algorithms)
		switch {
		case err != nil:
			ignored = append(ignored, fmt.Sprintf("keys[%d] %v", i, err))
		case !slices.ContainsFunc(keys, k.same):
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, nil, fmt.Errorf("the set has no key that can be used: %q", ignored)
	}
	return keys, ignored, nil
}

// readKey reads a public key. Errors go on behind the name of the key, and quote nothing of it.
func readKey(data []byte, algorithms []string) (*key, error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, errors.New("is no JWK")
	}
	switch {
	case m.KTY == jwkset.KtyOct || m.K != "":
		return nil, errors.New("is a shared secret, which everybody knows by now")
	case m.D != "" || m.P != "" || m.Q != "":
		return nil, errors.New("is a private key, which everybody knows by now")
	case m.USE != "" && m.USE != jwkset.UseSig:
		return nil, errors.New("has a use other than sig")
	case len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify):
		return nil, errors.New("has key_ops without verify")
	case len(m.KID) > maxKeyIDBytes:
		return nil, fmt.Errorf("has a kid of %d bytes", len(m.KID))
	case m.KTY == jwkset.KtyRSA && !validExponent(m.E):
		return nil, errors.New("has an exponent that is not odd or not between 3 and 2^31")
	}
	// Of the certificates that a key may come with nothing is read: x5u would be fetched, and x5c proves no more than the set.
	parsed, err := jwkset.NewJWKFromMarshal(jwkset.JWKMarshal{KTY: m.KTY, CRV: m.CRV, X: m.X, Y: m.Y, N: m.N, E: m.E}, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return nil, errors.New("holds no valid public key")
	}
	fitting, err := token.AlgorithmsFor(parsed.Key())
	if err != nil {
		return nil, fmt.Errorf("holds %w", err)
	}
	if m.ALG != "" {
		fitting = slices.DeleteFunc(fitting, func(a string) bool { return a != string(m.ALG) })
	}
	for _, algorithm := range algorithms {
		if slices.Contains(fitting, algorithm) {
			return newKey(m.KID, algorithm, parsed.Key()), nil
		}
	}
	return nil, fmt.Errorf("is for none of %q", algorithms)
}

// validExponent reports whether the exponent of an RSA key is one that crypto/rsa takes. jwkset would cut a longer one.
func validExponent(e string) bool {
	const most = 4 // bytes
	data, err := base64.RawURLEncoding.DecodeString(e)
	if err != nil || len(data) == 0 || len(data) > most {
		return false
	}
	n := uint32(0)
	for _, b := range data {
		n = n<<8 | uint32(b)
	}
	return n > 2 && n < 1<<31 && n%2 == 1
}
