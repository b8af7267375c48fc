package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"wxgate/gateway/answer"
	"wxgate/input"
)

// maxBan is how long a ban without an end lasts. It stays below what authn can lift again.
const maxBan = 99 * 365 * 24 * time.Hour

// ban answers POST /api/users/{id}/ban: the user's tokens are refused from now on, and so are logins. The body is
// {"until": a time}, {"for": "72h"}, {} for a ban without an end, or {"until": null} to lift one.
func (a users) ban(r *http.Request, id int64) (any, error) {
	body, err := readObject(r, "until", "for")
	if err != nil {
		return nil, err
	}
	if len(body) == 1 && string(body["until"]) == "null" {
		return a.liftBan(r, id)
	}
	until, err := parseBan(body, a.now())
	if err != nil {
		return nil, err
	}
	if err := a.authn.Users.Ban(r.Context(), id, until); err != nil {
		return nil, err
	}
	return a.account(r.Context(), id)
}

// liftBan answers DELETE /api/users/{id}/ban; without a ban it changes nothing.
func (a users) liftBan(r *http.Request, id int64) (any, error) {
	if _, banned := a.authn.Users.Banned(id); banned {
		if err := a.authn.Users.Ban(r.Context(), id, time.Time{}); err != nil {
			return nil, err
		}
	}
	return a.account(r.Context(), id)
}

// parseBan returns when a ban ends. An end in the past is a mistake, not a way to lift a ban.
func parseBan(body map[string]json.RawMessage, now time.Time) (time.Time, error) {
	last := now.Add(maxBan)
	until, err := last, error(nil)
	switch {
	case len(body) == 2:
		return until, fmt.Errorf("%w: until and for are two ends; one is enough", answer.ErrInvalidRequest)
	case body["until"] != nil:
		until, err = parseText(body["until"], input.Time)
	case body["for"] != nil:
		var d time.Duration
		d, err = parseText(body["for"], input.Duration)
		until = now.Add(min(d, maxBan))
	}
	if err != nil {
		return until, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	if !until.After(now) {
		return until, fmt.Errorf("%w: the ban would end before it begins", answer.ErrInvalidRequest)
	}
	if until.After(last) {
		return last, nil
	}
	return until, nil
}

// parseText parses a JSON value that must be a string.
func parseText[T any](value json.RawMessage, parse func(string) (T, error)) (parsed T, err error) {
	var text *string
	if err := json.Unmarshal(value, &text); err != nil || text == nil {
		return parsed, fmt.Errorf("%s is no text between quotes", input.Quote(string(value)))
	}
	return parse(*text)
}
