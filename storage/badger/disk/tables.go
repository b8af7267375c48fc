package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"github.com/dgraph-io/ristretto/v2/z"

	"wxgate/storage"
)

// tableFile is a table of Badger whose index and blocks hold their checksums.
type tableFile struct {
	*table.Table
}

// openTables opens and verifies the tables that the MANIFEST names, and those in the folder that it does not name. Of
// the latter a crash may leave halves; these are passed over.
func openTables(dir string, named map[uint64]badger.TableManifest) (tables, orphans []tableFile, err error) {
	for id, m := range named {
		t, err := openTable(table.NewFilename(id, dir), m.Compression)
		if err != nil {
			return tables, nil, fmt.Errorf("%w: %w", err, storage.ErrDamaged)
		}
		tables = append(tables, t)
	}
	paths, err := filesIn(dir, ".sst")
	for _, path := range paths {
		id, ok := table.ParseFileID(filepath.Base(path))
		if _, isNamed := named[id]; isNamed || !ok {
			continue
		}
		if t, err := openTable(path, options.None); err == nil {
			orphans = append(orphans, t)
		}
	}
	return tables, orphans, err
}

// openTable maps and verifies one table. It recovers on purpose without the text of the panic: Badger puts the whole
// index into it.
func openTable(path string, compression options.CompressionType) (t tableFile, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%s is damaged", path)
		}
	}()
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return tableFile{}, fmt.Errorf("%s is missing", path)
	}
	f, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return tableFile{}, err
	}
	if err := checkFooter(f.Data); err != nil {
		return tableFile{}, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close(-1))
	}
	opened, err := table.OpenTable(f, table.Options{ReadOnly: true, BlockSize: 4 << 10, Compression: compression})
	if err != nil {
		return tableFile{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := opened.VerifyChecksum(); err != nil {
		return tableFile{}, errors.Join(fmt.Errorf("%s: %w", path, err), opened.Close(-1))
	}
	return tableFile{opened}, nil
}

// checkFooter looks whether the lengths at the end of a table lie in it:
//
//	blocks | index | length of index (4 bytes) | checksum of index | length of checksum (4 bytes)
//
// Badger ends the process (log.Fatal) when they do not.
func checkFooter(data []byte) error {
	rest := data
	for range 2 {
		if len(rest) < 4 {
			return errors.New("it is truncated")
		}
		length := int(binary.BigEndian.Uint32(rest[len(rest)-4:]))
		rest = rest[:len(rest)-4]
		if length > len(rest) {
			return errors.New("it is truncated or damaged at its end")
		}
		rest = rest[:len(rest)-length]
	}
	return nil
}

func closeTables(lists ...[]tableFile) {
	for _, list := range lists {
		for _, t := range list {
			_ = t.Close(-1) // only read
		}
	}
}

// newest returns the newest version of key in the table, 0 for none, and its record.
func (t tableFile) newest(key []byte) (version uint64, record []byte) {
	if bytes.Compare(key, y.ParseKey(t.Smallest())) < 0 || bytes.Compare(key, y.ParseKey(t.Biggest())) > 0 {
		return 0, nil // most tables, most of the time
	}
	it := t.NewIterator(0)
	defer func() { _ = it.Close() }()
	it.Seek(y.KeyWithTs(key, math.MaxUint64))
	if !it.Valid() || string(y.ParseKey(it.Key())) != string(key) {
		return 0, nil
	}
	return y.ParseTs(it.Key()), it.ValueCopy().Value
}

// commit returns the newest commit that the table knows, zero for none.
func (t tableFile) commit(known Records) (Commit, error) {
	version, record := t.newest([]byte(known.Counters))
	if version == 0 {
		return Commit{}, nil
	}
	return known.commit(record)
}
