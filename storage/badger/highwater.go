package badger

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
)

// highWater is the file that says how far commits had come. A log of Badger that is damaged in the middle opens without
// its tail and without an error; a store that is behind its high water lost something. The file is written without a
// sync after each commit: it survives a kill, and after a power loss it is too low, never too high.
type highWater struct {
	file *os.File
}

func openHighWater(path string) (*highWater, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &highWater{file: f}, nil
}

// readHighWater returns what was raised last. A file that is missing or does not hold its checksum says nothing.
func readHighWater(path string) (reached []byte, err error) {
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	size := len(content) - crc32.Size
	if size < 0 || binary.BigEndian.Uint32(content[size:]) != checksum(content[:size]) {
		return nil, nil
	}
	return content[:size], nil
}

func checksum(content []byte) uint32 {
	return crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli))
}

// raise notes what was reached, always in as many bytes. It overwrites bytes that are on the disk already, so a full one
// does not matter, and an error would only leave the mark low.
func (h *highWater) raise(reached []byte) {
	content := binary.BigEndian.AppendUint32(slices.Clip(reached), checksum(reached))
	_, _ = h.file.WriteAt(content, 0)
}

// close closes the file.
func (h *highWater) close() error { return h.file.Close() }
