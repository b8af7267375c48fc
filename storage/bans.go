package storage

import (
	"strconv"
	"time"
)

// Bans finds out of all revocations, in their order, who is banned: whoever's last word is a ban that lasts.
type Bans struct {
	last  map[string]Revocation // by user
	order []string              // of users
}

// Add looks at the next revocation.
func (b *Bans) Add(r Revocation) {
	if r.Scope != ScopeUser {
		return
	}
	if b.last == nil {
		b.last = map[string]Revocation{}
	}
	if _, known := b.last[r.ID]; !known {
		b.order = append(b.order, r.ID)
	}
	b.last[r.ID] = r
}

// At returns the ids of those who are banned at a time. exists reports whether a user does: an erased one is revoked as
// well.
func (b *Bans) At(now time.Time, exists func(id int64) (bool, error)) (banned []string, err error) {
	for _, id := range b.order {
		number, err := strconv.ParseInt(id, 10, 64)
		if r := b.last[id]; err != nil || !r.From.Before(r.Until) || !r.Until.After(now) {
			continue
		}
		isUser, err := exists(number)
		if err != nil {
			return nil, err
		}
		if isUser {
			banned = append(banned, id)
		}
	}
	return banned, nil
}

// ForeignLife is the longest life of a token of an existing backend.
const ForeignLife = 366 * 24 * time.Hour

// EndOfForeign refuses the tokens of an existing backend, which have no session to end, that were issued until a time.
func EndOfForeign(at time.Time) Revocation {
	from := Stamp(at)
	return Revocation{Scope: ScopeForeign, ID: "0", From: from, Until: from.Add(ForeignLife)}
}
