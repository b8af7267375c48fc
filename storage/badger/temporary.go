package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"wxgate/storage"
)

// endSize is the size of the end in front of a temporary value.
const endSize = 8

func temporaryKey(name string) string { return string(prefixTemporary) + name }

func endKey(end uint64, name string) string { return numbered(prefixEnd, end) + name }

// Temporary returns a value that has not ended by the clock of this process, the only one.
func (v *view) Temporary(name string) (value []byte, left time.Duration, err error) {
	value, end, err := v.temporary(name)
	if err != nil {
		return nil, 0, err
	}
	if left = time.UnixMilli(int64(end)).Sub(v.now).Truncate(time.Millisecond); left <= 0 {
		return nil, 0, storage.ErrNotFound
	}
	return value, left, nil
}

// temporary returns a value, also one that has ended, and its end in Unix milliseconds.
func (v *view) temporary(name string) (value []byte, end uint64, err error) {
	payload, err := v.get(temporaryKey(name))
	if err != nil {
		return nil, 0, err
	}
	if len(payload) < endSize {
		return nil, 0, fmt.Errorf("a temporary value of %d bytes: %w", len(payload), storage.ErrDamaged)
	}
	return payload[endSize:], binary.BigEndian.Uint64(payload), nil
}

// Temporaries returns the names of values that have not ended.
func (v *view) Temporaries(prefix string, limit int) (names []string, err error) {
	for _, key := range v.keys(temporaryKey(prefix), "") {
		name := key[1:]
		_, _, err := v.Temporary(name)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil || len(names) == limit {
			return names, err
		}
		names = append(names, name)
	}
	return names, nil
}

// PutTemporary records a value until life has passed from now.
func (v *view) PutTemporary(name string, value []byte, life time.Duration) error {
	if err := v.DropTemporary(name); err != nil {
		return err
	}
	end := uint64(v.now.Add(life).UnixMilli())
	if err := v.put(endKey(end, name), nil); err != nil {
		return err
	}
	return v.put(temporaryKey(name), append(binary.BigEndian.AppendUint64(nil, end), value...))
}

// DropTemporary deletes a value and its end.
func (v *view) DropTemporary(name string) error {
	_, end, err := v.temporary(name)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	v.delete(endKey(end, name))
	v.delete(temporaryKey(name))
	return nil
}

// forgetTemporary deletes some of the values that have ended, and reports whether there may be more.
func forgetTemporary(v *view) (more bool, err error) {
	now := uint64(v.now.UnixMilli())
	ends := v.firstKeys(string(prefixEnd), "", forgetMost)
	for _, key := range ends {
		end, err := numberOf([]byte(key[1:][:min(len(key)-1, endSize)]))
		if err != nil || end >= now {
			return false, err
		}
		v.delete(key)
		name := key[1+endSize:]
		if _, current, err := v.temporary(name); err == nil && current == end { // else it was put again
			v.delete(temporaryKey(name))
		} else if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return false, err
		}
	}
	return len(ends) == forgetMost, nil
}
