package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// verifier verifies the tokens that one key signed, whose first segment says so in the one spelling that we write.
type verifier struct {
	key  key
	macs sync.Pool // of *mac; for HS256
}

func newVerifier(k key) *verifier {
	v := &verifier{key: k}
	if secret, shared := k.verifying.([]byte); shared {
		v.macs.New = func() any { return &mac{hash: hmac.New(sha256.New, secret)} }
	}
	return v
}

// mac computes the MACs of a key, one at a time.
type mac struct {
	hash    hash.Hash
	sum     [sha256.Size]byte
	encoded [43]byte // sum in base64url
}

// Verify checks the form and the signature of a token with a header of ours, and returns its claims; they keep nothing of
// the token's memory. It looks at the signature first: nothing is decoded of a token that we did not sign, so refusing
// one costs a hash and no memory. ours is false, without an error, for a token with any other header: Parse and Read are
// for those, and the library. Both agree on every token, except that a token with a wrong signature is ErrInvalid here
// whatever its payload is.
func (r *Keyring) Verify(token string) (claims Claims, ours bool, err error) {
	header, rest, _ := strings.Cut(token, ".")
	v, ours := r.byHeader[header]
	if !ours || len(token) > maxTokenBytes {
		return Claims{}, false, nil
	}
	payload, signature, found := strings.Cut(rest, ".")
	if !found || !v.signed(token[:len(header)+1+len(payload)], signature) {
		if !canonicalBase64(payload) || !canonicalBase64(signature) {
			return Claims{}, true, ErrMalformed
		}
		return Claims{}, true, ErrInvalid
	}
	data, ok := DecodeSegment(payload)
	if !ok {
		return Claims{}, true, ErrMalformed
	}
	if !claims.readPlain(data) {
		if claims, err = readAny(data); err != nil {
			return Claims{}, true, err
		}
	}
	return claims, true, r.checkOwn(&claims)
}

// signed reports whether a signature is the key's, in canonical base64url.
func (v *verifier) signed(signed, signature string) bool {
	if _, shared := v.key.verifying.([]byte); shared {
		return v.authentic(signed, signature)
	}
	decoded, ok := DecodeSegment(signature)
	return ok && v.key.method.Verify(signed, decoded, v.key.verifying) == nil
}

// authentic compares the MAC with what it should be, in base64url: only one spelling is equal.
func (v *verifier) authentic(signed, signature string) bool {
	m, _ := v.macs.Get().(*mac) // there is nothing else in the pool
	m.hash.Reset()
	_, _ = m.hash.Write(unsafe.Slice(unsafe.StringData(signed), len(signed))) // a hash never fails, and changes nothing
	base64.RawURLEncoding.Encode(m.encoded[:], m.hash.Sum(m.sum[:0]))
	equal := subtle.ConstantTimeCompare(m.encoded[:], unsafe.Slice(unsafe.StringData(signature), len(signature)))
	v.macs.Put(m)
	return equal == 1
}

// checkOwn checks the claims of a token of ours, as far as they alone can be checked. Times are compared with each other
// only: a token whose exp is in milliseconds, or far in the future, exceeds Config.MaxLife and is refused.
func (r *Keyring) checkOwn(c *Claims) error {
	if c.ExpiresAt-c.IssuedAt > int64(r.cfg.MaxLife/time.Second) {
		return fmt.Errorf("%w: its lifetime is too long", ErrInvalid)
	}
	if c.Issuer != r.cfg.Issuer || c.Store == "" || c.UserID < 1 || c.OpenID == "" || c.audience ||
		c.IssuedAt < 1 || c.ExpiresAt <= c.IssuedAt {
		return ErrInvalid
	}
	return nil
}
