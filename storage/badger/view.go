package badger

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"wxgate/storage"
)

// view is what one operation sees: the database as of now and, for a write, what it and earlier operations of the same
// batch have put. A put stays in memory until the batch is committed.
type view struct {
	log     *slog.Logger
	txn     *badger.Txn
	now     time.Time
	epoch   string             // of this process
	horizon storage.Horizon    // what a commit notes
	issued  int64              // the newest time of a token, in Unix milliseconds
	batch   map[string]pending // of the operations before this one
	op      map[string]pending // of this one
	noteKey func() error       // before a secret is put
	size    int                // bytes put into batch
}

// pending is a record that waits for its commit.
type pending struct {
	payload []byte
	gone    bool // the entry is deleted
}

// attempt runs one operation. What it put joins the batch, unless it returns an error or panics.
func (v *view) attempt(run func(*view) error) (err error) {
	v.op = map[string]pending{}
	defer recoverDamage(v.log, &err)
	if err := run(v); err != nil {
		return err
	}
	for key, p := range v.op {
		v.batch[key] = p
		v.size += len(key) + len(p.payload)
	}
	return nil
}

// Now is when the operation began.
func (v *view) Now() time.Time { return v.now }

// Secret returns a sealed record; its name is its key.
func (v *view) Secret(name string) ([]byte, error) { return v.get(name) }

// secretKinds are the prefixes of sealed records, in their order.
func secretKinds() []string {
	return []string{string(prefixRing), string(prefixPhone), string(prefixServer)}
}

// Secrets returns the keys of sealed records.
func (v *view) Secrets(after string, limit int) (names []string, err error) {
	for _, kind := range secretKinds() {
		from := ""
		if strings.HasPrefix(after, kind) {
			from = after + "\x00"
		}
		if kind >= after[:min(len(after), 1)] {
			names = append(names, v.firstKeys(kind, from, limit-len(names))...)
		}
	}
	return names, nil
}

// CountSecrets counts the keys of sealed records.
func (v *view) CountSecrets() (n int64, err error) {
	for _, kind := range secretKinds() {
		n += v.countKeys(kind)
	}
	return n, nil
}

// PutSecret records a sealed record.
func (v *view) PutSecret(name string, sealed []byte) error {
	if err := v.noteKey(); err != nil {
		return err
	}
	return v.put(name, sealed)
}

// get returns the payload of the record, ErrNotFound or ErrDamaged.
func (v *view) get(key string) ([]byte, error) {
	if p, ok := v.pending(key); ok {
		if p.gone {
			return nil, storage.ErrNotFound
		}
		return p.payload, nil
	}
	onDisk := []byte(key)
	item, err := v.txn.Get(onDisk)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, storage.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("reading: %w: %w", storage.ErrUnavailable, err)
	}
	record, err := item.ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("reading: %w: %w", storage.ErrDamaged, err)
	}
	return unwrap(onDisk, record)
}

func (v *view) pending(key string) (p pending, ok bool) {
	if p, ok = v.op[key]; !ok {
		p, ok = v.batch[key]
	}
	return p, ok
}

// delete removes an entry of an index, or a record that is over or superseded: a table that a kill left behind may hold
// what was deleted without the deletion, and what comes back so must do no harm. See disk/orphans.go. An ended session or an
// erased user becomes a marker instead.
func (v *view) delete(key string) { v.op[key] = pending{gone: true} }

// put records payload under key. Nothing has a TTL of Badger's: its clock is the wall's.
func (v *view) put(key string, payload []byte) error {
	if len(key) > maxKeySize {
		return fmt.Errorf("a key of %d bytes, at most %d are kept", len(key), maxKeySize)
	}
	if len(payload) > maxPayloadSize {
		return fmt.Errorf("a record of %d bytes, at most %d are kept", len(payload), maxPayloadSize)
	}
	v.op[key] = pending{payload: payload}
	return nil
}

// getJSON reads a record into into.
func (v *view) getJSON(key string, into any) error {
	payload, err := v.get(key)
	if err != nil {
		return err
	}
	return decodeJSON([]byte(key), payload, into)
}

// decodeJSON reads what the record of a key holds.
func decodeJSON(key, payload []byte, into any) error {
	if err := json.Unmarshal(payload, into); err != nil {
		return fmt.Errorf("a record %q: %w: %w", key[:1], storage.ErrDamaged, err)
	}
	return nil
}

// putJSON is put of the JSON of value.
func (v *view) putJSON(key string, value any) error {
	payload, err := storage.EncodeJSON(value)
	if err != nil {
		return err
	}
	return v.put(key, payload)
}

// keys lists the keys that begin with prefix, in order, from the key from on.
func (v *view) keys(prefix, from string) []string { return v.firstKeys(prefix, from, math.MaxInt) }

