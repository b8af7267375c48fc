package gateway

import (
	"net/http"

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
		s.ID, s.UserID, s.Device, timestamp(s.CreatedAt), timestamp(s.RefreshedAt), timestamp(s.ExpiresAt),
	}
}

// listSessions answers GET /api/users/{id}/sessions, the oldest first.
func (a *admin) listSessions(r *http.Request, id int64) (any, error) {
	living, err := a.sessionsOf(r, id)
	if err != nil {
		return nil, err
	}
	sessions := make([]deviceSession, 0, len(living))
	for _, s := range living {
		sessions = append(sessions, deviceSessionOf(s))
	}
	return map[string]any{"sessions": sessions}, nil
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

// sessionsOf are the sessions of a user who exists.
func (a *admin) sessionsOf(r *http.Request, id int64) ([]storage.Session, error) {
	if _, err := a.authn.Profile(r.Context(), id); err != nil {
		return nil, err
	}
	return a.authn.Sessions(r.Context(), id)
}
