package storage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Sealer encrypts what must not be stored in plaintext, with AES-256-GCM under a random nonce per record. The name of the
// record is authenticated with it, so that a sealed value copied to another user does not open.
type Sealer struct {
	aead  cipher.AEAD
	check string
}

// NewSealer returns a Sealer with a key of EncryptionKeySize bytes.
func NewSealer(key []byte) (*Sealer, error) {
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
	return &Sealer{aead: aead, check: hex.EncodeToString(check)}, nil
}

// Check returns 16 hexadecimal digits that tell keys apart without revealing them.
func (s *Sealer) Check() string { return s.check }

func (s *Sealer) seal(name string, plain []byte) []byte {
	return s.aead.Seal(nil, nil, plain, []byte(name))
}

func (s *Sealer) open(name string, sealed []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("opening a sealed record: %w", ErrDamaged)
	}
	return plain, nil
}
