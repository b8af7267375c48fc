package badger

import (
	"encoding/binary"
	"errors"
	"fmt"

	"wxgate/storage"
)

// counters is the one record that every commit rewrites. A number is taken inside the transaction that uses it, so it is
// dense and survives whatever happens; Commits tells a store that lost its last writes from one that is whole.
type counters struct {
	Commits     uint64 // transactions so far
	Users       uint64 // the highest id of a user, which the next one goes above
	Revocations uint64 // the Seq of the newest revocation
}

const countersSize = 3 * 8 // bytes

func (c counters) encode() []byte {
	payload := binary.BigEndian.AppendUint64(nil, c.Commits)
	payload = binary.BigEndian.AppendUint64(payload, c.Users)
	return binary.BigEndian.AppendUint64(payload, c.Revocations)
}

func decodeCounters(payload []byte) (counters, error) {
	if len(payload) != countersSize {
		return counters{}, fmt.Errorf("counters of %d bytes: %w", len(payload), storage.ErrDamaged)
	}
	number := func(i int) uint64 { return binary.BigEndian.Uint64(payload[8*i:]) }
	return counters{Commits: number(0), Users: number(1), Revocations: number(2)}, nil
}

// counters reads the counters; a store without any is new.
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

// count changes the counters and returns them changed.
func (v *view) count(change func(*counters)) (counters, error) {
	c, err := v.counters()
	if err != nil {
		return counters{}, err
	}
	change(&c)
	return c, v.put(keyCounters, c.encode(), 0)
}
