package storage

import (
	"context"
	"time"
)

// Driver stores the records of one data set and changes them atomically. It knows none of the rules of a login; those
// are in Store. Package storagetest checks drivers against this contract.
type Driver interface {
	dataSet
	retention
	records
	transactions
	Ready(ctx context.Context) error // nil while it accepts reads and writes, or ErrUnavailable
	Close() error                    // waits for writes in progress; later operations return ErrUnavailable
}

// transactions read and change the records.
type transactions interface {
	// Read runs find on the newest state.
	Read(ctx context.Context, find func(Reader) error) error
	// Write runs change in one transaction. If it returns nil, everything that was written survives a crash; if change
	// fails, nothing is written. change may run several times, of which the last counts. A caller whose context ends does
	// not wait, and its change may or may not be written.
	Write(ctx context.Context, change func(Writer) error) error
	// Shared reports whether other processes may read and change the records too while this one has them open.
	Shared() bool
}

// records are all records at once, of whatever kind, for backups and copies.
type records interface {
	// Snapshot yields every record of one moment, in the order of Kinds, while others write. It holds some hundred of
	// them at a time, and each may take its time. An error of each is returned as it is.
	Snapshot(ctx context.Context, each func(Record) error) error
	// Load writes records as they are, in one transaction: numbers stay, and new ones are above them. Records that are
	// there already change nothing. A user whose openid or id is another's is ErrConflict, and so is a user who was erased
	// and a revocation whose Seq another has. A header raises the counters and takes the horizon back, no more.
	Load(ctx context.Context, records []Record) error
}

// dataSet identifies the data and the process that has them open.
type dataSet interface {
	ID() string // random, made with the data
	// SetID replaces the id. It fails if another process has done so since the store was opened. Of those that have it open,
	// no Write has an effect from then on, and returns ErrReplaced, unless the id is the ServedID of theirs. If it is the mark
	// of a filling, that is for good: also if the data set gets the id again that they know. What they have committed is to be
	// seen when SetID returns.
	SetID(ctx context.Context, id string) error
	Epoch() string                                       // what tokens issued now carry
	EpochEnd(epoch string) (until time.Time, known bool) // of another epoch, or earlier, if memory has it; see Reader
	Sealer() *Sealer                                     // with the keys of the data
	// SealedAnew notes that the first key opens every secret, so that the others are not needed any more.
	SealedAnew(ctx context.Context) error
}

// retention deletes what is over by a Horizon: ended and expired sessions, revocations, epochs. Temporary values are over
// by the clock.
type retention interface {
	Forget(ctx context.Context) error // deletes some of it; Store calls it every minute
	Past() time.Time                  // whatever ended before it is forgotten
}

// Reader is one operation's view of the records. It is not safe for concurrent use.
type Reader interface {
	userReader
	sessionReader
	valueReader
	feedReader
	// EpochEnd is the last moment in which the epoch can have issued a token; zero: it is not one of this data set's.
	EpochEnd(epoch string) (time.Time, error)
	Now() time.Time
}

// userReader finds users. Erased ones are not found.
type userReader interface {
	deletionReader
	personReader
	User(id int64) (User, error)                     // or ErrNotFound
	UserByOpenID(appID, openID string) (User, error) // compared bytewise; or ErrNotFound
	Users(after int64, limit int) ([]User, error)    // with ids above after, by id
	censusReader
}

// censusReader tells about all users without reading every one.
type censusReader interface {
	AppIDs(limit int) ([]string, error) // of users, each once, in any order
	CountUsers() (int64, error)
}

// feedReader finds what others must be told: other gateways about revocations, services about users.
type feedReader interface {
	// Revocations returns at most limit of those with a Seq above after, in the order of their commit, and misses none.
	Revocations(after uint64, limit int) ([]Revocation, error)
	// Events returns what a service must still be told about a user, the oldest first, or ErrNotFound.
	Events(userID int64) ([]Event, error)
	UsersWithEvents(after int64, limit int) (ids []int64, err error) // with ids above after, by id
}

// sessionReader finds sessions.
type sessionReader interface {
	Session(id string) (SessionRecord, error) // ended or expired too; or ErrNotFound
	// SessionRefs returns the living sessions of the user behind after, at most limit of them, in the order of the list.
	SessionRefs(userID int64, after SessionCursor, limit int) ([]SessionRef, error)
}

