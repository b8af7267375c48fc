package admin

import (
	"encoding/json"
	"fmt"
	"net/http"

	"wxgate/authn"
	"wxgate/gateway/answer"
)

// addCounters answers POST /api/users/{id}/counters: a service reports what a user did, and the profile shows it.
func (a users) addCounters(r *http.Request, id int64) (any, error) {
	body, err := readObject(r, "recipe_count", "follower_count", "following_count", "favorite_count")
	if err != nil {
		return nil, err
	}
	add, err := parseCounters(body)
	if err != nil {
		return nil, err
	}
	user, err := a.authn.Users.AddCounters(r.Context(), id, add)
	if err != nil {
		return nil, err
	}
	return newAuthor(user), nil
}

// parseCounters is strict: nobody would notice an increment that is ignored or rounded.
func parseCounters(body map[string]json.RawMessage) (add authn.Counters, err error) {
	if len(body) == 0 {
		return add, fmt.Errorf("%w: there is no counter to change", answer.ErrInvalidRequest)
	}
	fields := map[string]*int64{
		"recipe_count": &add.Recipes, "follower_count": &add.Followers,
		"following_count": &add.Following, "favorite_count": &add.Favorites,
	}
	for name, value := range body {
		if err := json.Unmarshal(value, fields[name]); err != nil || string(value) == "null" {
			return add, fmt.Errorf("%w: %s is not an integer", answer.ErrInvalidRequest, name)
		}
	}
	return add, nil
}
