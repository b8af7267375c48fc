package storage

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A temporary value has a name and an end, after which it is not found, and is forgotten: a lease, the outcome of a login,
// a message that was delivered. Ends are by the clock of the store, which all processes that have it open share, so that
// clocks of machines which differ do no harm. Whoever sets it forward ends values early, and so a value decides nothing
// that a repetition would break.
//
// What there may be at a time is bounded by its causes, which is why nothing that a stranger sends may be one: only what
// somebody has proved to be, as a code that WeChat has accepted or a message that WeChat has signed.

// The bounds of a temporary value.
const (
	maxTemporaryName = 128                // bytes
	maxTemporary     = 4 << 10            // bytes of a value
	maxTemporaryLife = 7 * 24 * time.Hour // from when it is put
)

// putTemporary records a value within the bounds.
func putTemporary(w Writer, name string, value []byte, life time.Duration) error {
	if name == "" || len(name) > maxTemporaryName || len(value) > maxTemporary || life < time.Millisecond || life > maxTemporaryLife {
		return fmt.Errorf("a temporary value with a name of %d bytes and %d bytes, for %v: at most %d, %d and %v are kept",
			len(name), len(value), life, maxTemporaryName, maxTemporary, maxTemporaryLife)
	}
	return w.PutTemporary(name, value, life)
}

// temporaryOrNil reads a temporary value; nil means that there is none.
func temporaryOrNil(r Reader, name string) ([]byte, error) {
	value, _, err := r.Temporary(name)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err == nil && value == nil {
		value = []byte{}
	}
	return value, err
}

// dropTemporary drops a value, which need not be there.
func dropTemporary(ctx context.Context, s *Store, name string) error {
	_, err := write(ctx, s, opChangeTemporary, func(w Writer) (struct{}, error) { return struct{}{}, w.DropTemporary(name) })
	return err
}
