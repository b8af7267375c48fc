package upstream

import (
	"errors"
	"net/http"
	"strconv"

	"wxgate/breaker"
	"wxgate/upstream/http1"
)

// outcome is how one attempt of a request ended; it is a label of metrics and the input of health, retries and breaker.
type outcome uint8

const (
	outcomeNone     outcome = iota
	outcomeSwitched         // 101
	outcome2xx              // answers, by class
	outcome3xx
	outcome4xx
	outcome5xx         // those that say nothing of the target
	outcomeError       // 500
	outcomeDown        // 502, 503 and 504
	outcomeConnect     // ErrConnect
	outcomeReset       // ErrReset
	outcomeInvalid     // ErrInvalid
	outcomeTimeout     // ErrTimeout
	outcomeUnavailable // ErrUnavailable
	outcomeStopped     // ErrStopped
	outcomeBody        // ErrRequestBody, or a time-out that the sender of a long body may have caused
	outcomeCount       // how many there are
)

// label is the outcome as a label: 500 and its like are all 5xx.
func (o outcome) label() string {
	return [outcomeCount]string{
		"", "1xx", "2xx", "3xx", "4xx", "5xx", "5xx", "5xx",
		"connect", "reset", "invalid", "timeout", "unavailable", "stopped", "request_body",
	}[o]
}

// outcomeOf classifies an attempt.
func outcomeOf(t *roundTrip, err error) outcome {
	if err == nil {
		return outcomeOfStatus(t.Resp.Status)
	}
	switch {
	case errors.Is(err, http1.ErrStopped):
		return outcomeStopped
	case errors.Is(err, http1.ErrRequestBody):
		return outcomeBody
	case errors.Is(err, http1.ErrOverloaded):
		return outcomeUnavailable
	case errors.Is(err, http1.ErrConnect):
		return outcomeConnect
	case errors.Is(err, http1.ErrReset):
		return outcomeReset
	case errors.Is(err, http1.ErrInvalid):
		return outcomeInvalid
	case errors.Is(err, http1.ErrUnavailable):
		return outcomeUnavailable
	case t.Replayable:
		return outcomeTimeout
	}
	return outcomeBody
}

func outcomeOfStatus(status int) outcome {
	switch status {
	case http.StatusSwitchingProtocols:
		return outcomeSwitched
	case http.StatusInternalServerError:
		return outcomeError
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return outcomeDown
	}
	return outcome2xx + outcome(status/100-2) // the head was read: 200 to 599
}

// outcomeText is how the last attempt ended, for a log: its status, or else its label.
func (t *roundTrip) outcomeText() string {
	if t.outcome == outcomeError || t.outcome == outcomeDown {
		return strconv.Itoa(t.Resp.Status)
	}
	return t.outcome.label()
}

// forTarget is what the outcome says of the target: with 500 another one may do better.
func (o outcome) forTarget() breaker.Result {
	switch {
	case o == outcomeNone || o >= outcomeUnavailable:
		return breaker.Neutral
	case o >= outcomeError:
		return breaker.Failure
	}
	return breaker.Success
}

// forService is what the outcome of the last attempt says of the service as a whole: one that answers 500, or nonsense,
// is there.
func (o outcome) forService() breaker.Result {
	if o == outcomeError || o == outcomeInvalid {
		return breaker.Success
	}
	return o.forTarget()
}
