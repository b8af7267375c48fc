package storage

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// EncryptionKeySize is the length of an encryption key in bytes: AES-256.
const EncryptionKeySize = 32

// masked is what a key prints as, whoever prints it.
const masked = "***"

// EncryptionKey is the key that seals session_keys, as base64 text. It prints as *** everywhere; Bytes opens it.
type EncryptionKey struct {
	text string
}

// UnmarshalText takes any text, so that Validate can report a wrong key together with the other faults of the file.
func (k *EncryptionKey) UnmarshalText(text []byte) error {
	k.text = strings.TrimSpace(string(text))
	return nil
}

// Bytes decodes the key, in the standard or the URL alphabet, with or without padding. Its errors never quote the key.
func (k EncryptionKey) Bytes() ([]byte, error) {
	text := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(k.text, "="))
	key, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("want 32 bytes in base64, got something that is not base64")
	}
	if len(key) != EncryptionKeySize {
		return nil, fmt.Errorf("want %d bytes in base64, got %d", EncryptionKeySize, len(key))
	}
	return key, nil
}

// IsZero reports whether no key was given.
func (k EncryptionKey) IsZero() bool { return k.text == "" }

// String is *** or, for no key, empty.
func (k EncryptionKey) String() string {
	if k.IsZero() {
		return ""
	}
	return masked
}

// Format prints String for every verb, so that %d or %#v cannot look inside either.
func (k EncryptionKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// GoString is String.
func (k EncryptionKey) GoString() string { return k.String() }

// MarshalText is String, so that a configuration written as YAML or JSON holds no key.
func (k EncryptionKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue is String.
func (k EncryptionKey) LogValue() slog.Value { return slog.StringValue(k.String()) }
