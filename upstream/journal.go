package upstream

import (
	"log/slog"
	"time"
)

// journal tells the log what becomes of an upstream: one line for each change, never one for each request. No line is
// written while a lock is held that requests take.
type journal struct{ log *slog.Logger }

// newJournal writes to log, or nowhere when that is nil.
func newJournal(log *slog.Logger, upstream string) journal {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return journal{log.With("upstream", upstream)}
}

func (j journal) ejected(e *endpoint, why string, out time.Duration) {
	j.log.Warn("address ejected", "target", e.target.origin.Address, "address", e.address, "why", why, "for", out.String())
}

func (j journal) readmitted(e *endpoint) {
	j.log.Info("address back from ejection", "target", e.target.origin.Address, "address", e.address, "why", "a request went well")
}

func (j journal) unhealthy(e *endpoint, failed int, last error) {
	j.log.Warn("address unhealthy", "target", e.target.origin.Address, "address", e.address,
		"why", "health checks failed", "failed", failed, "error", last)
}

func (j journal) healthy(e *endpoint, why string) {
	j.log.Info("address healthy again", "target", e.target.origin.Address, "address", e.address, "why", why)
}

// turned tells that the breaker has opened or closed; the zero turn is none.
func (j journal) turned(t turn) {
	switch {
	case t.why == "":
	case t.open:
		j.log.Warn("breaker open", "why", t.why)
	default:
		j.log.Info("breaker closed", "why", t.why)
	}
}

// undrained tells that clients can put requests into the content of theirs.
func (j journal) undrained(t *target) {
	j.log.Error("the service does not read the content of requests", "target", t.origin.Address,
		"why", "bytes that nobody asked for came behind a request with content",
		"then", "content goes out with Connection: close",
		"do", "set keepalive.reuse_after_body: false, and let the service read or refuse all content")
}

func (j journal) nameLost(t *target, err error, kept int) {
	j.log.Warn("look-up failed", "target", t.origin.Address, "error", err, "addresses_kept", kept)
}

func (j journal) nameFound(t *target) {
	j.log.Info("look-up works again", "target", t.origin.Address)
}

func (j journal) moved(t *target, addresses []string) {
	j.log.Info("addresses of a target", "target", t.origin.Address, "addresses", addresses)
}