// valueReader finds sealed records, and temporary values that have not ended. A name is some bytes, not only text.
type valueReader interface {
	Secret(name string) ([]byte, error)                          // or ErrNotFound
	Secrets(after string, limit int) (names []string, err error) // behind after, in the order of their bytes
	CountSecrets() (int64, error)                                // the names of Secrets
	// Temporary returns a value and for how long it will still be there, at least a millisecond, or ErrNotFound.
	Temporary(name string) (value []byte, left time.Duration, err error)
	// Temporaries returns at most limit names that begin with prefix, in the order of their bytes.
	Temporaries(prefix string, limit int) (names []string, err error)
}

// Writer is a Reader that sees what it has written.
type Writer interface {
	Reader
	userWriter
	batchWriter
	sessionWriter
	valueWriter
	revocationWriter
}

// personReader finds the accounts of one person.
type personReader interface {
	UsersByUnionID(unionID string) ([]User, error) // by id
	LinkedUsers(to int64) ([]User, error)          // whose LinkedTo it is, by id
}

// deletionReader finds users who are to be erased.
type deletionReader interface {
	Deletion(userID int64) (at time.Time, err error)      // or ErrNotFound
	Deletions(after int64, limit int) ([]Deletion, error) // of users with ids above after, by id
}

// revocationWriter changes revocations.
type revocationWriter interface {
	Revoke(r Revocation) (Revocation, error) // records it under the next Seq
	DropRevocation(seq uint64)
}

// userWriter changes users.
type userWriter interface {
	waitingWriter
	NextUserID() (int64, error)    // above every id that was given, imported or reserved
	ReserveUserIDs(to int64) error // NextUserID is above to from now on
	// AddUser records a user whose openid is free under its ID. ErrConflict is an id that was given before.
	AddUser(u User) error
	PutUser(old, changed User) error // of the same ID, AppID and OpenID
	EraseUser(u User) error          // leaves nothing but the id, which is never given again
}

// waitingWriter changes what waits: to be told about a user, or for the user to be erased.
type waitingWriter interface {
	PutEvents(userID int64, waiting []Event) error // none: there is nothing to tell
	PutDeletion(d Deletion) error
	DropDeletion(userID int64) error // of a user who is there; nothing of it may come back
}

// valueWriter changes sealed records and temporary values.
type valueWriter interface {
	PutSecret(name string, sealed []byte) error // nil leaves nothing of the content
	// PutTemporary records a value, which may be empty, in the place of the one of that name.
	PutTemporary(name string, value []byte, life time.Duration) error
	DropTemporary(name string) error // also one that is not there
}

// batchWriter takes many records with few questions to a server.
type batchWriter interface {
	// ExpectUsers says whose ids and openids are asked for next, and who may be added. It changes no answer: a driver may
	// read them at once, and write those that are added at once before the change ends.
	ExpectUsers(users []User) error
}

// sessionWriter changes sessions.
type sessionWriter interface {
	PutSession(r SessionRecord) error
	// SomeSessions returns living sessions of the user, in any order, and reports whether there may be more. It looks at
	// limit sessions at most, and so may return fewer.
	SomeSessions(userID int64, limit int) (ids []string, more bool, err error)
}

// SessionRecord is a session as it is stored. An ended session remains as a marker with ID, UserID and ExpiresAt until
// it expires: a lost deletion (as in Badger before 4.9.4) would bring the session back, a lost marker cannot.
type SessionRecord struct {
	Session
	Ended    bool   `json:"ended,omitempty"`
	Rotation uint64 `json:"rotation,omitempty"` // Seq of the revocation of its replaced tokens
}

// Marker is what is left of the session once it has ended.
func (s Session) Marker() SessionRecord {
	return SessionRecord{Session: Session{ID: s.ID, UserID: s.UserID, ExpiresAt: s.ExpiresAt}, Ended: true}
}

// lives reports whether the session has neither ended nor expired.
func (r SessionRecord) lives(now time.Time) bool { return !r.Ended && r.ExpiresAt.After(now) }

// SessionRef is a living session in the list of its user.
type SessionRef struct {
	SessionCursor
	ExpiresAt time.Time // in whole milliseconds
}
