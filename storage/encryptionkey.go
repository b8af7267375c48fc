package storage

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"wxgate/input"
	"wxgate/secret"
)

// EncryptionKeySize is the length of an encryption key in bytes: AES-256.
const EncryptionKeySize = 32

// maxEncryptionKeys is far more than rotations that are under way at a time.
const maxEncryptionKeys = 8

// EncryptionKeys are the keys of secrets: the first seals, all of them open. None: the driver keeps a key beside the data.
type EncryptionKeys []secret.Text

// UnmarshalText reads the short form: one key, or none.
func (k *EncryptionKeys) UnmarshalText(text []byte) error {
	*k = EncryptionKeys{}
	if one := secret.Text(text); !one.IsBlank() {
		*k = EncryptionKeys{one}
	}
	return nil
}

// Wanted names what the key of the configuration takes.
func (*EncryptionKeys) Wanted() string { return "a key or a list of keys" }

// Decode decodes each key; a blank one, as of a variable that was left empty, is none. Its errors never quote a key.
func (k EncryptionKeys) Decode() (keys [][]byte, err error) {
	for _, encoded := range k {
		if encoded.IsBlank() {
			continue
		}
		key, err := DecodeKey(encoded)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// validate reports the faults of the keys that are written at path.
func (k EncryptionKeys) validate(f *input.Faults, path string) {
	if len(k) > maxEncryptionKeys {
		f.Add(path, "%d keys, want %d at most", len(k), maxEncryptionKeys)
		return
	}
	for i, encoded := range k {
		path := path
		if len(k) > 1 {
			path = fmt.Sprintf("%s[%d]", path, i)
		}
		key, err := DecodeKey(encoded)
		switch {
		case encoded.IsBlank():
			continue
		case err != nil:
			f.Add(path, "%v", err)
			continue
		}
		for j, earlier := range k[:i] {
			if known, err := DecodeKey(earlier); err == nil && bytes.Equal(known, key) {
				f.Add(path, "the same key as the %d. of the list", j+1)
			}
		}
	}
}

// DecodeKey decodes a key that seals secrets from base64, in the standard or the URL alphabet, with or without padding.
// Its errors never quote the key.
func DecodeKey(encoded secret.Text) ([]byte, error) {
	text := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(strings.TrimSpace(encoded.Reveal()), "="))
	key, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("want 32 bytes in base64, got something that is not base64: openssl rand -base64 32 makes one")
	}
	if len(key) != EncryptionKeySize {
		return nil, fmt.Errorf("want %d bytes in base64, got %d: openssl rand -base64 32 makes one", EncryptionKeySize, len(key))
	}
	return key, nil
}
