package upstream

import (
	"errors"
	"strconv"

	"github.com/valyala/fasthttp"

	"wxgate/upstream/http1"
)

// fate is how one try of a request ended; it is a label of metrics and what health, retries and breaker judge by.
type fate uint8

const (
	fateNone     fate = iota
	fateSwitched      // 101
	fate2xx           // answers, by class
	fate3xx
	fate4xx
	fate5xx         // those that say nothing of the target
	fateError       // 500
	fateDown        // 502, 503 and 504
	fateConnect     // ErrConnect
	fateReset       // ErrReset
	fateInvalid     // ErrInvalid
	fateTimeout     // ErrTimeout
	fateUnavailable // ErrUnavailable
	fateStopped     // ErrStopped
	fateBody        // ErrRequestBody, or a time-out that the sender of a long body may have caused
	fates           // how many there are
)

// result is the fate as a label: 500 and its like are all 5xx.
func (f fate) result() string {
	return [fates]string{
		"", "1xx", "2xx", "3xx", "4xx", "5xx", "5xx", "5xx",
		"connect", "reset", "invalid", "timeout", "unavailable", "stopped", "request_body",
	}[f]
}

// fateOf judges a try.
func fateOf(t *trip, err error) fate {
	if err == nil {
		return answered(t.Resp.StatusCode())
	}
	switch {
	case t.Stop.Stopped() || errors.Is(err, http1.ErrStopped):
		return fateStopped
	case errors.Is(err, http1.ErrRequestBody):
		return fateBody
	case errors.Is(err, http1.ErrOverloaded):
		return fateUnavailable
	case errors.Is(err, http1.ErrConnect):
		return fateConnect
	case errors.Is(err, http1.ErrReset):
		return fateReset
	case errors.Is(err, http1.ErrInvalid):
		return fateInvalid
	case errors.Is(err, http1.ErrUnavailable):
		return fateUnavailable
	case t.Whole:
		return fateTimeout
	}
	return fateBody
}

func answered(status int) fate {
	switch status {
	case fasthttp.StatusSwitchingProtocols:
		return fateSwitched
	case fasthttp.StatusInternalServerError:
		return fateError
	case fasthttp.StatusBadGateway, fasthttp.StatusServiceUnavailable, fasthttp.StatusGatewayTimeout:
		return fateDown
	}
	return fate2xx + fate(status/100-2) // the head was read: 200 to 599
}

// outcome is how the last try ended, for a log: its status, or else its fate.
func (t *trip) outcome() string {
	if t.fate == fateError || t.fate == fateDown {
		return strconv.Itoa(t.Resp.StatusCode())
	}
	return t.fate.result()
}

// verdict is what a fate says of who brought it about.
type verdict int8

const (
	neutral verdict = iota
	good
	bad
)

// target is what the fate says of the target: with 500 another one may do better.
func (f fate) target() verdict {
	switch {
	case f == fateNone || f >= fateUnavailable:
		return neutral
	case f >= fateError:
		return bad
	}
	return good
}

// service is what the fate of its last try says of the service as a whole: one that answers 500, or nonsense, is there.
func (f fate) service() verdict {
	if f == fateError || f == fateInvalid {
		return good
	}
	return f.target()
}
