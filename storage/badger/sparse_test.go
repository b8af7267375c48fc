package badger

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// sparse is a file of Badger, which makes its logs 16 and 32 MB long and fills little of them: what is in it without the
// zeros at its end, and its size.
type sparse struct {
	content []byte
	size    int64
}

// readSparse skips the holes, where the system can tell them: with the race detector, to look at each zero was most of
// the time of these tests.
func readSparse(path string) (f sparse, err error) {
	file, err := os.Open(path)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for {
		at, err := nextData(file, f.size)
		if err != nil {
			return f, err
		}
		f.size = at
		if n, err := f.readBlock(file); n == 0 || err != nil {
			return f, err
		}
	}
}

// nextData is where f goes on with something else than a hole, its end if it does not.
func nextData(f *os.File, at int64) (int64, error) {
	const seekData = 3
	if runtime.GOOS == "linux" {
		if next, err := f.Seek(at, seekData); err == nil {
			return next, nil
		} else if errors.Is(err, syscall.ENXIO) {
			return f.Seek(0, io.SeekEnd)
		}
	}
	return f.Seek(at, io.SeekStart)
}

// sparseOf reads all of r.
func sparseOf(r io.Reader) (f sparse, err error) {
	for {
		if n, err := f.readBlock(r); n == 0 || err != nil {
			return f, err
		}
	}
}

// readBlock takes one block of r in, 0 bytes at its end.
func (f *sparse) readBlock(r io.Reader) (n int, err error) {
	var block, zeros [64 << 10]byte
	n, err = io.ReadFull(r, block[:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if !bytes.Equal(block[:n], zeros[:n]) {
		hole := make([]byte, f.size-int64(len(f.content)))
		f.content = append(append(f.content, hole...), bytes.TrimRight(block[:n], "\x00")...)
	}
	f.size += int64(n)
	return n, err
}

func mustReadSparse(t *testing.T, path string) sparse {
	t.Helper()
	f, err := readSparse(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// write makes the file; the zeros at its end are a hole.
func (f sparse) write(t *testing.T, path string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	err = errors.Join(err, os.WriteFile(path, f.content, 0o600))
	if err = errors.Join(err, os.Truncate(path, f.size)); err != nil {
		t.Fatal(err)
	}
}

// folder is what lies in one, by name.
type folder map[string]sparse

func readFolder(t *testing.T, dir string) folder {
	t.Helper()
	files := folder{}
	for _, path := range filesBelow(t, dir) {
		name, _ := filepath.Rel(dir, path)
		files[name] = mustReadSparse(t, path)
	}
	return files
}

func (f folder) write(t *testing.T, dir string) {
	t.Helper()
	for name, file := range f {
		file.write(t, filepath.Join(dir, name))
	}
}

// copyFolder copies files; sparse ones stay sparse.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	readFolder(t, from).write(t, to)
}

// hashes is what lies in dir: the size of each file, and a hash of it without the zeros at its end.
func hashes(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for name, f := range readFolder(t, dir) {
		files[name] = fmt.Sprintf("%d bytes, %x", f.size, sha256.Sum256(f.content))
	}
	return files
}
