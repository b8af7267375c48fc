package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"wxgate/authn"
	"wxgate/gateway/answer"
	"wxgate/input"
	"wxgate/lograte"
)

// endpoint is a path of the admin API.
type endpoint struct {
	pattern string   // of http.ServeMux
	needs   needs    // what a service must have to use it
	query   []string // known parameters
	serve   http.HandlerFunc
}

// endpoints is the API for operators and services of the team: users, their counters, bans and sessions.
func (s *Server) endpoints() []endpoint {
	r, users, sessions := s.responder, users{s.deps.Authn, s.deps.Now}, sessions{s.deps.Authn}
	quotas := quotas{s.deps.Authn.Users, s.deps.Quotas, s.deps.AllQuotas}
	transfer, calls := transfer{r, s.deps.Authn, new(processors)}, weChatCalls{r, s.deps.WeChat, s.deps.Authn.OpenData, s.deps.Payments}
	return []endpoint{
		{"GET /api/users", only(ScopeUsersRead), []string{"ids", "openid", "appid", "nickname", "after", "limit"}, r.handle(users.list)},
		{"POST /api/users", only(ScopeUsersWrite), []string{"dry_run"}, transfer.importUsers},
		{"POST /api/users/next-id", operatorAlone, nil, r.handleChange(users.reserveIDs)},
		{"POST /api/users/resync", operatorAlone, nil, r.handleChange(users.resync)},
		{"GET /api/users/untold", only(ScopeUsersRead), []string{"after", "waiting"}, r.handle(users.untold)},
		{"GET /api/users/count", only(ScopeUsersRead), nil, r.handle(users.count)},
		{"GET /api/users/export", only(ScopeUsersWrite), nil, transfer.exportUsers},
		{"GET /api/users/{id}", only(ScopeUsersRead), nil, r.handle(withUserID(users.show))},
		{"DELETE /api/users/{id}", only(ScopeUsersWrite), nil, r.handleChange(withUserID(users.erase))},
		{"POST /api/users/{id}/counters", only(ScopeCounters), nil, r.handleChange(withUserID(users.addCounters))},
		{"POST /api/users/{id}/ban", only(ScopeUsersWrite), nil, r.handleChange(withUserID(users.ban))},
		{"DELETE /api/users/{id}/link", only(ScopeUsersWrite), nil, r.handleChange(withUserID(users.unlink))},
		{"DELETE /api/users/{id}/ban", only(ScopeUsersWrite), nil, r.handleChange(withUserID(users.liftBan))},
		{"GET /api/users/{id}/quotas", only(ScopeUsersRead), nil, r.handle(withUserID(quotas.list))},
		{"POST /api/users/{id}/quotas", only(ScopeCounters), nil, r.handleChange(withUserID(quotas.grant))},
		{"GET /api/users/{id}/sessions", only(ScopeUsersRead), []string{"after", "limit"}, r.handle(withUserID(sessions.list))},
		{"DELETE /api/users/{id}/sessions", only(ScopeUsersWrite), nil, r.handleChange(withUserID(sessions.endAll))},
		{"DELETE /api/sessions/{id}", only(ScopeUsersWrite), nil, r.handleChange(sessions.end)},
		{"POST /api/users/{id}/session-key/check", only(ScopeSign), nil, r.handle(withUserID(users.checkSessionKey))},
		{"POST /api/users/{id}/session-key/reset", operatorAlone, nil, r.handleChange(withUserID(users.resetSessionKey))},
		{"POST /api/users/{id}/session-key/sign", only(ScopeSign), nil, r.handleLogged("admin signature", withUserID(users.signWithSessionKey))},
		{"GET /api/users/{id}/phone", only(ScopeUsersPhone), nil, r.handle(withUserID(users.phone))},
		{"POST /api/store/reseal", operatorAlone, nil, r.handleChange(func(r *http.Request) (any, error) { return s.deps.Store.Reseal(r.Context()) })},
		{"GET /api/store/backup", operatorAlone, nil, s.backup},
		{"GET /api/openapi.json", anyService, []string{"api"}, s.openAPI},
		{"GET /api/dashboard", operatorAlone, nil, r.handle(s.console.overview)},
		{"GET /api/dashboard/routes", operatorAlone, nil, r.handle(s.console.routes)},
		{"GET /api/dashboard/config", operatorAlone, nil, r.handle(s.console.configuration)},
		{"POST /api/dashboard/codes", operatorAlone, nil, r.handleChange(s.console.newCode)},
		{"GET /api/wechat/{path...}", needsOfCall, []string{anyParameter}, calls.relay},
		{"POST /api/wechat/{path...}", needsOfCall, []string{anyParameter}, calls.relay},
	}
}

