// Package load sends HTTP/1.1 requests from one thread and measures the answers, together with the CPU time of the
// processes that gave them. It is cheap, because it shares a CPU with the service: requests are made before the start,
// answers are read and not parsed.
package load

import (
	"fmt"
	"net/netip"
	"time"
)

// Pace says when requests are sent.
type Pace string

// The paces.
const (
	Closed Pace = "closed" // each connection sends its next request when the last one was answered: saturation
	Open   Pace = "open"   // at random moments, Rate a second; latency counts from the moment at which one was due
	Hold   Pace = "hold"   // one request per connection, which then stays open until Run's context ends
	Login  Pace = "login"  // each connection logs another user in with a code of the sandbox, as Closed does
)

// Config is one measurement.
type Config struct {
	Pace        Pace
	Address     netip.AddrPort // IPv4
	Method      string
	Paths       []string      // request targets, used in turn
	Content     int           // bytes of content that a request has
	Tokens      string        // file with a bearer token per line, used in turn; empty: no Authorization
	Connections int           // of Open: at most
	Rate        float64       // of Open, requests a second
	Warmup      time.Duration // before anything is measured
	Duration    time.Duration // what is measured
	Want        int           // the status that every answer must have
	Cookie      int           // bytes of a Cookie line, so that heads grow
	Watched     Watched
}

// Watched names the processes and CPUs whose work is measured along with the requests.
type Watched struct {
	Gateway    []int // processes whose CPU time is given per request
	GatewayCPU int   // the CPU on which these run alone; -1: unknown
	Helpers    []int // the service and others that share our CPU
	LoadCPU    int   // the CPU that we share with them; -1: unknown
}

// Result is what one measurement gave. Times are of the measured part alone.
type Result struct {
	Requests   int64
	Seconds    float64
	PerSecond  float64 // answers
	P50        float64 // latency in µs
	P99        float64
	Max        float64
	Unexpected int64         // answers with another status than Want
	Errors     int64         // connections that ended during a request
	Status     map[int]int64 // answers by status
	CPU        float64       // of the gateway, µs a request
	CPUShare   float64       // of one CPU, that the gateway used
	Switches   float64       // context switches of the gateway, a request
	Foreign    float64       // share of the gateway's CPU that neither idled nor was the gateway's
	ForeignOur float64       // the same of our own CPU
	Behind     int64         // requests of Open that were due while every connection was busy
	Held       int           // connections of Hold that are open
}

// check reports what makes c impossible.
func (c *Config) check() error {
	if !c.Address.Addr().Is4() || c.Connections < 1 || len(c.Paths) == 0 {
		return fmt.Errorf("load: an IPv4 address, a path and a connection are needed, not %s, %q and %d", c.Address, c.Paths, c.Connections)
	}
	return nil
}
