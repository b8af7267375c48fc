package upstream

import (
	"errors"
	"time"

	"wxgate/breaker"
	"wxgate/upstream/http1"
)

// nextEndpoint returns the endpoint for the next attempt, nil when the last outcome is final.
func (t *roundTrip) nextEndpoint(err error) *endpoint {
	reason := retryReason(t.outcome)
	unsent := t.outcome == outcomeConnect || errors.Is(err, http1.ErrRemoved)
	switch {
	case err == nil && t.outcome.forTarget() != breaker.Failure, len(t.tried) >= maxAttempts,
		t.ctx.Err() != nil, !time.Now().Before(t.Deadline):
		return nil
	case unsent:
		return t.retry(reason)
	case t.outcome.forTarget() != breaker.Failure, !t.repeatable(), !t.granted && !t.grant():
		return nil
	}
	t.retries++
	t.granted = false
	return t.retry(reason)
}

// retry chooses an endpoint that was not tried.
func (t *roundTrip) retry(reason string) *endpoint {
	e := t.choose()
	if e != nil {
		t.up.metrics.retries[reason].Inc()
	}
	return e
}

// repeatable reports whether the request may be sent again although it was sent: nobody notices a repetition of it (RFC
// 9110 §9.2.2), we still have all of it, and its attempts are not used up.
func (t *roundTrip) repeatable() bool {
	return t.Replayable && t.retries < t.cluster.cfg.Retries.Attempts && t.Idempotent()
}

// grant asks the budget for one more attempt, if there is an endpoint for it.
func (t *roundTrip) grant() bool {
	return t.hasUntried() && t.up.budget.withdraw(t.up.deps.now(), &t.up.metrics)
}

// hasUntried reports whether there is an endpoint that was not tried.
func (t *roundTrip) hasUntried() bool {
	for _, e := range t.up.cluster.Load().endpoints {
		if !t.hasTried(e) {
			return true
		}
	}
	return false
}

// tryTimeout is how long an attempt waits for its answer before another endpoint is asked, 0 when there is none to ask.
func (t *roundTrip) tryTimeout() time.Duration {
	if len(t.cluster.endpoints) < 2 || !t.repeatable() || !t.hasUntried() {
		return 0
	}
	return t.cluster.cfg.Retries.TryTimeout
}

// retryReason is an outcome as the label of a retry.
func retryReason(f outcome) string {
	switch f {
	case outcomeConnect, outcomeReset, outcomeInvalid, outcomeTimeout:
		return f.label()
	case outcomeError, outcomeDown:
		return "status"
	}
	return "removed"
}

// reasonDead is a request that met a connection which the service was closing; it goes to the same target again.
const reasonDead = "dead_connection"

func retryReasons() []string {
	return []string{reasonDead, "connect", "reset", "invalid", "timeout", "status", "removed"}
}
