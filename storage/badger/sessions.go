package badger

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"wxgate/storage"
)

// Session reads a session, also one that ended or expired.
func (v *view) Session(id string) (record storage.SessionRecord, err error) {
	err = v.getJSON(sessionKey(id), &record)
	return record, err
}

// PutSession records the session, and its place among those of its user. One that lives may have a token, so the epoch
// that issues it is on the disk with it.
func (v *view) PutSession(record storage.SessionRecord) error {
	if err := v.putJSON(sessionKey(record.ID), record); err != nil {
		return err
	}
	if record.Ended {
		if record.UserID != 0 {
			v.delete(deviceKey(record.UserID, record.ID))
		}
		return nil
	}
	v.issued = max(v.issued, record.RefreshedAt.UnixMilli()) // its iat, should the clock have been set back since
	if err := v.noteEpoch(record.ExpiresAt); err != nil {
		return err
	}
	return v.put(deviceKey(record.UserID, record.ID), deviceOf(record.Session).encode())
}

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

// SessionRefs returns the living sessions of the user behind after, at most limit of them, oldest first.
func (v *view) SessionRefs(userID int64, after storage.SessionCursor, limit int) ([]storage.SessionRef, error) {
	oldest, err := oldestDevices(v, userID, behind(after), limit)
	refs := make([]storage.SessionRef, 0, len(oldest))
	for _, d := range oldest {
		refs = append(refs, storage.SessionRef{
			SessionCursor: storage.SessionCursor{CreatedAt: time.UnixMilli(d.created).UTC(), ID: d.id},
			ExpiresAt:     time.UnixMilli(d.expires).UTC(),
		})
	}
	return refs, err
}

// SomeSessions returns the living ones of the first limit sessions in the index of the user, and tidies it. What it reads is
// bounded by what it returns.
func (v *view) SomeSessions(userID int64, limit int) (ids []string, more bool, err error) {
	keys := v.firstKeys(devicePrefix(userID), "", limit)
	for _, key := range keys {
		d, err := readDevice(v, userID, key)
		if err != nil {
			return nil, false, err
		}
		if !d.lives(v.now) {
			v.delete(key) // its record stays until it is forgotten
			continue
		}
		ids = append(ids, d.id)
	}
	return ids, len(keys) == limit, nil
}

// behind is the place of a cursor in the order of the index.
func behind(after storage.SessionCursor) device {
	if after == (storage.SessionCursor{}) {
		return device{created: -1 << 63}
	}
	return device{id: after.ID, created: after.CreatedAt.UnixMilli()}
}
