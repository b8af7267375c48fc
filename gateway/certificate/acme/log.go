package acme

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap/zapcore"
)

// refusals write what becomes of certificates to the log: a line for each that was issued, and one for each refusal. Beside
// that they are the log of certmagic, of which errors alone are kept, and none that says the same once more.
type refusals struct {
	log  *slog.Logger
	mu   sync.Mutex
	last map[string]string // the last refusal of a domain
}

// event is told by certmagic.
func (r *refusals) event(_ context.Context, name string, data map[string]any) error {
	domain, _ := data["identifier"].(string)
	renewal, _ := data["renewal"].(bool)
	switch name {
	case "cert_obtained":
		r.log.Info("a certificate was issued", "domain", domain, "renewal", renewal, "issuer", data["issuer"])
	case "cert_failed":
		err, _ := data["error"].(error)
		r.note(domain, err)
		r.log.Error("no certificate was issued, it will be asked for again", "domain", domain, "renewal", renewal, "reason", reason(err))
	}
	return nil
}

// reason is what the authority says, or why it was not reached.
func reason(err error) string {
	var problem acme.Problem
	if errors.As(err, &problem) {
		return problem.Error()
	}
	return strings.TrimSpace(err.Error()) // some end with the body of an answer
}

// notAsked writes why an authority was not even asked, unless that was told.
func (r *refusals) notAsked(domain string, err error) {
	if r.known(err.Error()) {
		return
	}
	r.note(domain, err)
	r.log.Error("no certificate can be asked for, it will be tried again", "domain", domain, "error", err)
}

func (r *refusals) note(domain string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil {
		r.last = map[string]string{}
	}
	r.last[domain] = err.Error()
}

// known reports whether a text is about a refusal that was told.
func (r *refusals) known(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, last := range r.last {
		if strings.Contains(text, last) {
			return true
		}
	}
	return false
}

// Enabled is for errors alone: below them stand challenges and requests.
func (r *refusals) Enabled(level zapcore.Level) bool { return level >= zapcore.ErrorLevel }

// With keeps nothing: the fields of an error are its own.
func (r *refusals) With([]zapcore.Field) zapcore.Core { return r }

// Check takes errors.
func (r *refusals) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if r.Enabled(entry.Level) {
		return checked.AddCore(entry, r)
	}
	return checked
}

// Write logs an error that event does not.
func (r *refusals) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	if strings.HasSuffix(entry.LoggerName, "acme_client") || entry.Message == "could not get certificate from issuer" {
		return nil // the refusal comes after it
	}
	text := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(text)
	}
	cause, _ := text.Fields["error"].(string)
	if cause != "" && r.known(cause) {
		return nil
	}
	r.log.Error("ACME: "+entry.Message, "error", cause, "domain", text.Fields["identifier"])
	return nil
}

// Sync has nothing to write.
func (r *refusals) Sync() error { return nil }
