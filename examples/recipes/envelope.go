package recipes

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// problem is an error that a client may read.
type problem struct {
	status  int
	reason  string // for programs
	message string // for people
}

func (p problem) Error() string { return p.reason }

// envelope is the shape of every answer; data goes with a success, error and reason with a problem.
type envelope struct {
	Code      int    `json:"code"`
	Message   string `json:"message"`
	Data      any    `json:"data,omitempty"`
	Error     string `json:"error,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Timestamp string `json:"timestamp"`
}

// answer puts what a handler returns into an envelope.
func (s *service) answer(handle func(http.ResponseWriter, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		data, err := handle(w, r)
		if err != nil {
			s.refuse(w, err)
			return
		}
		s.write(w, envelope{Code: http.StatusOK, Message: "success", Data: data})
	}
}

func (s *service) refuse(w http.ResponseWriter, err error) { s.write(w, failure(err)) }

func (s *service) write(w http.ResponseWriter, body envelope) {
	body.Timestamp = s.now().UTC().Format("2006-01-02T15:04:05.000Z")
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(body.Code)
	_ = json.NewEncoder(w).Encode(body) // the client has gone; there is nobody to tell
}

func failure(err error) envelope {
	p := problem{http.StatusInternalServerError, "internal", "服务器开小差了"}
	errors.As(err, &p)
	return envelope{Code: p.status, Message: p.message, Error: http.StatusText(p.status), Reason: p.reason}
}

// stamp is how times look in a recipe.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
