package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"
)

// SealedFiles are texts by their path, such as accounts, certificates and private keys of ACME, that every gateway of the
// store has in common. A text and its path are sealed. It is safe for concurrent use.
//
// There is a bounded number of them: what may become one is in the configuration, and each is at most 32 KiB.
type SealedFiles struct{ store *Store }

// NewSealedFiles are those of a store.
func NewSealedFiles(s *Store) SealedFiles { return SealedFiles{s} }

// SealedFile is one of them.
type SealedFile struct {
	Path     string    `json:"path"`
	Text     []byte    `json:"text"`
	Modified time.Time `json:"modified"` // by the clock of who wrote it
}

// maxSealedFile is the size of the largest text, in bytes: a certificate with its chain has 10 KiB.
const maxSealedFile = 32 << 10

// errSealedFileSize refuses a text that is too large.
var errSealedFileSize = errors.New("a sealed file is larger than 32 KiB")

// sealedFilePrefix begins the names of their secrets. What follows is a hash, since a name has at most 255 bytes.
const sealedFilePrefix = "t/"

func sealedFileName(path string) string {
	sum := sha256.Sum256([]byte(path))
	return sealedFilePrefix + string(sum[:])
}

// Write puts a text in the place of what the path had before.
func (f SealedFiles) Write(ctx context.Context, path string, text []byte) error {
	_, err := write(ctx, f.store, opChangeSealedFile, func(w Writer) (none struct{}, _ error) {
		if len(text) > maxSealedFile {
			return none, errSealedFileSize
		}
		return none, putSecret(w, f.store.driver.Sealer(), sealedFileName(path), SealedFile{path, text, w.Now().UTC()})
	})
	return err
}

// Read returns the text of a path, or ErrNotFound.
func (f SealedFiles) Read(ctx context.Context, path string) (SealedFile, error) {
	return read(ctx, f.store, opSealedFile, func(r Reader) (SealedFile, error) {
		return f.read(r, sealedFileName(path))
	})
}

// read is Read by the name of the secret. What was removed may have left an empty one.
func (f SealedFiles) read(r Reader, name string) (file SealedFile, err error) {
	sealed, err := r.Secret(name)
	if err == nil && len(sealed) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return file, err
	}
	return getSecret[SealedFile](r, f.store.driver.Sealer(), name)
}

// Remove removes a path, and all below it. Nothing need be there.
func (f SealedFiles) Remove(ctx context.Context, path string) error {
	_, err := write(ctx, f.store, opChangeSealedFile, func(w Writer) (none struct{}, err error) {
		paths, err := f.list(w, path)
		for _, each := range paths {
			if err = w.PutSecret(sealedFileName(each), nil); err != nil {
				break
			}
		}
		return none, err
	})
	return err
}

// List returns the paths that are path or stand below it, in no order.
func (f SealedFiles) List(ctx context.Context, path string) ([]string, error) {
	return read(ctx, f.store, opSealedFile, func(r Reader) ([]string, error) { return f.list(r, path) })
}

// sealedFilesPage is how many names are read at a time.
const sealedFilesPage = 100

// list opens each of the files: their names do not tell their paths.
func (f SealedFiles) list(r Reader, path string) (paths []string, err error) {
	for after := sealedFilePrefix; ; {
		names, err := r.Secrets(after, sealedFilesPage)
		if err != nil {
			return nil, err
		}
		for _, after = range names {
			if !strings.HasPrefix(after, sealedFilePrefix) {
				return paths, nil
			}
			file, err := f.read(r, after)
			switch {
			case errors.Is(err, ErrNotFound):
			case err != nil:
				return nil, err
			case path == "" || file.Path == path || strings.HasPrefix(file.Path, path+"/"):
				paths = append(paths, file.Path)
			}
		}
		if len(names) < sealedFilesPage {
			return paths, nil
		}
	}
}
