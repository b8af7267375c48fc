package backup

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"

	"github.com/klauspost/compress/zstd"

	"wxgate/secret"
	"wxgate/storage"
)

// Read calls each with the records of a backup, in their order; without each it only looks whether it is whole. What each
// gets is valid until it returns. An error of damage is storage.ErrDamaged and says where; what came before it may have
// been given to each, so whoever writes reads a file twice.
func Read(from io.Reader, each func(storage.Record) error) (Summary, error) {
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxContent), zstd.WithDecoderLowmem(true))
	if err != nil {
		return Summary{}, err
	}
	defer unzip.Close()
	if each == nil {
		each = func(storage.Record) error { return nil }
	}
	r := &reader{from: bufio.NewReaderSize(from, 64<<10), unzip: unzip, sum: sha256.New(), each: each}
	err = r.read()
	return r.summary, err
}

// reader reads blocks.
type reader struct {
	from    *bufio.Reader
	at      int64 // of the block that is being read
	unzip   *zstd.Decoder
	sum     hash.Hash
	content []byte
	records []byte
	each    func(storage.Record) error
	summary Summary
}

// damaged says where a file is damaged.
func (r *reader) damaged(reason string) error {
	return damage{fmt.Sprintf("the backup is damaged at byte %d: %s", r.at, reason)}
}

// damage is storage.ErrDamaged without its words: what is damaged is a file, and not the store.
type damage struct{ text string }

// Error says what is damaged.
func (d damage) Error() string { return d.text }

// Is reports that it is storage.ErrDamaged.
func (d damage) Is(target error) bool { return target == storage.ErrDamaged }

func (r *reader) read() error {
	begin := make([]byte, len(magic))
	if _, err := io.ReadFull(r.from, begin); isEnd(err) || err == nil && string(begin) != magic {
		return damage{"this is not a backup of wxgate"}
	} else if err != nil {
		return err
	}
	r.sum.Write(begin)
	r.at = int64(len(begin))
	for {
		kind, err := r.block()
		if err != nil {
			return err
		}
		switch kind {
		case blockKey:
			err = r.keyOf(r.content)
		case blockOf:
			err = r.recordsOf(r.content)
		case blockEnd:
			return r.end()
		default:
			err = fmt.Errorf("the backup has a block of type %q at byte %d; it was written by a newer wxgate: %w", rune(kind), r.at, storage.ErrNewerSchema)
		}
		if err != nil {
			return err
		}
		r.at += headSize + int64(len(r.content))
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }

// block reads the next block into content. What is before the end counts in the sum.
func (r *reader) block() (kind byte, err error) {
	var h [headSize]byte
	if err := r.full(h[:]); err != nil {
		return 0, err
	}
	size := binary.BigEndian.Uint32(h[1:])
	if size > maxContent {
		return 0, r.damaged(fmt.Sprintf("a block of %d bytes", size))
	}
	if cap(r.content) < int(size) {
		r.content = make([]byte, size)
	}
	r.content = r.content[:size]
	if err := r.full(r.content); err != nil {
		return 0, err
	}
	if checksum(h, r.content) != binary.BigEndian.Uint32(h[5:]) {
		return 0, r.damaged("the checksum of a block is wrong")
	}
	if h[0] != blockEnd {
		r.sum.Write(h[:])
		r.sum.Write(r.content)
	}
	return h[0], nil
}

func (r *reader) full(into []byte) error {
	_, err := io.ReadFull(r.from, into)
	if isEnd(err) {
		return r.damaged("it is cut off")
	}
	return err
}

// keyOf takes the key of the secrets, which stands before all records.
func (r *reader) keyOf(content []byte) error {
	var has keyBlock
	if err := json.Unmarshal(content, &has); err != nil || r.summary.Key != "" || len(r.summary.Counts) > 0 {
		return r.damaged("a key is not where it should be")
	}
	r.summary.Key = secret.Text(has.EncryptionKey)
	return nil
}

func (r *reader) recordsOf(content []byte) (err error) {
	if r.records, err = r.unzip.DecodeAll(content, r.records[:0]); err != nil {
		return r.damaged("a block does not decompress")
	}
	for rest := r.records; len(rest) > 0; {
		var record storage.Record
		if record, rest, err = takeRecord(rest); err != nil {
			return r.damaged(err.Error())
		}
		if err := r.summary.add(record); err != nil {
			return r.damaged(err.Error())
		}
		if record.Kind == storage.KindHeader && r.summary.Key != "" {
			if key, err := storage.DecodeKey(r.summary.Key); err != nil || !isKeyOf(r.summary.KeyChecks, key) {
				return r.damaged("its key does not open its secrets")
			}
		}
		if err := r.each(record); err != nil {
			return err
		}
	}
	return nil
}

// end compares what was read with what was written.
func (r *reader) end() error {
	var written Summary
	if err := json.Unmarshal(r.content, &written); err != nil {
		return r.damaged("its end is not readable")
	}
	r.summary.SHA256 = hex.EncodeToString(r.sum.Sum(nil))
	switch {
	case written.SHA256 != r.summary.SHA256:
		return r.damaged("the checksum of the whole is wrong")
	case !maps.Equal(written.Counts, r.summary.Counts):
		return r.damaged("it has other records than were written")
	}
	if _, err := r.from.ReadByte(); !isEnd(err) {
		return r.damaged("something stands behind its end")
	}
	return nil
}