// firstKeys is the first of keys, at most so many.
func (v *view) firstKeys(prefix, from string, most int) []string {
	from = max(prefix, from)
	changed := v.changed(prefix, from)
	found := map[string]bool{}
	it := v.txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
	defer it.Close()
	for it.Seek([]byte(from)); it.Valid() && len(found) < most; it.Next() {
		if key := string(it.Item().Key()); !isFalse(changed, key) {
			found[key] = true
		}
	}
	maps.Copy(found, changed)
	maps.DeleteFunc(found, func(_ string, there bool) bool { return !there })
	keys := slices.Sorted(maps.Keys(found))
	return keys[:min(most, len(keys))]
}

// countKeys counts the keys with a prefix, of which it reads no value.
func (v *view) countKeys(prefix string) (n int64) {
	changed := v.changed(prefix, prefix)
	it := v.txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
	defer it.Close()
	for it.Seek([]byte(prefix)); it.Valid(); it.Next() {
		if _, waits := changed[string(it.Item().Key())]; !waits {
			n++
		}
	}
	for _, there := range changed {
		if there {
			n++
		}
	}
	return n
}

// changed returns which keys with that prefix, from the key from on, wait for their commit; false: to be deleted.
func (v *view) changed(prefix, from string) map[string]bool {
	changed := map[string]bool{}
	for _, changes := range []map[string]pending{v.batch, v.op} {
		for key, p := range changes {
			if strings.HasPrefix(key, prefix) && key >= from {
				changed[key] = !p.gone
			}
		}
	}
	return changed
}

// payloads iterates over the records whose keys begin with prefix, from the key from on, in order. Those that wait for
// their commit come last: it is for keys that grow. A payload is valid until the next; an error is the last that comes.
func (v *view) payloads(prefix, from string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		changed := v.changed(prefix, from)
		it := v.txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
		defer it.Close()
		for it.Seek([]byte(from)); it.Valid(); it.Next() {
			if _, waits := changed[string(it.Item().Key())]; waits {
				continue
			}
			if payload, err := payloadOf(it.Item()); !yield(payload, err) || err != nil {
				return
			}
		}
		for _, key := range slices.Sorted(maps.Keys(changed)) {
			if p, _ := v.pending(key); !p.gone && !yield(p.payload, nil) {
				return
			}
		}
	}
}

// payloadOf returns what a record holds, or ErrDamaged. It is valid until the iterator of the item goes on.
func payloadOf(item *badger.Item) (payload []byte, err error) {
	err = item.Value(func(record []byte) (err error) {
		payload, err = unwrap(item.Key(), record)
		return err
	})
	if err != nil && !errors.Is(err, storage.ErrDamaged) && !errors.Is(err, storage.ErrNewerSchema) {
		err = fmt.Errorf("reading: %w: %w", storage.ErrDamaged, err)
	}
	return payload, err
}

func isFalse(m map[string]bool, key string) bool {
	value, known := m[key]
	return known && !value
}

// numbers iterates over the committed keys prefix<number> from from on, reading only what is asked for.
func (v *view) numbers(prefix byte, from uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		it := v.txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefix}})
		defer it.Close()
		for it.Seek([]byte(numbered(prefix, from))); it.Valid(); it.Next() {
			if number, err := numberOf(it.Item().Key()[1:]); err == nil && !yield(number) {
				return
			}
		}
	}
}

// counters reads the counters; a new store has none.
func (v *view) counters() (counters, error) {
	payload, err := v.get(keyCounters)
	if errors.Is(err, storage.ErrNotFound) {
		return counters{}, nil
	}
	if err != nil {
		return counters{}, err
	}
	return decodeCounters(payload)
}

// count changes the counters and returns the result.
func (v *view) count(change func(*counters)) (counters, error) {
	c, err := v.counters()
	if err != nil {
		return counters{}, err
	}
	change(&c)
	return c, v.put(keyCounters, c.encode())
}

// flush commits what the operations put, together with the counters.
func (v *view) flush() (reached counters, err error) {
	if len(v.batch) == 0 {
		return counters{}, nil
	}
	err = v.attempt(func(v *view) error {
		if reached, err = v.counters(); err != nil {
			return err
		}
		if err := v.endEpoch(time.UnixMilli(reached.Latest)); err != nil {
			return err
		}
		reached, err = v.count(func(c *counters) { c.stamp(max(v.now.UnixMilli(), v.issued), v.horizon) })
		return err
	})
	if err != nil {
		return counters{}, err
	}
	for key, p := range v.batch {
		if p.gone {
			if err := v.txn.Delete([]byte(key)); err != nil {
				return counters{}, err
			}
			continue
		}
		if err := v.txn.Set([]byte(key), wrap(key, p.payload)); err != nil {
			return counters{}, err
		}
	}
	return reached, v.txn.Commit()
}
