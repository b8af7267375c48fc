package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/input"
	"wxgate/storage"
)

// The bounds of one answer that lists users.
const (
	maxAuthors          = 100
	maxUsersPerPage     = 1000
	defaultUsersPerPage = 100
)

// users are the endpoints of users.
type users struct {
	authn *authn.Authn
	now   func() time.Time
}

// author is the public view of a user, shown next to what they wrote.
type author struct {
	ID             int64       `json:"id"`
	Nickname       string      `json:"nickname"`
	Avatar         string      `json:"avatar"`
	Bio            string      `json:"bio"`
	RecipeCount    int64       `json:"recipe_count"`
	FollowerCount  int64       `json:"follower_count"`
	FollowingCount int64       `json:"following_count"`
	FavoriteCount  int64       `json:"favorite_count"`
	CreatedAt      answer.Time `json:"created_at"`
}

func newAuthor(u storage.User) author {
	return author{
		u.ID, u.Nickname, u.Avatar, u.Bio, u.RecipeCount, u.FollowerCount, u.FollowingCount, u.FavoriteCount,
		answer.Time{Time: u.CreatedAt},
	}
}

// Account is a user as shown to the operator.
type Account struct {
	answer.User

	AppID       string       `json:"appid"`
	UnionID     string       `json:"unionid"`
	Link        string       `json:"link,omitempty"`       // pending, linked or unlinked: of an account of a person who has several
	LinkedTo    int64        `json:"linked_to,omitempty"`  // the user whose account it is, or is about to be
	Accounts    []int64      `json:"accounts,omitempty"`   // those of the user, or about to be; only of one user
	BannedUntil *answer.Time `json:"banned_until"`         // null: not banned
	DeletesAt   *answer.Time `json:"deletes_at,omitempty"` // when the user will be erased at their own request; only of one user
}

func (a users) newAccount(u storage.User) Account {
	account := Account{User: answer.NewUser(u), AppID: u.AppID, UnionID: u.UnionID, Link: string(u.Link), LinkedTo: u.LinkedTo}
	if until, banned := a.authn.Users.Banned(u.ID); banned {
		account.BannedUntil = &answer.Time{Time: until}
	}
	return account
}

// account reads one user.
func (a users) account(ctx context.Context, id int64) (any, error) {
	user, err := a.authn.Users.ByID(ctx, id)
	if err != nil {
		return nil, err
	}
	return a.wholeAccount(ctx, user)
}

// wholeAccount is that of one user, with what is read for it.
func (a users) wholeAccount(ctx context.Context, u storage.User) (Account, error) {
	account := a.newAccount(u)
	linked, err := a.authn.Users.Accounts(ctx, u.ID)
	if err != nil {
		return account, err
	}
	for _, other := range linked {
		account.Accounts = append(account.Accounts, other.ID)
	}
	at, err := a.authn.Deletions.Of(ctx, u.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return account, nil
	}
	account.DeletesAt = &answer.Time{Time: at}
	return account, err
}

// unlink answers DELETE /api/users/{id}/link.
func (a users) unlink(r *http.Request, id int64) (any, error) {
	if err := a.authn.Users.Unlink(r.Context(), id); err != nil {
		return nil, err
	}
	return a.account(r.Context(), id)
}

// show answers GET /api/users/{id}.
func (a users) show(r *http.Request, id int64) (any, error) { return a.account(r.Context(), id) }

// list answers GET /api/users: with ids as authors, with an openid its accounts, and otherwise a page of accounts.
func (a users) list(r *http.Request) (any, error) {
	query := r.URL.Query()
	switch {
	case query.Has("ids"):
		if err := checkExclusive(query, "ids"); err != nil {
			return nil, err
		}
		return a.authors(r.Context(), query.Get("ids"))
	case query.Has("openid"), query.Has("appid"):
		if err := checkExclusive(query, "openid", "appid"); err != nil {
			return nil, err
		}
		return a.byOpenID(r.Context(), query.Get("appid"), query.Get("openid"))
	}
	return a.accounts(r.Context(), query)
}

// maxNicknameSearched is longer than any nickname, in bytes.
const maxNicknameSearched = 256

// byOpenID is a page with the users of an openid, who are several only where mini-programs gave the same one.
func (a users) byOpenID(ctx context.Context, appID, openID string) (any, error) {
	page := UserPage{Users: []Account{}}
	found, err := a.authn.Users.ByOpenID(ctx, appID, openID)
	if err != nil {
		return page, err
	}
	for _, user := range found {
		account, err := a.wholeAccount(ctx, user)
		if err != nil {
			return page, err
		}
		page.Users = append(page.Users, account)
	}
	return page, nil
}

// authors are the users with those IDs, in that order; unknown ones are left out.
func (a users) authors(ctx context.Context, ids string) (any, error) {
	wanted, err := parseUserIDs(ids)
	if err != nil {
		return nil, err
	}
	found := make([]author, 0, len(wanted))
	for _, id := range wanted {
		user, err := a.authn.Users.ByID(ctx, id)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		}
		found = append(found, newAuthor(user))
	}
	return map[string]any{"users": found}, nil
}

