package upstream

import "wxgate/upstream/http1"

// The ways in which an exchange fails, beside breaker.ErrOpen. A caller tells them apart with errors.Is; the texts around
// them are for logs, never for a client: they may hold addresses. Package http1 says more of each.
var (
	ErrConnect     = http1.ErrConnect     // no connection could be made; nothing was sent
	ErrReset       = http1.ErrReset       // the connection was lost before the answer was whole
	ErrInvalid     = http1.ErrInvalid     // the answer is not HTTP/1.1
	ErrTimeout     = http1.ErrTimeout     // the answer, or a part of its body, did not come in time
	ErrUnavailable = http1.ErrUnavailable // the Upstream is closed, or ErrOverloaded; nothing was sent
	ErrOverloaded  = http1.ErrOverloaded  // the request met a bound of ours, beside ErrUnavailable or ErrTimeout; nothing was sent
	ErrStopped     = http1.ErrStopped     // the caller's Stop ended it
	ErrRequestBody = http1.ErrRequestBody // the request's own body failed
	ErrSlowBody    = http1.ErrSlowBody    // an ErrRequestBody: the body was not there at the deadline
	ErrUndrained   = http1.ErrUndrained   // what Drains returns of a service that takes content for the next request
)

// Stop ends one exchange from outside.
type Stop = http1.Stop

// Tunnel is a connection to a service that has left HTTP.
type Tunnel = http1.Tunnel

// DropFields removes the fields whose name is to be dropped, and returns how many lines they were.
func DropFields(h http1.Fields, drop func(name []byte) bool) (dropped int) {
	return http1.DropFields(h, drop)
}
