package http1

import "time"

// Config is what a pool is told of the connections to its address.
type Config struct {
	Timeouts  Timeouts
	Keepalive Keepalive
	Dials     int // at a time
	Security  *Security
}

// Timeouts are what a service may take, apart from the deadline of the single request.
type Timeouts struct {
	Connect   time.Duration `yaml:"connect"`   // for a connection: TCP and TLS; 1s
	Response  time.Duration `yaml:"response"`  // from the request sent to the head of the answer; 30s
	Stream    time.Duration `yaml:"stream"`    // longest silence within a body; a heartbeat of SSE must come sooner; 60s
	WebSocket time.Duration `yaml:"websocket"` // longest silence of both sides of a WebSocket; 10m
}

// Keepalive is what is kept of connections between requests.
type Keepalive struct {
	MaxConns       int           `yaml:"max_conns"`        // connections at a time to each address of a target, busy and idle; 512
	MaxWebSockets  int           `yaml:"max_websockets"`   // beside them, those that have become WebSockets; 1024, 0: none
	MaxRequests    int           `yaml:"max_requests"`     // requests that one carries; 0: no bound
	Idle           time.Duration `yaml:"idle"`             // how long an unused one is kept; below the service's own limit (Node: 5s); 3s, 0: none is kept
	ReuseAfterBody bool          `yaml:"reuse_after_body"` // false: a request with content is its connection's last; true
}