// parseUserIDs parses IDs separated by commas, and drops duplicates.
func parseUserIDs(text string) ([]int64, error) {
	var ids []int64
	seen := map[int64]bool{}
	for part := range strings.SplitSeq(text, ",") {
		id, err := parseUserID(part)
		if err != nil {
			return nil, err
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
		if len(ids) > maxAuthors {
			return nil, fmt.Errorf("%w: there are more than %d ids", answer.ErrInvalidRequest, maxAuthors)
		}
	}
	return ids, nil
}

// UserPage is one page of the list of all users.
type UserPage struct {
	Users []Account `json:"users"`
	Next  *int64    `json:"next"` // the value of after for the next page; null: this is the last page
}

// accounts are the users after an ID, in order of their IDs: all of them, or those with a text in their nickname.
func (a users) accounts(ctx context.Context, query url.Values) (any, error) {
	after, err := input.QueryCount(query, "after", 0, 0, input.LargestID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	limit, err := input.QueryCount(query, "limit", defaultUsersPerPage, 1, maxUsersPerPage)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	var users []storage.User
	var next int64
	if query.Has("nickname") {
		users, next, err = a.byNickname(ctx, query.Get("nickname"), after, int(limit))
	} else if users, err = a.authn.Users.List(ctx, after, int(limit)); len(users) == int(limit) {
		next = users[len(users)-1].ID
	}
	if err != nil {
		return nil, err
	}
	page := UserPage{Users: make([]Account, 0, len(users))}
	for _, u := range users {
		page.Users = append(page.Users, a.newAccount(u))
	}
	if next != 0 {
		page.Next = &next
	}
	return page, nil
}

// byNickname is a page of those whose nickname holds a text.
func (a users) byNickname(ctx context.Context, text string, after int64, limit int) ([]storage.User, int64, error) {
	if text == "" || len(text) > maxNicknameSearched {
		return nil, 0, fmt.Errorf("%w: nickname is a text of 1 to %d bytes", answer.ErrInvalidRequest, maxNicknameSearched)
	}
	return a.authn.Users.ByNickname(ctx, text, after, limit)
}

// NextID is the id that the next new user gets, and the body that raises it.
type NextID struct {
	NextID int64 `json:"next_id"`
}

// reserveIDs answers POST /api/users/next-id.
func (a users) reserveIDs(r *http.Request) (any, error) {
	object, err := readObject(r, "next_id")
	if err != nil {
		return nil, err
	}
	var wanted NextID
	if err := json.Unmarshal(object["next_id"], &wanted.NextID); err != nil {
		return nil, fmt.Errorf("%w: next_id is not a whole number", answer.ErrInvalidRequest)
	}
	next, err := a.authn.Users.ReserveIDs(r.Context(), wanted.NextID)
	return NextID{next}, err
}

// UserCount is how many users there are.
type UserCount struct {
	Users int64 `json:"users"`
}

// count answers GET /api/users/count.
func (a users) count(r *http.Request) (any, error) {
	n, err := a.authn.Users.Count(r.Context())
	return UserCount{n}, err
}

// ResyncPage asks for one page of a resync.
type ResyncPage struct {
	After int64 `json:"after"`
	Limit int64 `json:"limit"`
}

// maxResync is how many users are told about within one request.
const maxResync = 200

// resync answers POST /api/users/resync: the service of authn.on_user is told about some users again.
func (a users) resync(r *http.Request) (any, error) {
	object, err := readObject(r, "after", "limit")
	if err != nil {
		return nil, err
	}
	page := ResyncPage{Limit: maxResync}
	for name, into := range map[string]*int64{"after": &page.After, "limit": &page.Limit} {
		if text, set := object[name]; set {
			if err := json.Unmarshal(text, into); err != nil {
				return nil, fmt.Errorf("%w: %s is not a whole number", answer.ErrInvalidRequest, name)
			}
		}
	}
	if page.After < 0 || page.Limit < 1 || page.Limit > maxResync {
		return nil, fmt.Errorf("%w: after is not negative, and limit is from 1 to %d", answer.ErrInvalidRequest, maxResync)
	}
	return a.authn.Users.TellAgain(r.Context(), page.After, int(page.Limit))
}

// untoldAfter is how long an event waits before it is worth a look.
const untoldAfter = 10 * time.Minute

// untold answers GET /api/users/untold: what the service of authn.on_user has not accepted for a while, 10m unless waiting
// says another time.
func (a users) untold(r *http.Request) (any, error) {
	query := r.URL.Query()
	after, err := input.QueryCount(query, "after", 0, 0, input.LargestID)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	since := untoldAfter
	if text := query.Get("waiting"); text != "" {
		if since, err = time.ParseDuration(text); err != nil || since < 0 {
			return nil, fmt.Errorf("%w: waiting is not a time span such as 10m", answer.ErrInvalidRequest)
		}
	}
	return a.authn.Users.Untold(r.Context(), after, since)
}

// erase answers DELETE /api/users/{id}.
func (a users) erase(r *http.Request, id int64) (any, error) {
	return map[string]int64{"id": id}, a.authn.Users.Erase(r.Context(), id)
}
