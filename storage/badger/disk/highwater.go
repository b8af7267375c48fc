package disk

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"slices"
)

// HighWater is the file that records the last commit. A Badger log that is damaged in the middle opens without its tail
// and without an error; a store behind its high-water mark has lost something. The file is written after each commit,
// without a sync: it survives a kill, and after a power loss it is too low, never too high.
type HighWater struct {
	file *os.File
}

// OpenHighWater opens or creates the file at path. The caller closes it.
func OpenHighWater(path string) (*HighWater, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &HighWater{file: f}, nil
}

// ReadHighWater returns what was written last, or nothing if the file is missing or its checksum is wrong.
func ReadHighWater(path string) (reached []byte, err error) {
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

// Raise records what was reached, always with the same number of bytes. It overwrites bytes that are already on disk,
// so a full disk does not matter, and an error would only leave the mark too low.
func (h *HighWater) Raise(reached []byte) {
	content := binary.BigEndian.AppendUint32(slices.Clip(reached), checksum(reached))
	_, _ = h.file.WriteAt(content, 0)
}

// Close closes the file.
func (h *HighWater) Close() error { return h.file.Close() }
