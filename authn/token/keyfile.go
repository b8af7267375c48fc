package token

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"wxgate/input"
)

// openKey makes a key of its configuration: a shared secret for HS256, or a PEM file.
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
	if k.method, err = methodFor(public, cfg.Algorithm); err != nil {
		return key{}, fmt.Errorf("%s holds %w", cfg.File, err)
	}
	if private == nil {
		return k, nil
	}
	k.signing = private
	if k.seed, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		return key{}, err
	}
	k.method = deterministic(k.method, k.seed)
	return k, nil
}

// methodFor returns how tokens are signed with a kind of key: by the algorithm, or by the first that the kind has if
// that is empty.
func methodFor(public crypto.PublicKey, algorithm string) (jwt.SigningMethod, error) {
	fitting, err := AlgorithmsFor(public)
	switch {
	case err != nil:
		return nil, err
	case algorithm == "":
		algorithm = fitting[0]
	case !slices.Contains(fitting, algorithm):
		return nil, fmt.Errorf("a key for %s, not for %s", strings.Join(fitting, ", "), algorithm)
	}
	return jwt.GetSigningMethod(algorithm), nil
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
