package badger

import (
	"encoding/binary"
	"fmt"
	"time"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

// counters is the one record that every commit rewrites. Numbers are assigned inside the transaction that uses them, so
// they have no gaps and survive any failure; Commits tells a store that has lost its last writes from a complete one.
type counters struct {
	Commits     uint64 // transactions so far
	Users       uint64 // the highest id of a user, which the next one goes above
	Revocations uint64 // the Seq of the newest revocation
	Epochs      uint64 // the number of the newest epoch
	Latest      int64  // when the newest epoch last committed, in Unix milliseconds: its high-water time
	Believed    int64  // the horizon: At in Unix milliseconds, 0 for none; Lead and Doubt in milliseconds
	Lead        int64
	Doubt       int64
}

const (
	countersSize  = 8 * 8 // bytes
	countersSize1 = 3 * 8 // of schema 1, whose tables a store keeps for as long as compaction does
)

func (c counters) encode() []byte {
	payload := make([]byte, 0, countersSize)
	for _, n := range []uint64{c.Commits, c.Users, c.Revocations, c.Epochs} {
		payload = binary.BigEndian.AppendUint64(payload, n)
	}
	for _, n := range []int64{c.Latest, c.Believed, c.Lead, c.Doubt} {
		payload = binary.BigEndian.AppendUint64(payload, uint64(n))
	}
	return payload
}

func decodeCounters(payload []byte) (counters, error) {
	if len(payload) != countersSize && len(payload) != countersSize1 {
		return counters{}, fmt.Errorf("counters of %d bytes: %w", len(payload), storage.ErrDamaged)
	}
	whole := make([]byte, countersSize)
	copy(whole, payload)
	number := func(i int) uint64 { return binary.BigEndian.Uint64(whole[8*i:]) }
	return counters{
		Commits: number(0), Users: number(1), Revocations: number(2), Epochs: number(3),
		Latest: int64(number(4)), Believed: int64(number(5)), Lead: int64(number(6)), Doubt: int64(number(7)),
	}, nil
}

// horizon is the horizon as it was at the newest commit; one that was never noted begins now.
func (c counters) horizon(now time.Time) storage.Horizon {
	if c.Believed == 0 {
		return storage.Horizon{At: now}
	}
	return storage.Horizon{
		At: time.UnixMilli(c.Believed), Lead: time.Duration(c.Lead) * time.Millisecond,
		Doubt: time.Duration(c.Doubt) * time.Millisecond,
	}
}

// stamp notes a commit, its time in Unix milliseconds and the horizon.
func (c *counters) stamp(now int64, h storage.Horizon) {
	c.Commits++
	c.Latest = max(c.Latest, now)
	c.Believed, c.Lead, c.Doubt = h.At.UnixMilli(), h.Lead.Milliseconds(), h.Doubt.Milliseconds()
}

// ourRecords is what an inspection of Badger's files has to know about our records.
func ourRecords() disk.Records {
	return disk.Records{
		Counters:  keyCounters,
		Commits:   func(record []byte) (uint64, error) { c, err := countersOf(record); return c.Commits, err },
		Deletable: isDeletable,
	}
}

// countersOf takes the counters out of their record.
func countersOf(record []byte) (counters, error) {
	payload, err := unwrap([]byte(keyCounters), record)
	if err != nil {
		return counters{}, err
	}
	return decodeCounters(payload)
}

// raise records the counters in the high-water mark.
func (c counters) raise(mark *disk.HighWater) {
	if c.Commits > 0 {
		mark.Raise(c.encode())
	}
}
