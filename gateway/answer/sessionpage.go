package answer

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/input"
	"wxgate/storage"
)

// The bounds of a page of sessions. authn.sessions.max_per_user is 50 by default, so one page is enough.
const (
	maxSessionsPerPage     = 100
	defaultSessionsPerPage = 50
)

// SessionPage is one page of the list of a user's sessions.
type SessionPage struct {
	Sessions []storage.Session
	Limit    int
	Next     string // the value of after for the next page; empty: this is the last page
}

// ListSessions reads the page for the query parameters limit and after, oldest sessions first.
func ListSessions(ctx context.Context, sessions *authn.Sessions, userID int64, query url.Values) (SessionPage, error) {
	limit, err := input.QueryCount(query, "limit", defaultSessionsPerPage, 1, maxSessionsPerPage)
	if err != nil {
		return SessionPage{}, fmt.Errorf("%w: %w", ErrInvalidRequest, err)
	}
	after, err := parseSessionCursor(query.Get("after"))
	if err != nil {
		return SessionPage{}, err
	}
	page := SessionPage{Limit: int(limit)}
	page.Sessions, err = sessions.List(ctx, userID, after, page.Limit+1)
	if len(page.Sessions) > page.Limit {
		page.Sessions = page.Sessions[:page.Limit]
		page.Next = formatSessionCursor(page.Sessions[page.Limit-1].Cursor())
	}
	return page, err
}

// formatSessionCursor is a position in the list as clients send it back.
func formatSessionCursor(at storage.SessionCursor) string {
	return strconv.FormatInt(at.CreatedAt.UnixMilli(), 10) + "." + at.ID
}

func parseSessionCursor(text string) (storage.SessionCursor, error) {
	if text == "" {
		return storage.SessionCursor{}, nil
	}
	created, id, found := strings.Cut(text, ".")
	ms, err := strconv.ParseInt(created, 10, 53)
	if err != nil || !found || id == "" || len(id) > 64 {
		return storage.SessionCursor{}, fmt.Errorf("%w: after is not a cursor from the Link of a page of sessions", ErrInvalidRequest)
	}
	return storage.SessionCursor{CreatedAt: time.UnixMilli(ms), ID: id}, nil
}
