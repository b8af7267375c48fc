package storage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Sealer encrypts what must not be stored in plaintext, with AES-256-GCM under a random nonce per record. The name of the
// record is authenticated with it, so that a sealed value copied to another user does not open. The first of its keys
// seals, and all of them open.
type Sealer struct{ keys []sealingKey }

type sealingKey struct {
	aead        cipher.AEAD
	check       string
	fingerprint []byte // the key of fingerprints
}

// NewSealer returns a Sealer with keys of EncryptionKeySize bytes, one or more.
func NewSealer(keys ...[]byte) (*Sealer, error) {
	s := new(Sealer)
	for _, key := range keys {
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
		fingerprint, err := hkdf.Key(sha256.New, key, nil, "wxgate fingerprints of signing keys", sha256.Size)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, sealingKey{aead, hex.EncodeToString(check), fingerprint})
	}
	return s, nil
}

// Checks returns 16 hexadecimal digits for each key, which tell keys apart without revealing them. The first is that of
// the key that seals.
func (s *Sealer) Checks() []string {
	checks := make([]string, len(s.keys))
	for i, k := range s.keys {
		checks[i] = k.check
	}
	return checks
}

// fingerprints returns 16 hexadecimal digits under each key, by which two processes with one key in common compare something
// secret. They are keyed, so that whoever reads them cannot search for a short secret.
func (s *Sealer) fingerprints(material []byte) []string {
	all := make([]string, len(s.keys))
	for i, k := range s.keys {
		mac := hmac.New(sha256.New, k.fingerprint)
		mac.Write(material)
		all[i] = hex.EncodeToString(mac.Sum(nil)[:8])
	}
	return all
}

func (s *Sealer) seal(name string, plain []byte) []byte {
	return s.keys[0].aead.Seal(nil, nil, plain, []byte(name))
}

func (s *Sealer) open(name string, sealed []byte) ([]byte, error) {
	plain, _, err := s.openWith(name, sealed)
	return plain, err
}

// openWith also says which key it is that opened the record.
func (s *Sealer) openWith(name string, sealed []byte) (plain []byte, key int, err error) {
	for i, k := range s.keys {
		if plain, err = k.aead.Open(nil, nil, sealed, []byte(name)); err == nil {
			return plain, i, nil
		}
	}
	return nil, 0, fmt.Errorf("opening a sealed record: %w", ErrDamaged)
}

// KeyChecks are the checks of the keys that the secrets of a data set may be sealed with, the newest first. A driver keeps
// them with the data, as text. There are none until something is sealed: a mistyped key that sealed nothing can be corrected.
type KeyChecks []string

// ParseKeyChecks reads what String has written.
func ParseKeyChecks(text string) KeyChecks {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// String separates them by commas.
func (k KeyChecks) String() string { return strings.Join(k, ",") }

// With are the checks once s may have sealed something. They are noted before it does.
func (k KeyChecks) With(s *Sealer) KeyChecks {
	if first := s.Checks()[0]; !slices.Contains(k, first) {
		return append(KeyChecks{first}, k...)
	}
	return k
}

// Join are the checks of both.
func (k KeyChecks) Join(other KeyChecks) KeyChecks {
	for _, check := range other {
		if !slices.Contains(k, check) {
			k = append(slices.Clone(k), check)
		}
	}
	return k
}

// Want refuses a sealer that does not open every secret, with ErrWrongKey. wrong says so of a single key.
func (k KeyChecks) Want(s *Sealer, wrong string) error {
	had := slices.DeleteFunc(slices.Clone(k), func(check string) bool { return !slices.Contains(s.Checks(), check) })
	switch {
	case len(had) == len(k):
		return nil
	case len(k) == 1:
		return fmt.Errorf("%s: %w", wrong, ErrWrongKey)
	}
	return fmt.Errorf("secrets are sealed with %d keys and storage.encryption_key has %d of them; list them all, and run `wxgate store "+
		"reseal` before you remove one: %w", len(k), len(had), ErrWrongKey)
}

// Warn tells the operator that no key may be removed yet.
func (k KeyChecks) Warn(log *slog.Logger) {
	if len(k) > 1 {
		log.Warn("secrets may be sealed with more than the first of storage.encryption_key; run `wxgate store reseal` before you remove one", "keys", len(k))
	}
}
