package disk

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"wxgate/secret"
	"wxgate/storage"
)

// EncryptionKey returns the key in the key file. It is readable by its owner alone, and is only created while nothing is
// sealed: a new key could not open it.
func EncryptionKey(path string, unsealed bool) ([]byte, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !unsealed {
			return nil, fmt.Errorf("%s is missing and storage.encryption_key is empty: %w",
				path, storage.ErrWrongKey)
		}
		return makeKeyFile(path)
	}
	if err != nil {
		return nil, err
	}
	key, err := storage.DecodeKey(secret.Text(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, err, storage.ErrWrongKey)
	}
	return key, nil
}

// WarnReadable logs a warning if anybody but its owner may read the key file.
func WarnReadable(log *slog.Logger, path string) {
	info, err := os.Stat(path)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("others may read the encryption key; chmod 600 it", "file", path,
			"mode", fmt.Sprintf("%04o", info.Mode().Perm()))
	}
}

func makeKeyFile(path string) ([]byte, error) {
	key := make([]byte, storage.EncryptionKeySize)
	_, _ = rand.Read(key) // never fails
	return key, WriteKeyFile(path, key)
}

// WriteKeyFile writes a key file.
func WriteKeyFile(path string, key []byte) error {
	return writeFile(path, append(base64.StdEncoding.AppendEncode(nil, key), '\n'))
}
