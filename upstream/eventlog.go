package upstream

import (
	"log/slog"
	"time"
)

// eventLog logs the state changes of an upstream: one line for each change, never one for each request. No line is
// written while a lock is held that requests take.
type eventLog struct{ log *slog.Logger }

// newEventLog writes to log, or nowhere when that is nil.
func newEventLog(log *slog.Logger, upstream string) eventLog {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return eventLog{log.With("upstream", upstream)}
}

func (l eventLog) ejected(e *endpoint, why string, out time.Duration) {
	l.log.Warn("address ejected", "target", e.target.origin.Address, "address", e.address, "why", why, "for", out.String())
}

func (l eventLog) readmitted(e *endpoint) {
	l.log.Info("address back from ejection", "target", e.target.origin.Address, "address", e.address, "why", "a request succeeded")
}

func (l eventLog) unhealthy(e *endpoint, failed int, last error) {
	l.log.Warn("address unhealthy", "target", e.target.origin.Address, "address", e.address,
		"why", "health checks failed", "failed", failed, "error", last)
}

func (l eventLog) healthy(e *endpoint, why string) {
	l.log.Info("address healthy again", "target", e.target.origin.Address, "address", e.address, "why", why)
}

// breakerChanged logs that the breaker has opened or closed; without a reason it has done neither.
func (l eventLog) breakerChanged(open bool, why string) {
	switch {
	case why == "":
	case open:
		l.log.Warn("breaker open", "why", why)
	default:
		l.log.Info("breaker closed", "why", why)
	}
}

// undrained logs that clients can put requests into the content of theirs.
func (l eventLog) undrained(t *target) {
	l.log.Error("the service does not read the content of requests", "target", t.origin.Address,
		"why", "bytes that answer no request came after a request with content",
		"then", "content goes out with Connection: close",
		"do", "set keepalive.reuse_after_body: false, and let the service read or refuse all content")
}

func (l eventLog) lookupFailed(t *target, err error, kept int) {
	l.log.Warn("look-up failed", "target", t.origin.Address, "error", err, "addresses_kept", kept)
}

func (l eventLog) lookupRecovered(t *target) {
	l.log.Info("look-up works again", "target", t.origin.Address)
}

func (l eventLog) addressesChanged(t *target, addresses []string) {
	l.log.Info("addresses of a target", "target", t.origin.Address, "addresses", addresses)
}
