// Package backup writes all records of a data set into a file, and reads them back.
//
// A file is begun by its magic, and is made of blocks: a type (1 byte), the length of the content (4 bytes, big-endian),
// a CRC32C of type, length and content (4 bytes), the content. Records stand in blocks of type B, each compressed by zstd
// on its own: kind (1 byte), length of the name (uvarint), name, length of the data (uvarint), data. The last block is of
// type E and JSON of a Summary, with the count of each kind and the SHA-256 of all before it. So a file that was cut off,
// changed or joined is recognized. Secrets are in it as they are at rest: sealed. Only a file that was asked to have their
// key begins with a block of type K: JSON of a keyBlock.
package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"wxgate/secret"
	"wxgate/storage"
)

const (
	magic      = "wxgate backup 1\n"
	blockKey   = 'K' // a keyBlock, not compressed, so that whoever looks at the file sees it
	blockOf    = 'B' // records
	blockEnd   = 'E' // a Summary
	headSize   = 1 + 4 + 4
	blockSize  = 256 << 10 // bytes of records, from which on a block is written
	maxContent = 2 << 20   // bytes of a block, compressed or not
	maxName    = 1 << 10
	maxData    = storage.MaxRecord
)

// Summary is what a whole backup has.
type Summary struct {
	StoreID   string            `json:"store_id"` // of the data set
	At        time.Time         `json:"at"`       // what was written by then is in the backup
	KeyChecks storage.KeyChecks `json:"key_checks"`
	Counts    map[string]int    `json:"counts"` // of records, by kind
	SHA256    string            `json:"sha256"` // of the file up to this block, in hexadecimal
	Key       secret.Text       `json:"-"`      // that opens the secrets, in base64; empty: it is not in the file
}

// keyBlock is the content of a block of type K.
type keyBlock struct {
	EncryptionKey string `json:"encryption_key"` // in base64
}

// Users are the users, erased ones included.
func (s Summary) Users() int { return s.Counts[storage.KindUser.String()] }

// add counts a record.
func (s *Summary) add(r storage.Record) error {
	if s.Counts == nil {
		s.Counts = map[string]int{}
	}
	first := len(s.Counts) == 0
	s.Counts[r.Kind.String()]++
	if first != (r.Kind == storage.KindHeader) {
		return errors.New("a header stands first, and once")
	}
	if !first {
		return nil
	}
	var h storage.Header
	if err := r.Decode(&h); err != nil {
		return err
	}
	s.StoreID, s.At, s.KeyChecks = h.StoreID, h.At, h.KeyChecks
	return nil
}

// head is what stands before the content of a block.
func head(kind byte, content []byte) [headSize]byte {
	var h [headSize]byte
	h[0] = kind
	binary.BigEndian.PutUint32(h[1:], uint32(len(content)))
	binary.BigEndian.PutUint32(h[5:], checksum(h, content))
	return h
}

func checksum(h [headSize]byte, content []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Update(0, table, h[:5]), table, content)
}

func appendRecord(to []byte, r storage.Record) ([]byte, error) {
	if len(r.Name) > maxName || len(r.Data) > maxData {
		return to, fmt.Errorf("one of the %v has %d bytes, at most %d are kept", r.Kind, len(r.Name)+len(r.Data), maxData)
	}
	to = append(to, byte(r.Kind))
	to = binary.AppendUvarint(to, uint64(len(r.Name)))
	to = append(to, r.Name...)
	to = binary.AppendUvarint(to, uint64(len(r.Data)))
	return append(to, r.Data...), nil
}

// takeRecord reads the first record. What it returns shares the memory of from.
func takeRecord(from []byte) (r storage.Record, rest []byte, err error) {
	if len(from) == 0 {
		return r, nil, errShort
	}
	r.Kind = storage.Kind(from[0])
	name, rest, err := takeBytes(from[1:], maxName)
	if err != nil {
		return r, nil, err
	}
	r.Name = string(name)
	r.Data, rest, err = takeBytes(rest, maxData)
	return r, rest, err
}

var errShort = errors.New("a record is cut off")

func takeBytes(from []byte, most uint64) (taken, rest []byte, err error) {
	size, n := binary.Uvarint(from)
	if n <= 0 || size > most || size > uint64(len(from)-n) {
		return nil, nil, errShort
	}
	end := n + int(size)
	return from[n:end:end], from[end:], nil
}
