package upstream

import (
	"errors"
	"time"

	"wxgate/upstream/http1"
)

// next is the endpoint at which the request is tried again, nil when what has come of it is final.
func (u *Upstream) next(t *trip, err error) *endpoint {
	reason := retryReason(t.fate)
	unsent := t.fate == fateConnect || errors.Is(err, http1.ErrRemoved)
	switch {
	case err == nil && t.fate.target() != bad, len(t.tried) >= maxTries, t.Stop.Stopped(), !time.Now().Before(t.Deadline):
		return nil
	case unsent:
		return u.retry(t, reason)
	case t.fate.target() != bad, !u.repeatable(t), !t.granted && !u.grant(t):
		return nil
	}
	t.retries++
	t.granted = false
	return u.retry(t, reason)
}

// retry chooses an endpoint that was not tried.
func (u *Upstream) retry(t *trip, reason string) *endpoint {
	e := u.choose(t)
	if e != nil {
		u.metrics.retries[reason].Inc()
	}
	return e
}

// repeatable says whether the request may be sent again although it was sent: nobody notices a repetition of it (RFC
// 9110 §9.2.2), we still have all of it, and its attempts are not used up.
func (u *Upstream) repeatable(t *trip) bool {
	return t.Whole && t.retries < t.fleet.cfg.Retries.Attempts && t.Idempotent()
}

// grant asks the budget for one more try, if there is an endpoint for it.
func (u *Upstream) grant(t *trip) bool {
	return u.another(t) && u.budget.withdraw(u.deps.now(), &u.metrics)
}

// another says whether there is an endpoint that was not tried.
func (u *Upstream) another(t *trip) bool {
	for _, e := range u.fleet.Load().endpoints {
		if !t.hasTried(e) {
			return true
		}
	}
	return false
}

// patience is how long a try waits for its answer before another endpoint is asked, 0 when there is none to ask.
func (u *Upstream) patience(t *trip) time.Duration {
	if len(t.fleet.endpoints) < 2 || !u.repeatable(t) || !u.another(t) {
		return 0
	}
	return t.fleet.cfg.Retries.TryTimeout
}

// retryReason is a fate as the label of a retry.
func retryReason(f fate) string {
	switch f {
	case fateConnect, fateReset, fateInvalid, fateTimeout:
		return f.result()
	case fateError, fateDown:
		return "status"
	}
	return "removed"
}

// reasonDead is a request that met a connection which the service was closing; it goes to the same target again.
const reasonDead = "dead_connection"

func retryReasons() []string {
	return []string{reasonDead, "connect", "reset", "invalid", "timeout", "status", "removed"}
}
