package admin

import (
	"errors"
	"net/http"
	"time"

	"wxgate/gateway/answer"
	"wxgate/storage/backup"
)

// backup answers GET /api/store/backup: all records, in the format of a backup. An answer without the end of that format is
// not a backup: after an error the connection is aborted. One is taken at a time.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	select {
	case s.backups <- struct{}{}:
		defer func() { <-s.backups }()
	default:
		s.responder.fail(w, answer.ErrBackupRuns)
		return
	}
	began := time.Now()
	event(s.deps.Log, r, "admin backup")
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	done, err := backup.Write(r.Context(), patientWriter{w, http.NewResponseController(w)}, s.deps.Store)
	if err == nil {
		s.deps.Log.Info("admin backup is complete", "users", done.Users(), "took", time.Since(began).Round(time.Millisecond).String())
		return
	}
	if r.Context().Err() == nil && !errors.Is(err, errReader) {
		s.deps.Log.Error("backup broke off", "error", err)
	}
	panic(http.ErrAbortHandler) // the documented way to abort the connection
}
