package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"

	"github.com/dgraph-io/badger/v4/y"

	"wxgate/storage"
)

// walFile is a log (.mem) of Badger, as far as it is whole:
//
//	id of the encryption key (8 bytes) | iv (12 bytes) | entries … | zeros
//	entry: meta (1) | user meta (1) | key length, value length, expiry (varints) | key and version | value | CRC32C (4)
//
// The entries of a transaction carry bitTxn; an entry with bitFinTxn, whose value is the version in decimal, ends it.
type walFile struct {
	path    string
	size    int64             // bytes of the file
	end     int64             // where the last whole transaction ends
	commits []Commit          // of each transaction, in order
	newest  map[string]uint64 // the newest version of each key
}

const (
	walHeaderSize  = 20
	walBitTxn      = 1 << 6
	walBitFinTxn   = 1 << 7
	walMaxKeyBytes = 1 << 16
)

// walEntry is one entry of a log; its slices point into it.
type walEntry struct {
	meta    byte
	key     []byte // without the version
	version uint64
	value   []byte
	size    int // in the log
}

// readLogs reads the logs in dir, oldest first.
func readLogs(dir string, known Records) ([]walFile, error) {
	paths, err := filesIn(dir, ".mem")
	if err != nil {
		return nil, err
	}
	var logs []walFile
	for _, path := range paths {
		l, err := readLog(path, known)
		if err != nil {
			return nil, err
		}
		logs = append(logs, l)
	}
	return logs, nil
}

func readLog(path string, known Records) (walFile, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return walFile{}, err
	}
	l := walFile{path: path, size: int64(len(data)), end: walHeaderSize, newest: map[string]uint64{}}
	if len(data) < walHeaderSize {
		return l, nil
	}
	if binary.BigEndian.Uint64(data) != 0 {
		return walFile{}, fmt.Errorf("the head of %s is damaged: %w", path,
			storage.ErrDamaged)
	}
	return l, l.scan(data, known)
}

// scan follows the transactions until one is not whole, exactly as Badger does.
func (l *walFile) scan(data []byte, known Records) error {
	var open []walEntry
	for at := int64(walHeaderSize); ; {
		e, ok := decodeEntry(data[at:])
		if !ok {
			return nil
		}
		at += int64(e.size)
		switch {
		case e.meta&walBitTxn != 0 && (len(open) == 0 || open[0].version == e.version):
			open = append(open, e)
		case e.meta&walBitFinTxn != 0 && len(open) > 0 && e.ends(open[0].version):
			if err := l.take(open, known); err != nil {
				return err
			}
			l.end, open = at, nil
		default:
			return nil // every write is a transaction
		}
	}
}

// ends reports whether e ends the transaction of that version.
func (e walEntry) ends(version uint64) bool {
	said, err := strconv.ParseUint(string(e.value), 10, 64)
	return err == nil && said == version
}

// take notes the entries of a whole transaction.
func (l *walFile) take(entries []walEntry, known Records) error {
	for _, e := range entries {
		l.newest[string(e.key)] = e.version
		if string(e.key) != known.Counters {
			continue
		}
		c, err := known.commit(e.value)
		if err != nil {
			return fmt.Errorf("%s: %w", l.path, err)
		}
		l.commits = append(l.commits, c)
	}
	return nil
}

// decodeEntry reads the entry at the start of data; false for zeros, a cut or a wrong checksum.
func decodeEntry(data []byte) (e walEntry, ok bool) {
	if len(data) < 2 {
		return e, false
	}
	at := 2
	var numbers [3]uint64 // key length, value length, expiry
	for i := range numbers {
		number, n := binary.Uvarint(data[at:])
		if n <= 0 {
			return e, false
		}
		numbers[i], at = number, at+n
	}
	keySize, valueSize := uint64(uint32(numbers[0])), uint64(uint32(numbers[1]))
	if keySize < 8 || keySize > walMaxKeyBytes || uint64(len(data)-at) < keySize+valueSize+crc32.Size {
		return e, false
	}
	value := at + int(keySize)
	end := value + int(valueSize)
	if crc32.Checksum(data[:end], y.CastagnoliCrcTable) != binary.BigEndian.Uint32(data[end:]) {
		return e, false
	}
	key := data[at:value]
	return walEntry{
		meta: data[0], key: y.ParseKey(key), version: y.ParseTs(key), value: data[value:end],
		size: end + crc32.Size,
	}, true
}
