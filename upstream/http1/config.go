package http1

import "time"

// Config configures the connections of a pool.
type Config struct {
	Timeouts  Timeouts
	Keepalive Keepalive
	Dials     int // simultaneous dials
	Security  *Security
}

// Timeouts limit what a service may take, in addition to the deadline of a request.
type Timeouts struct {
	Connect   time.Duration `yaml:"connect"`   // for a connection, TCP and TLS; 1s
	Response  time.Duration `yaml:"response"`  // from the end of the request to the head of the answer; 30s
	Stream    time.Duration `yaml:"stream"`    // longest silence within a body; heartbeats of SSE must come sooner; 60s
	WebSocket time.Duration `yaml:"websocket"` // longest time in which neither side of a WebSocket sends; 10m
}

// Keepalive configures which connections are kept between requests.
type Keepalive struct {
	MaxConns       int           `yaml:"max_conns"`        // connections at a time to each address of a target, busy and idle; 512
	MaxWebSockets  int           `yaml:"max_websockets"`   // WebSockets at a time in addition to them; 1024, 0: none
	MaxRequests    int           `yaml:"max_requests"`     // requests on one connection; 0: no limit
	Idle           time.Duration `yaml:"idle"`             // how long an unused one is kept; must be less than the service's own limit (Node: 5s); 3s, 0: none is kept
	ReuseAfterBody bool          `yaml:"reuse_after_body"` // false: a request with content is the last on its connection; true
}

// Limit is a limit of ours that requests may have to wait for.
type Limit uint8

// The limits.
const (
	LimitConns      Limit = iota // requests at an address
	LimitWebSockets              // WebSockets at an address
	LimitInFlight                // requests at the upstream
	LimitSends                   // long bodies that are being sent to an address

	LimitCount // how many there are
)

// String is the key of the limit in an entry of upstreams.
func (l Limit) String() string {
	return [LimitCount]string{
		"keepalive.max_conns", "keepalive.max_websockets", "queue.in_flight", "keepalive.max_conns (uploads)",
	}[l]
}
