// Package storage says what wxgate remembers: users, their session_keys, sessions and revocations.
//
// It holds the nouns, the errors and the rules of a login; a driver (storage/badger) holds records and atomicity. Every
// method of a Store is atomic and safe for concurrent use, and a nil error from a write means that it survives the
// loss of the process. storagetest is the conformance suite that every driver passes unchanged.
package storage

import (
	"errors"
	"time"
)

// The errors of every driver; callers test them with errors.Is.
var (
	// ErrNotFound is a definite no: the record does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict is an import whose id or openid is somebody else's, or whose id was that of an erased user.
	ErrConflict = errors.New("conflicts with another user")
	// ErrUnavailable is a store that cannot answer or must not write now: the disk is full, closed or unreadable.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrDamaged is a record or a folder whose checksum, seal or completeness does not hold. It is never served.
	ErrDamaged = errors.New("storage damaged")
	// ErrWrongKey is an encryption key that is lost, unreadable or not the one of the data; the data themselves are well.
	ErrWrongKey = errors.New("wrong encryption key")
	// ErrLocked is a store that another process has open.
	ErrLocked = errors.New("storage is in use by another process")
	// ErrNewerSchema is a store written by a newer wxgate.
	ErrNewerSchema = errors.New("storage was written by a newer wxgate")
)

// sessionKeysKept is how many session_keys are remembered per user, newest first: out-of-order logins and two devices
// make an older one still needed for decryption.
const sessionKeysKept = 3

// User is one person in one mini-program. (AppID, OpenID) is unique, compared bytewise; ID is 1, 2, 3, … in the order
// of first logins, above every imported id, below 2^53, and never given twice, not even when the user is erased.
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
	// Native is a user who began with a login here and was never imported, so that no existing backend knows the id as
	// theirs. Users from before this was noted are not.
	Native bool `json:"native,omitempty"`
}

// Session is one login on one device.
type Session struct {
	ID              string    `json:"id"`                          // sid of its tokens
	UserID          int64     `json:"user_id"`                     // filled in by Login
	TokenID         string    `json:"token_id"`                    // jti of the token that is current
	PreviousTokenID string    `json:"previous_token_id,omitempty"` // jti that the last refresh replaced
	Device          string    `json:"device,omitempty"`            // User-Agent family
	CreatedAt       time.Time `json:"created_at"`
	RefreshedAt     time.Time `json:"refreshed_at"`    // when TokenID was issued
	Epoch           string    `json:"epoch,omitempty"` // in which it was; "" before there were any
	ExpiresAt       time.Time `json:"expires_at"`      // when the record may be forgotten
}

// SessionKey is a session_key of WeChat: the base64 text of 16 bytes. At rest it is sealed; it never leaves the gateway.
type SessionKey struct {
	Key string
	At  time.Time // when the login that brought it was begun
}

// Phone is a user's phone number as WeChat gives it. At rest it is sealed.
type Phone struct {
	Number      string `json:"phoneNumber"`     // with the country code outside of China
	PureNumber  string `json:"purePhoneNumber"` // without
	CountryCode string `json:"countryCode"`     // "86"
}

// Scope says what a Revocation names.
type Scope string

// The scopes of a Revocation and what its ID then is.
const (
	ScopeToken   Scope = "token"   // a jti
	ScopeSession Scope = "session" // a sid
	ScopeUser    Scope = "user"    // a user id in decimal
	ScopeForeign Scope = "foreign" // a user id in decimal, 0 for every user: tokens of an existing backend issued before From
)

// Revocation refuses a token, a session or a user from From until Until. The store deletes it once Until lies before
// its Horizon.
type Revocation struct {
	Seq   uint64    `json:"seq"` // order of commit, filled in by the driver; a reader follows from the last it saw
	Scope Scope     `json:"scope"`
	ID    string    `json:"id"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Before, unless zero, leaves the session be and refuses those of its tokens that were issued before it: a refresh
	// replaced them. Those that were issued at Spare or later are refused from From on, older ones at once. A session has
	// one such revocation, the newest.
	Before time.Time `json:"before,omitzero"`
	Spare  time.Time `json:"spare,omitzero"`
}

// SessionCursor is a place in the list of a user's sessions, which is ordered by CreatedAt and ID; the zero value is the
// place before the first.
type SessionCursor struct {
	CreatedAt time.Time // in whole milliseconds
	ID        string
}

// Cursor is the place of the session in the list of its user's.
func (s Session) Cursor() SessionCursor { return SessionCursor{CreatedAt: s.CreatedAt, ID: s.ID} }

// Login is what one successful exchange with WeChat brings to the store, written in one atomic step.
type Login struct {
	AppID      string
	OpenID     string
	UnionID    string     // may be empty; an empty one never clears a known one
	SessionKey SessionKey // joins the last sessionKeysKept of the user, ordered by At; an empty Key brings none
	// Change may change nickname, avatar and bio of the new or found user; an error of it leaves everything as it was.
	Change  func(*User) error
	Session Session // the session that begins; its UserID is filled in; without an ID none begins
	// MaxSessions, unless 0, lets the user's oldest sessions end until so many are left, the new one included; of more
	// than a few hundred too many, as many with each login.
	MaxSessions int
}

// LoginResult is what a Login led to.
type LoginResult struct {
	User    User
	Session Session
	Created bool         // the user is new
	Ended   []Revocation // of the sessions that MaxSessions ended, oldest first
}

// SessionResult is a session that BeginSession began or found.
type SessionResult struct {
	Session Session
	Ended   []Revocation // of the sessions that had to make room
}
