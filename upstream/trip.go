package upstream

import (
	"errors"
	"slices"

	"github.com/valyala/fasthttp"

	"wxgate/upstream/http1"
)

// maxTries is at how many endpoints one request is tried at most.
const maxTries = 8

// trip is one request on its way. It is pooled for its buffers.
type trip struct {
	http1.Request
	up *Upstream

	fleet   *fleet // as of the present try
	tried   []*endpoint
	retries int    // those that count in retries.attempts
	granted bool   // the budget has already paid for the next one
	probe   bool   // the present try shows whether an ejected endpoint is well again
	target  string // of the present try
	fate    fate   // of the last try

	candidates []candidate
}

func (u *Upstream) begin(req *fasthttp.Request, resp *fasthttp.Response, o Options) *trip {
	t, _ := u.trips.Get().(*trip)
	t.Begin(req, resp, o.Deadline, o.Stop, o.Affinity)
	t.up, t.fleet = u, u.fleet.Load()
	return t
}

func (u *Upstream) end(t *trip) {
	t.End()
	*t = trip{Request: t.Request, tried: clearAll(t.tried), candidates: clearAll(t.candidates)}
	u.trips.Put(t)
}

// clearAll empties a slice and lets go of what it pointed to.
func clearAll[T any](s []T) []T {
	clear(s)
	return s[:0]
}

// tries sends the request until a try is final.
func (u *Upstream) tries(t *trip) error {
	u.budget.request(u.deps.now())
	e, err := u.first(t)
	if err != nil {
		return err
	}
	if err := t.Load(t.hostFor(e), t.Shares()); err != nil {
		t.fate = fateBody
		return err
	}
	t.Deadline = t.Deadline.Add(t.Waited) // the service's time begins when the body is there
	for {
		err := u.try(t, e)
		next := u.next(t, err)
		if next == nil {
			return err
		}
		e = next
		t.Resp.Reset()
		t.Again(t.hostFor(e))
	}
}

// try sends the request to e once and learns from what comes of it.
func (u *Upstream) try(t *trip, e *endpoint) error {
	t.target, t.tried = e.target.origin.Name, append(t.tried, e)
	t.Request.Patience = u.patience(t)
	began := u.deps.now()
	if t.Whole { // the pace of a long body is its sender's
		e.begin(began)
	}
	err := e.pool.Exchange(&t.Request, t)
	t.fate = fateOf(t, err)
	e.target.count(t.fate)
	if errors.Is(err, http1.ErrRemoved) {
		t.fate = fateNone
	}
	u.learn(t, e, began)
	return err
}

// hostFor is the Host that e gets, "" for what the client asked for.
func (t *trip) hostFor(e *endpoint) string {
	host := t.fleet.cfg.ownHost(e.target.origin)
	if host == "" && t.Hostless() { // HTTP/1.0 may have none
		return e.target.origin.Name
	}
	return host
}

func (t *trip) hasTried(e *endpoint) bool { return slices.Contains(t.tried, e) }

// GivesUp ends a try that got no answer within retries.try_timeout, when another one is granted.
func (t *trip) GivesUp() bool {
	t.granted = t.up.grant(t)
	return t.granted
}

// Renews counts a request that met a dead connection.
func (t *trip) Renews() { t.up.metrics.retries[reasonDead].Inc() }
