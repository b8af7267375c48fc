package badger

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"wxgate/storage"
)

// sealer encrypts what must not lie on disk in plaintext, with AES-256-GCM under a random nonce per record. The key of
// the record is authenticated with it, so that a sealed value copied to another user does not open.
type sealer struct {
	aead  cipher.AEAD
	check string // tells another encryption key without giving this one away
}

func newSealer(key []byte) (*sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	check, err := hkdf.Key(sha256.New, key, nil, "wxgate storage key check", 8)
	if err != nil {
		return nil, err
	}
	return &sealer{aead: aead, check: hex.EncodeToString(check)}, nil
}

func (s *sealer) seal(key string, plain []byte) []byte {
	return s.aead.Seal(nil, nil, plain, []byte(key))
}

func (s *sealer) open(key string, sealed []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(key))
	if err != nil {
		return nil, fmt.Errorf("opening a sealed record: %w", storage.ErrDamaged)
	}
	return plain, nil
}
