package badger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"wxgate/storage"
)

// A record on disk is
//
//	format (1 byte) | CRC32C of key, format and payload (4 bytes) | payload
//
// Badger returns damaged bytes without an error (ChecksumVerificationMode NoVerification) or as "key not found"
// (OnBlockRead), which would create a second user; so each record carries its own checksum, which its key is part of.
const (
	recordFormat   = 1
	envelopeSize   = 1 + crc32.Size
	maxKeySize     = 1 << 10        // bytes; beyond 65,000 Badger would fail the commit, and that is for good
	maxPayloadSize = bytesPerCommit // bytes; two of them fit into a transaction, and Badger moves none to its value log (1 MB)
)

func seal32(key []byte, format byte, payload []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, key)
	sum = crc32.Update(sum, table, []byte{format})
	return crc32.Update(sum, table, payload)
}

// wrap puts payload into an envelope.
func wrap(key string, payload []byte) []byte {
	record := make([]byte, 0, envelopeSize+len(payload))
	record = append(record, recordFormat)
	record = binary.BigEndian.AppendUint32(record, seal32([]byte(key), recordFormat, payload))
	return append(record, payload...)
}

// unwrap returns the payload in an envelope, or ErrDamaged. The checksum is checked before the format: a flipped format
// byte is damage, not a newer schema.
func unwrap(key, record []byte) ([]byte, error) {
	if len(record) < envelopeSize {
		return nil, fmt.Errorf("a record %q of %d bytes: %w", key[:1], len(record), storage.ErrDamaged)
	}
	format, sum, payload := record[0], binary.BigEndian.Uint32(record[1:]), record[envelopeSize:]
	if sum != seal32(key, format, payload) {
		return nil, fmt.Errorf("a record %q has a wrong checksum: %w", key[:1], storage.ErrDamaged)
	}
	if format != recordFormat {
		return nil, fmt.Errorf("a record %q of format %d: %w", key[:1], format, storage.ErrNewerSchema)
	}
	return payload, nil
}
