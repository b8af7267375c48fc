package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// Kind says what a Record is of.
type Kind byte

// The kinds of records, and what their Data are. They are part of the format of backups: a letter is never given another
// meaning. Indexes are none: a driver derives them.
const (
	KindHeader     Kind = 'h' // JSON of a Header
	KindUser       Kind = 'u' // JSON of a UserRecord
	KindSecret     Kind = 'k' // the sealed bytes; Name is what they are bound to
	KindSession    Kind = 's' // JSON of a SessionRecord
	KindRevocation Kind = 'r' // JSON of a Revocation
	KindEvents     Kind = 'x' // JSON of UserEvents
	KindEpoch      Kind = 'e' // JSON of an EpochRecord
	KindDeletion   Kind = 'd' // JSON of a Deletion
)

// Kinds returns the kinds in the order in which a snapshot has them.
func Kinds() []Kind {
	return []Kind{KindHeader, KindUser, KindSecret, KindSession, KindRevocation, KindEvents, KindEpoch, KindDeletion}
}

// String is the plural, as reports name it.
func (k Kind) String() string {
	switch k {
	case KindHeader:
		return "headers"
	case KindUser:
		return "users"
	case KindSecret:
		return "secrets"
	case KindSession:
		return "sessions"
	case KindRevocation:
		return "revocations"
	case KindEvents:
		return "events"
	case KindEpoch:
		return "epochs"
	case KindDeletion:
		return "deletions"
	}
	return fmt.Sprintf("records %q", rune(k))
}

// Record is one record of a data set, in a form that no driver is part of.
type Record struct {
	Kind Kind
	Name string // of a secret
	Data []byte
}

// NewRecord returns the record of a value whose kind has JSON.
func NewRecord(kind Kind, value any) (Record, error) {
	data, err := EncodeJSON(value)
	return Record{Kind: kind, Data: data}, err
}

// MaxRecord bounds the data of a record, in bytes: above three columns of type TEXT, all of whose bytes JSON escapes as six.
const MaxRecord = 1280 << 10

// EncodeJSON is json.Marshal without the escapes for HTML, which make six bytes of one.
func EncodeJSON(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), err
}

// Decode reads the value of a record whose kind has JSON. An error is ErrDamaged.
func (r Record) Decode(into any) error {
	if err := json.Unmarshal(r.Data, into); err != nil {
		return fmt.Errorf("one of the %v: %w: %w", r.Kind, ErrDamaged, err)
	}
	return nil
}

// Header is what a data set has once. A snapshot begins with it.
type Header struct {
	StoreID     string    `json:"store_id"`
	KeyChecks   KeyChecks `json:"key_checks"`
	At          time.Time `json:"at"`          // when the snapshot was taken
	Users       uint64    `json:"users"`       // the next new user gets an id above it
	Revocations uint64    `json:"revocations"` // the Seq of the newest, which may be forgotten
	Horizon     Horizon   `json:"horizon"`
}

// WantKeys refuses a sealer that does not open the secrets of the source.
func (h Header) WantKeys(s *Sealer) error {
	return h.KeyChecks.Want(s, fmt.Sprintf("the secrets to load are sealed with the key whose check is %v, and the keys of this store have the checks %v; "+
		"make that key one of storage.encryption_key", h.KeyChecks, KeyChecks(s.Checks())))
}

// UserRecord is a user as it is stored. Of an erased one the id alone remains, so that it is never given again.
type UserRecord struct {
	User
	Erased bool `json:"erased,omitempty"`
}

// UserEvents are the events of a user that wait, the oldest first.
type UserEvents struct {
	UserID  int64   `json:"user_id"`
	Waiting []Event `json:"waiting"`
}

// EpochRecord is an epoch of tokens.
type EpochRecord struct {
	ID      string    `json:"id"`
	Until   time.Time `json:"until"`   // the last moment in which it can have issued a token
	Expires time.Time `json:"expires"` // when the last of its sessions is over, or later
}

const (
	maxLoad      = 500       // records that are loaded in one transaction
	maxLoadBytes = 256 << 10 // and their size
)

// Batch is records that wait to be loaded together: a bounded number of a bounded size.
type Batch struct {
	Records []Record
	size    int
}

// Add adds a record, whose Data must stay as they are, and reports whether it is time to load the batch.
func (b *Batch) Add(r Record) (full bool) {
	b.Records = append(b.Records, r)
	b.size += len(r.Data)
	return len(b.Records) >= maxLoad || b.size >= maxLoadBytes
}

// Clear empties the batch and keeps its memory.
func (b *Batch) Clear() { b.Records, b.size = b.Records[:0], 0 }

// loads cuts records into what one transaction takes.
func loads(records []Record, load func([]Record) error) error {
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && n < maxLoad && (n == 0 || size+len(records[n].Data) <= maxLoadBytes) {
			size += len(records[n].Data)
			n++
		}
		if err := load(records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}
