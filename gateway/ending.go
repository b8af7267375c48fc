package gateway

import (
	"log/slog"
	"strings"

	"wxgate/gateway/limit"
	"wxgate/upstream/http1"
)

// ending is the end of a body that still flows when its handler is through. The answer is counted and logged then, as
// what it has become: one that broke off is not the 200 that it began as.
type ending struct {
	over  bool
	bytes int64
	err   error  // how it broke off
	then  func() // nil: the handler is not through
	held  limit.Hold
}

// flows makes the exchange wait for the end of the answer's body, unless there is none to wait for. Its client is
// watched until then.
func (g *Gateway) flows(ex *Exchange, body *http1.Body, waiting *wait) {
	if body == nil {
		return
	}
	e := &ending{held: ex.hold.Move(limit.Connections)}
	ex.ending = e
	body.Ended = func(bytes int64, err error) {
		g.watch.forget(waiting)
		e.held.Close()
		e.over, e.bytes, e.err = true, bytes, err
		if e.then != nil {
			e.then()
		}
	}
}

// after calls then when the body has ended, which may be now.
func (e *ending) after(then func()) {
	if e.then = then; e.over {
		then()
	}
}

// report counts and logs an answer, now or when its body has ended. What it then says of the request is copied: the
// buffers serve another one by that time.
func (g *Gateway) report(ex *Exchange, key seriesKey) {
	var line []slog.Attr
	if ex.snapshot.cfg.Log.Access {
		line = accessLine(ex)
	}
	start, e := ex.start, ex.ending
	if e == nil {
		g.metrics.count(key)
		g.logAccess(line, key, int64(len(ex.response.Body())), g.deps.Now().Sub(start))
		return
	}
	key.method = strings.Clone(key.method)
	g.metrics.inFlight.Inc()
	e.after(func() {
		g.metrics.inFlight.Dec()
		if e.err != nil {
			line = append(line, slog.Int("began", key.status)) // what the client has seen
			f := g.failures.Of(e.err)
			key.status, key.reason, key.upstream = f.Status, f.Reason, false
		}
		g.metrics.count(key)
		g.logAccess(line, key, e.bytes, g.deps.Now().Sub(start))
	})
}
