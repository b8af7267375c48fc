package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"wxgate/gateway/answer"
	"wxgate/input"
	"wxgate/storage"
)

// The bounds of one answer with users.
const (
	mostAuthors      = 100
	mostUsersListed  = 1000
	usersListedUnset = 100
)

// author is a user as everybody may see them, beside what they wrote.
type author struct {
	ID             int64  `json:"id"`
	Nickname       string `json:"nickname"`
	Avatar         string `json:"avatar"`
	Bio            string `json:"bio"`
	RecipeCount    int64  `json:"recipe_count"`
	FollowerCount  int64  `json:"follower_count"`
	FollowingCount int64  `json:"following_count"`
	FavoriteCount  int64  `json:"favorite_count"`
	CreatedAt      string `json:"created_at"`
}

func authorOf(u storage.User) author {
	return author{
		u.ID, u.Nickname, u.Avatar, u.Bio, u.RecipeCount, u.FollowerCount, u.FollowingCount, u.FavoriteCount,
		answer.Timestamp(u.CreatedAt),
	}
}

// account is a user as the operator sees them.
type account struct {
	profile
	AppID       string  `json:"appid"`
	UnionID     string  `json:"unionid"`
	BannedUntil *string `json:"banned_until"` // null: not banned
}

func (a *admin) accountOf(u storage.User) account {
	seen := account{profile: profileOf(u), AppID: u.AppID, UnionID: u.UnionID}
	if until, banned := a.authn.Banned(u.ID); banned {
		text := answer.Timestamp(until)
		seen.BannedUntil = &text
	}
	return seen
}

// account reads one user.
func (a *admin) account(ctx context.Context, id int64) (any, error) {
	user, err := a.authn.Profile(ctx, id)
	if err != nil {
		return nil, err
	}
	return a.accountOf(user), nil
}

// showUser answers GET /api/users/{id}.
func (a *admin) showUser(r *http.Request, id int64) (any, error) { return a.account(r.Context(), id) }

// listUsers answers GET /api/users: with ids the authors of something, with an openid its account, else a page of
// accounts.
func (a *admin) listUsers(r *http.Request) (any, error) {
	query := r.URL.Query()
	switch {
	case query.Has("ids"):
		if err := aloneIn(query, "ids"); err != nil {
			return nil, err
		}
		return a.authors(r.Context(), query.Get("ids"))
	case query.Has("openid"), query.Has("appid"):
		if err := aloneIn(query, "openid", "appid"); err != nil {
			return nil, err
		}
		return a.byOpenID(r.Context(), query.Get("appid"), query.Get("openid"))
	}
	return a.accounts(r.Context(), query)
}

// byOpenID is a page with the user of an openid, or with nobody.
func (a *admin) byOpenID(ctx context.Context, appID, openID string) (any, error) {
	page := userPage{Users: []account{}}
	user, err := a.authn.UserByOpenID(ctx, appID, openID)
	if errors.Is(err, storage.ErrNotFound) {
		return page, nil
	}
	if err == nil {
		page.Users = append(page.Users, a.accountOf(user))
	}
	return page, err
}

// authors are the users with those ids, in that order; an unknown one is left out.
func (a *admin) authors(ctx context.Context, ids string) (any, error) {
	wanted, err := parseUserIDs(ids)
	if err != nil {
		return nil, err
	}
	found := make([]author, 0, len(wanted))
	for _, id := range wanted {
		user, err := a.authn.Profile(ctx, id)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		}
		found = append(found, authorOf(user))
	}
	return map[string]any{"users": found}, nil
}

// parseUserIDs reads ids with commas between them, each once.
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
		if len(ids) > mostAuthors {
			return nil, fmt.Errorf("%w: there are more than %d ids", answer.ErrInvalidRequest, mostAuthors)
		}
	}
	return ids, nil
}

// userPage is a part of the list of all users.
type userPage struct {
	Users []account `json:"users"`
	Next  *int64    `json:"next"` // what after must be for the next page; null: this is the last
}

// accounts are the users after an id, by id.
func (a *admin) accounts(ctx context.Context, query url.Values) (any, error) {
	after, err := parseCount(query, "after", 0, 0, 1<<53-1)
	if err != nil {
		return nil, err
	}
	limit, err := parseCount(query, "limit", usersListedUnset, 1, mostUsersListed)
	if err != nil {
		return nil, err
	}
	users, err := a.authn.Users.List(ctx, after, int(limit))
	if err != nil {
		return nil, err
	}
	page := userPage{Users: make([]account, 0, len(users))}
	for _, u := range users {
		page.Users = append(page.Users, a.accountOf(u))
	}
	if len(users) == int(limit) {
		page.Next = &users[len(users)-1].ID
	}
	return page, nil
}

func parseCount(query url.Values, name string, unset, least, most int64) (int64, error) {
	if !query.Has(name) {
		return unset, nil
	}
	n, err := input.Count(query.Get(name))
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%w: %s is not a number from %d to %d", answer.ErrInvalidRequest, name, least, most)
	}
	return n, nil
}

// eraseUser answers DELETE /api/users/{id}.
func (a *admin) eraseUser(r *http.Request, id int64) (any, error) {
	return map[string]int64{"id": id}, a.authn.Erase(r.Context(), id)
}
