package storage

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"wxgate/secret"
)

// EncryptionKeySize is the length of an encryption key in bytes: AES-256.
const EncryptionKeySize = 32

// DecodeKey decodes the key that seals session_keys from base64, in the standard or the URL alphabet, with or without
// padding. Its errors never quote the key.
func DecodeKey(encoded secret.Text) ([]byte, error) {
	text := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(strings.TrimSpace(encoded.Reveal()), "="))
	key, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("want 32 bytes in base64, got something that is not base64")
	}
	if len(key) != EncryptionKeySize {
		return nil, fmt.Errorf("want %d bytes in base64, got %d", EncryptionKeySize, len(key))
	}
	return key, nil
}