// The bounds of one API request, except imports and exports.
const (
	requestTimeout   = 20 * time.Second
	requestBodyLimit = 64 << 10
)

// responder answers in the envelope.
type responder struct {
	errors     answer.Table
	log        *slog.Logger
	limitedLog *lograte.Log
	now        func() time.Time
}

// handleChange is handle for a request that changes something, which is logged.
func (a responder) handleChange(do func(*http.Request) (data any, err error)) http.HandlerFunc {
	return a.handleLogged("admin change", do)
}

// handleLogged is handle for a request whose success is an event of the log. So is a failure of ours, before which something may have
// been done; a refusal is none.
func (a responder) handleLogged(message string, do func(*http.Request) (data any, err error)) http.HandlerFunc {
	return a.handle(func(r *http.Request) (any, error) {
		data, err := do(r)
		about := []any{"request", r.Pattern}
		if id := r.PathValue("id"); id != "" {
			about = append(about, "id", lograte.Clip([]byte(id)))
		}
		switch {
		case err == nil:
			event(a.log, r, message, about...)
		case a.errors.Lookup(err).Status >= http.StatusInternalServerError:
			event(a.log, r, message+" failed", append(about, "error", err)...)
		}
		return data, err
	})
}

// handle makes a handler of a function that returns the data of the envelope.
func (a responder) handle(do func(*http.Request) (data any, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, requestBodyLimit)
		data, err := do(r.WithContext(ctx))
		if err != nil {
			a.fail(w, err)
			return
		}
		a.succeed(w, data)
	}
}

func (a responder) succeed(w http.ResponseWriter, data any) {
	success, err := answer.Success("success", data, a.now())
	if err != nil {
		a.fail(w, err)
		return
	}
	success.Write(w)
}

// fail answers with the error's row of the table. The reader operates this gateway, so the answer has the details of
// what is wrong with a request.
func (a responder) fail(w http.ResponseWriter, err error) {
	f, id, detail := a.errors.Lookup(err), answer.NewRequestID(), err.Error()
	if f.Status >= http.StatusInternalServerError {
		a.limitedLog.Error(lograte.Kind{Message: "admin request failed", Reason: f.Reason}, "request_id", id, "error", err)
		if !errors.Is(err, authn.ErrUserService) { // which the operator alone can put right
			detail = ""
		}
	}
	refusal, err := f.Answer(detail, id, a.now())
	if err != nil {
		refusal.Status = http.StatusInternalServerError // texts always encode
	}
	refusal.Write(w)
}

// withUserID parses the ID in the path.
func withUserID(do func(r *http.Request, id int64) (any, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		id, err := parseUserID(r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return do(r, id)
	}
}

// parseUserID accepts 1 to 2^53-1, which a JavaScript number can represent.
func parseUserID(text string) (int64, error) {
	id, err := input.UserID(text)
	if err != nil {
		err = fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
	}
	return id, err
}

// readObject reads a JSON object with none but the known keys: an ignored key could have been the point of the request.
// It requires the Content-Type of JSON, which a form on a foreign web page cannot send.
func readObject(r *http.Request, known ...string) (map[string]json.RawMessage, error) {
	if err := requireContentType(r, "application/json"); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyError(err)
	}
	var object map[string]json.RawMessage
	if err := input.JSON(body, &object); err != nil {
		return nil, fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
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

func requireContentType(r *http.Request, want string) error {
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != want {
		return fmt.Errorf("%w: the Content-Type must be %s", answer.ErrInvalidRequest, want)
	}
	return nil
}

// bodyError is the error for a body that could not be read.
func bodyError(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return answer.ErrBodyTooLarge
	}
	return fmt.Errorf("%w: %w", answer.ErrInvalidRequest, err)
}
