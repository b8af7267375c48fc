package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"wxgate/gateway/answer"
	"wxgate/input"
	"wxgate/lograte"
)

// adminEndpoint is a path of the operator's API.
type adminEndpoint struct {
	pattern string   // of http.ServeMux
	query   []string // the parameters that it knows
	serve   http.HandlerFunc
}

// endpoints is the API for operators and for services of the team: users, their counters, bans and sessions.
func (a *admin) endpoints() []adminEndpoint {
	return []adminEndpoint{
		{"GET /api/users", []string{"ids", "openid", "appid", "after", "limit"}, a.answering(a.listUsers)},
		{"POST /api/users", nil, a.importUsers},
		{"GET /api/users/export", nil, a.exportUsers},
		{"GET /api/users/{id}", nil, a.answering(ofUser(a.showUser))},
		{"DELETE /api/users/{id}", nil, a.changing(ofUser(a.eraseUser))},
		{"POST /api/users/{id}/counters", nil, a.changing(ofUser(a.addCounters))},
		{"POST /api/users/{id}/ban", nil, a.changing(ofUser(a.ban))},
		{"DELETE /api/users/{id}/ban", nil, a.changing(ofUser(a.liftBan))},
		{"GET /api/users/{id}/sessions", []string{"after", "limit"}, a.answering(ofUser(a.listSessions))},
		{"DELETE /api/users/{id}/sessions", nil, a.changing(ofUser(a.endSessions))},
		{"DELETE /api/sessions/{id}", nil, a.changing(a.endSession)},
		{"POST /api/users/{id}/session-key/check", nil, a.answering(ofUser(a.checkSessionKey))},
		{"POST /api/users/{id}/session-key/reset", nil, a.changing(ofUser(a.resetSessionKey))},
		{"GET /api/users/{id}/phone", nil, a.answering(ofUser(a.phone))},
		{"POST /api/wechat/{path...}", []string{anyParameter}, a.callWeChat},
	}
}

// adminTimeout bounds one request of the API, imports and exports apart.
const adminTimeout = 20 * time.Second

// changing is answering for what changes something, which is logged.
func (a *admin) changing(do func(*http.Request) (data any, err error)) http.HandlerFunc {
	return a.answering(func(r *http.Request) (any, error) {
		data, err := do(r)
		if err == nil {
			a.log.Info("admin change", "request", r.Pattern, "id", loggedText([]byte(r.PathValue("id"))))
		}
		return data, err
	})
}

// answering makes a handler of a function that returns the data of the envelope.
func (a *admin) answering(do func(*http.Request) (data any, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), adminTimeout)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, endpointBodyLimit)
		data, err := do(r.WithContext(ctx))
		if err != nil {
			a.fail(w, err)
			return
		}
		a.succeed(w, data)
	}
}

func (a *admin) succeed(w http.ResponseWriter, data any) {
	said, err := answer.Success("success", data, a.now())
	if err != nil {
		a.fail(w, err)
		return
	}
	said.Write(w)
}

// fail answers with the error's row. The reader runs this gateway, so what is wrong with a request is said in detail.
func (a *admin) fail(w http.ResponseWriter, err error) {
	f, id, detail := a.gateway.failures.Of(err), answer.NewRequestID(), err.Error()
	if f.Status >= http.StatusInternalServerError {
		a.gateway.often.Error(lograte.Kind{Message: "admin request failed", Reason: f.Reason}, "request_id", id, "error", err)
		detail = ""
	}
	f.Refusal(f.Message, detail, id, a.now()).Write(w)
}

// ofUser reads the id in the path.
func ofUser(do func(r *http.Request, id int64) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		id, err := parseUserID(r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return do(r, id)
	}
}

// parseUserID takes 1 to 2^53-1, which a JavaScript number can hold.
func parseUserID(text string) (int64, error) {
	id, err := input.UserID(text)
	if err != nil {
		err = fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	return id, err
}

// readObject reads a body that says it is JSON, which a form of a web page of others cannot say, and is an object with
// none but the known keys: a key that is passed over could have been the point.
func readObject(r *http.Request, known ...string) (map[string]json.RawMessage, error) {
	if err := wantContentType(r, "application/json"); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, ofBody(err)
	}
	var object map[string]json.RawMessage
	if err := decodeJSON(body, &object); err != nil {
		return nil, err
	}
	if object == nil {
		return nil, fmt.Errorf("%w: the body is not an object", answer.ErrInvalidRequest)
	}
	for key := range object {
		if !slices.Contains(known, key) {
			return nil, fmt.Errorf("%w: there is no key %q, only %s", answer.ErrInvalidRequest, key, strings.Join(known, ", "))
		}
	}
	return object, nil
}

func wantContentType(r *http.Request, want string) error {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != want {
		return fmt.Errorf("%w: the Content-Type must be %s", answer.ErrInvalidRequest, want)
	}
	return nil
}

// ofBody is an error of reading a body.
func ofBody(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return answer.ErrBodyTooLarge
	}
	return fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
}
