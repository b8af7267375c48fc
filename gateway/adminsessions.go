package gateway

import (
	"fmt"
	"net/http"
	"net/url"

	"wxgate/gateway/answer"
	"wxgate/storage"
)

// deviceSession is a session as the operator sees it.
type deviceSession struct {
	ID          string `json:"id"`
	UserID      int64  `json:"user_id"`
	Device      string `json:"device"`
	CreatedAt   string `json:"created_at"`
	RefreshedAt string `json:"refreshed_at"`
	ExpiresAt   string `json:"expires_at"`
}

func deviceSessionOf(s storage.Session) deviceSession {
	return deviceSession{
		s.ID, s.UserID, s.Device, answer.Timestamp(s.CreatedAt), answer.Timestamp(s.RefreshedAt), answer.Timestamp(s.ExpiresAt),
	}
}

// sessionList is a page of a user's sessions.
type sessionList struct {
	Sessions []deviceSession `json:"sessions"`
	Next     *string         `json:"next"` // what after must be for the next page; null: this is the last
}

// listSessions answers GET /api/users/{id}/sessions with a page of them, the oldest first.
func (a *admin) listSessions(r *http.Request, id int64) (any, error) {
	if _, err := a.authn.Profile(r.Context(), id); err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	page, err := pageOfSessions(r.Context(), a.authn, id, query)
	if err != nil {
		return nil, err
	}
	list := sessionList{Sessions: make([]deviceSession, 0, len(page.sessions))}
	for _, s := range page.sessions {
		list.Sessions = append(list.Sessions, deviceSessionOf(s))
	}
	if page.next != "" {
		list.Next = &page.next
	}
	return list, nil
}

// endSessions answers DELETE /api/users/{id}/sessions.
func (a *admin) endSessions(r *http.Request, id int64) (any, error) {
	if _, err := a.authn.Profile(r.Context(), id); err != nil {
		return nil, err
	}
	ended, err := a.authn.EndSessions(r.Context(), id)
	return map[string]int{"ended": ended}, err
}

// endSession answers DELETE /api/sessions/{id}.
func (a *admin) endSession(r *http.Request) (any, error) {
	id := r.PathValue("id")
	return map[string]string{"id": id}, a.authn.EndSession(r.Context(), id)
}
