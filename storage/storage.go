// Package storage defines what wxgate stores: users, their session_keys, sessions and revocations.
//
// It contains the types, the errors and the rules of a login; a driver (storage/badger) stores records atomically.
// Every method of a Store is atomic and safe for concurrent use, and a write that returns nil survives a crash of the
// process. Package storagetest is the conformance suite for drivers.
package storage

import (
	"errors"
	"time"
)

// The errors of every driver; callers test them with errors.Is.
var (
	// ErrNotFound means that the record does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict refuses an import whose id or openid belongs to somebody else, or whose id belonged to an erased
	// user.
	ErrConflict = errors.New("conflicts with another user")
	// ErrNotEmpty refuses to fill a store that has data of its own.
	ErrNotEmpty = errors.New("nothing was written to it")
	// ErrUnavailable means that the store cannot answer or must not write now: the disk is full or unreadable, or the
	// store is closed.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrDamaged is a record or folder that is incomplete, or whose checksum or seal is wrong. It is never served.
	ErrDamaged = errors.New("storage damaged")
	// ErrWrongKey means that the encryption key is missing, unreadable or not that of the data; the data themselves are
	// intact.
	ErrWrongKey = errors.New("wrong encryption key")
	// ErrLocked means that another process has the store open.
	ErrLocked = errors.New("storage is in use by another process")
	// ErrNewerSchema means that the store was written by a newer wxgate.
	ErrNewerSchema = errors.New("storage was written by a newer wxgate")
)

// sessionKeysKept is how many session_keys are remembered per user, newest first: out-of-order logins and two devices
// make an older one still needed for decryption.
const sessionKeysKept = 3

// User is one person in one mini-program. (AppID, OpenID) is unique, compared bytewise. IDs are 1, 2, 3, … in the order
// of first logins, above every imported and every reserved id and below 2^53, and are never reused, not even after the
// user was erased.
type User struct {
	ID             int64     `json:"id"`
	AppID          string    `json:"appid"`
	OpenID         string    `json:"openid"`
	UnionID        string    `json:"unionid,omitempty"`
	Nickname       string    `json:"nickname,omitempty"`
	Avatar         string    `json:"avatar,omitempty"`
	Bio            string    `json:"bio,omitempty"`
	RecipeCount    int64     `json:"recipe_count,omitempty"`
	FollowerCount  int64     `json:"follower_count,omitempty"`
	FollowingCount int64     `json:"following_count,omitempty"`
	FavoriteCount  int64     `json:"favorite_count,omitempty"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
	// Native marks a user who first logged in here and was never imported, so that no existing backend knows the id.
	// Users from before this was recorded are not native.
	Native bool `json:"native,omitempty"`
	// UnionIDProved says that WeChat gave the UnionID, at a login here. An import does not.
	UnionIDProved bool      `json:"unionid_proved,omitempty"`
	Link          LinkState `json:"link,omitempty"`
	LinkedTo      int64     `json:"linked_to,omitempty"` // the older account of the same person; 0 unless Link is pending or complete
}

// Session is one login on one device.
type Session struct {
	ID              string    `json:"id"`                          // sid of its tokens
	UserID          int64     `json:"user_id"`                     // filled in by Login
	Account         int64     `json:"account,omitempty"`           // through which it began, unless it is that of UserID itself; likewise
	TokenID         string    `json:"token_id"`                    // jti of the token that is current
	PreviousTokenID string    `json:"previous_token_id,omitempty"` // jti that the last refresh replaced
	Device          string    `json:"device,omitempty"`            // User-Agent family
	CreatedAt       time.Time `json:"created_at"`
	RefreshedAt     time.Time `json:"refreshed_at"`    // when TokenID was issued
	Epoch           string    `json:"epoch,omitempty"` // in which it was; "" before there were any
	ExpiresAt       time.Time `json:"expires_at"`      // when the record may be forgotten
}

// SessionKey is a session_key of WeChat: 16 bytes as base64 text. It is sealed at rest and never leaves the gateway.
type SessionKey struct {
	Key string
	At  time.Time // when the login that yielded it started
}

// Phone is a user's phone number as WeChat returns it. It is sealed at rest.
type Phone struct {
	Number      string `json:"phoneNumber"`     // with the country code outside of China
	PureNumber  string `json:"purePhoneNumber"` // without
	CountryCode string `json:"countryCode"`     // "86"
}

// Scope is the kind of thing that a Revocation refuses.
type Scope string

// The scopes of a Revocation, and the meaning of its ID.
const (
	ScopeToken   Scope = "token"   // a jti
	ScopeSession Scope = "session" // a sid
	ScopeUser    Scope = "user"    // a user id in decimal
	ScopeForeign Scope = "foreign" // a user id in decimal, or 0 for all users: imported tokens issued before From
)

// Revocation refuses a token, a session or a user from From until Until. The store deletes it once Until lies before
// its Horizon.
type Revocation struct {
	Seq   uint64    `json:"seq"` // in the order of commits, set by the driver; a reader continues from the last it saw
	Scope Scope     `json:"scope"`
	ID    string    `json:"id"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Before, unless zero, refuses only the tokens of the session that were issued earlier, because a refresh replaced
	// them: those issued at Spare or later from From on, older ones at once. A session has one such revocation, the
	// newest.
	Before time.Time `json:"before,omitzero"`
	Spare  time.Time `json:"spare,omitzero"`
}

