// Package issuertest is an issuer of tokens for tests: its keys, its tokens, and a server with its JWK set.
package issuertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Key is a key of an issuer.
type Key struct {
	ID        string // kid; "": tokens and JWK have none
	Algorithm string
	Signing   any // a crypto.Signer, or the bytes of a shared secret
}

// NewKey makes a key pair for an algorithm.
func NewKey(tb testing.TB, id, algorithm string) Key {
	tb.Helper()
	var signing crypto.Signer
	var err error
	switch algorithm {
	case "ES256":
		signing, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		signing, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		signing, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, signing, err = ed25519.GenerateKey(rand.Reader)
	default:
		signing, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return Key{id, algorithm, signing}
}

// JWK is the public key, with alg and use.
func (k Key) JWK() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	jwk := map[string]any{"use": "sig", "alg": k.Algorithm}
	if k.ID != "" {
		jwk["kid"] = k.ID
	}
	signer, _ := k.Signing.(crypto.Signer)
	switch public := signer.Public().(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, _ := public.Bytes() // of a key that was generated
		half := (len(point) - 1) / 2
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", public.Params().Name, b64(point[1:1+half]), b64(point[1+half:])
	case ed25519.PublicKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", b64(public)
	}
	return jwk
}

// Claims are those of a token of iss for aud and sub that was issued a minute ago, so that a clock that stands does not put it
// into the future, and is valid for an hour, changed: nil removes one.
func Claims(iss, aud, sub string, changes map[string]any) map[string]any {
	now := time.Now()
	claims := map[string]any{"iss": iss, "aud": aud, "sub": sub, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// Sign returns a token with these claims.
func (k Key) Sign(tb testing.TB, claims map[string]any) string {
	tb.Helper()
	header := map[string]any{"alg": k.Algorithm, "typ": "JWT"}
	if k.ID != "" {
		header["kid"] = k.ID
	}
	return k.SignJSON(tb, marshal(tb, header), marshal(tb, claims))
}

// SignJSON signs any header and payload, however they are written.
func (k Key) SignJSON(tb testing.TB, header, payload string) string {
	tb.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	signature, err := jwt.GetSigningMethod(k.Algorithm).Sign(text, k.Signing)
	if err != nil {
		tb.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Server publishes a JWK set.
type Server struct {
	*httptest.Server

	mu     sync.Mutex
	answer http.HandlerFunc
	asked  int
}

// NewServer publishes the public halves of keys, with TLS or without.
func NewServer(tb testing.TB, withTLS bool, keys ...Key) *Server {
	tb.Helper()
	s := new(Server)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked++
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	})
	s.Publish(tb, keys...)
	if withTLS {
		s.Server = httptest.NewTLSServer(handler)
	} else {
		s.Server = httptest.NewServer(handler)
	}
	tb.Cleanup(s.Close)
	return s
}

// Publish makes these the keys of the set.
func (s *Server) Publish(tb testing.TB, keys ...Key) {
	tb.Helper()
	set := make([]map[string]any, len(keys))
	for i, k := range keys {
		set[i] = k.JWK()
	}
	s.PublishJSON(marshal(tb, map[string]any{"keys": set}))
}

// PublishJSON answers with any body.
func (s *Server) PublishJSON(body string) {
	s.Answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })
}

// Answer lets f answer from now on.
func (s *Server) Answer(f http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// Asked returns how often somebody has asked.
func (s *Server) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func marshal(tb testing.TB, value any) string {
	tb.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}
