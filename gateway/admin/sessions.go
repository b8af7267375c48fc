package admin

import (
	"fmt"
	"net/http"
	"net/url"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/storage"
)

// sessions are the endpoints of sessions.
type sessions struct{ authn *authn.Authn }

// Session is a session as shown to the operator.
type Session struct {
	ID          string      `json:"id"`
	UserID      int64       `json:"user_id"`
	Device      string      `json:"device"`
	CreatedAt   answer.Time `json:"created_at"`
	RefreshedAt answer.Time `json:"refreshed_at"`
	ExpiresAt   answer.Time `json:"expires_at"`
}

func newSession(s storage.Session) Session {
	return Session{
		s.ID, s.UserID, s.Device, answer.Time{Time: s.CreatedAt}, answer.Time{Time: s.RefreshedAt}, answer.Time{Time: s.ExpiresAt},
	}
}

// SessionList is one page of a user's sessions.
type SessionList struct {
	Sessions []Session `json:"sessions"`
	Next     *string   `json:"next"` // the value of after for the next page; null: this is the last page
}

// list answers GET /api/users/{id}/sessions with one page, oldest first.
func (a sessions) list(r *http.Request, id int64) (any, error) {
	if _, err := a.authn.Users.ByID(r.Context(), id); err != nil {
		return nil, err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	page, err := answer.ListSessions(r.Context(), a.authn.Sessions, id, query)
	if err != nil {
		return nil, err
	}
	list := SessionList{Sessions: make([]Session, 0, len(page.Sessions))}
	for _, s := range page.Sessions {
		list.Sessions = append(list.Sessions, newSession(s))
	}
	if page.Next != "" {
		list.Next = &page.Next
	}
	return list, nil
}

// endAll answers DELETE /api/users/{id}/sessions.
func (a sessions) endAll(r *http.Request, id int64) (any, error) {
	if _, err := a.authn.Users.ByID(r.Context(), id); err != nil {
		return nil, err
	}
	ended, err := a.authn.Sessions.EndAll(r.Context(), id)
	return map[string]int{"ended": ended}, err
}

// end answers DELETE /api/sessions/{id}.
func (a sessions) end(r *http.Request) (any, error) {
	id := r.PathValue("id")
	return map[string]string{"id": id}, a.authn.Sessions.End(r.Context(), id)
}