// SessionCursor is a position in the list of a user's sessions, which is ordered by CreatedAt and ID; the zero value is
// before the first.
type SessionCursor struct {
	CreatedAt time.Time // in whole milliseconds
	ID        string
}

// Cursor returns the position of the session in the list of its user's sessions.
func (s Session) Cursor() SessionCursor { return SessionCursor{CreatedAt: s.CreatedAt, ID: s.ID} }

// Login is the result of a successful exchange with WeChat, which is written atomically.
type Login struct {
	AppID      string
	OpenID     string
	UnionID    string     // may be empty; an empty one never clears a known one
	SessionKey SessionKey // joins the user's last three, ordered by At; an empty Key is none
	FirstID    int64      // a new user gets this id or a higher one
	// Change may change nickname, avatar and bio of the new or found user; if it fails, nothing is written.
	Change func(*User) error
	// Refuse is asked about everybody whose login this is: the account, and the user that it is linked to or would be. If it
	// fails, nothing is written. May be nil.
	Refuse  func(userID int64) error
	Link    *Linking // links the accounts of the person; nil: none
	Session Session  // the session to start; its UserID is set; without an ID none starts
	// MaxSessions, unless 0, ends the user's oldest sessions until that many are left, the new one included. If there
	// are more than a few hundred too many, each login ends some.
	MaxSessions int
	// TakeBack drops a Deletion of the user that waits, if a session starts.
	TakeBack bool
	// Hold starts no session while a service must still be told about the first login of the user.
	Hold bool
	// Outcome lets others find what the login yielded, with LoginOf. A login that is held has none.
	Outcome Outcome
}

// Outcome is the name of what a login yields, and for how long it is known. Without a name nothing is noted.
type Outcome struct {
	Name string // at most 100 bytes
	Life time.Duration
}

// LoginResult is the result of a Login.
type LoginResult struct {
	User     User // with openid and unionid of the account
	Account  int64
	Session  Session
	Created  bool         // the user is new: no login of theirs has succeeded before
	TookBack bool         // a Deletion of the user waited
	Held     bool         // no session started: see Login.Hold
	Linking  bool         // Held, because the account has just begun to wait for the service to be linked; the next login is not
	Ended    []Revocation // of sessions: those of accounts that were linked, and those that MaxSessions ended, oldest first
}

// SessionResult is a session that BeginSession started or found.
type SessionResult struct {
	Session Session
	Ended   []Revocation // of the sessions that ended to make room
}
