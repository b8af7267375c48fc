package command

import (
	"crypto"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	"wxgate/authn/token"
	"wxgate/config"
	"wxgate/input"
)

// verifyToken tries the keys of the configuration on a token's signature alone. It decides nothing about a request: the
// gateway is much stricter.
func verifyToken(token string, w *world) verdict {
	cfg, err := config.Load(w.config, w.env)
	if err != nil {
		return verdict{Detail: fmt.Sprintf("not checked: %s could not be read (see `wxgate check`)", w.config)}
	}
	return signatureOf(token, cfg.Authn.Keys, w.config)
}

// signatureOf says with which of the keys of a file a token's signature holds.
func signatureOf(token string, keys []token.KeyConfig, file string) verdict {
	for _, key := range keys {
		if holds(token, key) {
			return verdict{Valid: true, Key: key.ID}
		}
	}
	return verdict{Detail: "matches no key in " + file}
}

// holds reports whether a token's signature is of that key. The algorithm is the key's, never the token's.
func holds(token string, cfg token.KeyConfig) bool {
	algorithm, key, err := verifyingKey(cfg)
	if err != nil {
		return false
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{algorithm}), jwt.WithoutClaimsValidation())
	_, err = parser.Parse(token, func(*jwt.Token) (any, error) { return key, nil })
	return err == nil
}

// verifyingKey is what a key of the configuration verifies with.
func verifyingKey(cfg token.KeyConfig) (algorithm string, key any, err error) {
	if cfg.File == "" {
		return "HS256", []byte(cfg.Secret.Reveal()), nil
	}
	data, err := input.File(cfg.File)
	if err != nil {
		return "", nil, fmt.Errorf("reading the key: %w", err)
	}
	if private, err := jwt.ParseRSAPrivateKeyFromPEM(data); err == nil {
		return "RS256", &private.PublicKey, nil
	}
	if public, err := jwt.ParseRSAPublicKeyFromPEM(data); err == nil {
		return "RS256", public, nil
	}
	if private, err := jwt.ParseECPrivateKeyFromPEM(data); err == nil {
		return "ES256", &private.PublicKey, nil
	}
	if public, err := jwt.ParseECPublicKeyFromPEM(data); err == nil {
		return "ES256", public, nil
	}
	return edKey(data)
}

func edKey(data []byte) (algorithm string, key any, err error) {
	if private, err := jwt.ParseEdPrivateKeyFromPEM(data); err == nil {
		if signer, ok := private.(crypto.Signer); ok {
			return "EdDSA", signer.Public(), nil
		}
	}
	if public, err := jwt.ParseEdPublicKeyFromPEM(data); err == nil {
		return "EdDSA", public, nil
	}
	return "", nil, errors.New("the file holds no key for RS256, ES256 or EdDSA")
}
