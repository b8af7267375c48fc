package badger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"wxgate/storage"
)

// device is a session as the index of its user knows it: enough to order and to bound sessions without reading them.
type device struct {
	id      string
	created int64 // Unix milliseconds
	expires int64
}

const deviceSize = 2 * 8 // bytes

func (d device) encode() []byte {
	payload := binary.BigEndian.AppendUint64(nil, uint64(d.created))
	return binary.BigEndian.AppendUint64(payload, uint64(d.expires))
}

func decodeDevice(id string, payload []byte) (device, error) {
	if len(payload) != deviceSize {
		return device{}, fmt.Errorf("an index entry of %d bytes: %w", len(payload), storage.ErrDamaged)
	}
	return device{
		id: id, created: int64(binary.BigEndian.Uint64(payload)), expires: int64(binary.BigEndian.Uint64(payload[8:])),
	}, nil
}

func deviceOf(s storage.Session) device {
	return device{id: s.ID, created: s.CreatedAt.UnixMilli(), expires: s.ExpiresAt.UnixMilli()}
}

func putDevice(v *view, s storage.Session) error {
	return v.put(deviceKey(s.UserID, s.ID), deviceOf(s).encode())
}

func (d device) lives(now time.Time) bool { return d.expires > now.UnixMilli() }

// compare orders as lists do: by age, then by id.
func (d device) compare(other device) int {
	return cmp.Or(cmp.Compare(d.created, other.created), cmp.Compare(d.id, other.id))
}

// readDevice reads one entry of the index of a user.
func readDevice(v *view, userID int64, key string) (device, error) {
	payload, err := v.get(key)
	if err != nil {
		return device{}, err
	}
	return decodeDevice(key[len(devicePrefix(userID)):], payload)
}

// oldestDevices returns the oldest living sessions of the user behind after, at most so many, oldest first. It holds no
// more of them at a time, however many there are.
func oldestDevices(v *view, userID int64, after device, most int) ([]device, error) {
	var oldest []device
	for _, key := range v.keys(devicePrefix(userID), "") {
		d, err := readDevice(v, userID, key)
		if err != nil {
			return nil, err
		}
		if !d.lives(v.now) || d.compare(after) <= 0 || len(oldest) >= most && d.compare(oldest[len(oldest)-1]) > 0 {
			continue
		}
		place, _ := slices.BinarySearchFunc(oldest, d, device.compare)
		oldest = slices.Insert(oldest, place, d)
		oldest = oldest[:min(len(oldest), most)]
	}
	return oldest, nil
}

// sessionsOf reads a page of the living sessions of the user.
func sessionsOf(v *view, userID int64, after storage.SessionCursor, limit int) ([]storage.Session, error) {
	page, err := oldestDevices(v, userID, behind(after), limit)
	if err != nil {
		return nil, err
	}
	var living []storage.Session
	for _, d := range page {
		found, err := session(v, d.id)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		living = append(living, found)
	}
	return living, nil
}

// behind is the place of a cursor in the order of the index.
func behind(after storage.SessionCursor) device {
	if after == (storage.SessionCursor{}) {
		return device{created: -1 << 63}
	}
	return device{id: after.ID, created: after.CreatedAt.UnixMilli()}
}
