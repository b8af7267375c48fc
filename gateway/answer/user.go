package answer

import (
	"time"

	"wxgate/storage"
)

// timestampFormat is ISO 8601 in UTC with milliseconds, as JavaScript's toISOString writes it.
const timestampFormat = "2006-01-02T15:04:05.000Z"

func timestamp(t time.Time) string { return string(appendTimestamp(nil, t)) }

// appendTimestamp is AppendFormat with timestampFormat, in a third of the time: package time knows RFC 3339.
func appendTimestamp(b []byte, t time.Time) []byte {
	t = t.UTC()
	b = t.AppendFormat(b, time.RFC3339)
	ms := t.Nanosecond() / int(time.Millisecond)
	return append(b[:len(b)-1], '.', '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10), 'Z')
}

// Time is encoded in UTC with milliseconds, and decoded from RFC 3339.
type Time struct{ time.Time }

// MarshalJSON never fails.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"`+timestampFormat+`"`), nil
}

// User is a user as shown to themselves.
type User struct {
	ID             int64  `json:"id"`
	OpenID         string `json:"openid"`
	Nickname       string `json:"nickname"`
	Avatar         string `json:"avatar"`
	Bio            string `json:"bio"`
	RecipeCount    int64  `json:"recipe_count"`
	FollowerCount  int64  `json:"follower_count"`
	FollowingCount int64  `json:"following_count"`
	FavoriteCount  int64  `json:"favorite_count"`
	CreatedAt      Time   `json:"created_at"`
	UpdatedAt      Time   `json:"updated_at"`
}

// NewUser is the view of a stored user.
func NewUser(u storage.User) User {
	return User{
		u.ID, u.OpenID, u.Nickname, u.Avatar, u.Bio, u.RecipeCount, u.FollowerCount, u.FollowingCount, u.FavoriteCount,
		Time{u.CreatedAt},
		Time{u.UpdatedAt},
	}
}
