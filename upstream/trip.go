package upstream

import (
	"errors"
	"slices"
	"time"

	"github.com/valyala/fasthttp"
)

// maxTries is at how many endpoints one request is tried at most.
const maxTries = 8

// trip is one request on its way. It is pooled for its buffers.
type trip struct {
	req      *fasthttp.Request
	resp     *fasthttp.Response
	deadline time.Time
	stop     *Stop  // nil: nobody can
	affinity uint64 // 0: nobody's
	upgrade  bool   // the request asks for another protocol
	tunnel   *Tunnel

	fleet   *fleet // as of the present try
	tried   []*endpoint
	retries int           // those that count in retries.attempts
	granted bool          // the budget has already paid for the next one
	patient time.Duration // how long the present try waits before another target is asked; 0: to the end
	renewed bool          // it met a dead connection before, and got a new one
	probe   bool          // the present try shows whether an ejected endpoint is well again
	sent    int
	target  string // of the present try
	fate    fate   // of the last try

	out        outgoing
	candidates []candidate
}

func (u *Upstream) begin(req *fasthttp.Request, resp *fasthttp.Response, o Options) *trip {
	t, _ := u.trips.Get().(*trip)
	t.req, t.resp, t.deadline, t.stop, t.affinity = req, resp, o.Deadline, o.Stop, o.Affinity
	t.out.until, t.out.asked = o.Deadline, append(t.out.asked[:0], req.Header.Host()...)
	t.fleet = u.fleet.Load()
	return t
}

func (u *Upstream) end(t *trip) {
	t.out.unload()
	*t = trip{out: t.out, tried: clearAll(t.tried), candidates: clearAll(t.candidates)}
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
	t.out.share = u.shares(t)
	if err := t.out.load(t.req, t.hostFor(e)); err != nil {
		t.fate = fateBody
		return err
	}
	t.deadline = t.deadline.Add(t.out.waited) // the service's time begins when the body is there
	for {
		err := u.try(t, e)
		next := u.next(t, err)
		if next == nil {
			return err
		}
		e = next
		t.resp.Reset()
		t.out.again(t.req, t.hostFor(e))
	}
}

// try sends the request to e once and learns from what comes of it.
func (u *Upstream) try(t *trip, e *endpoint) error {
	t.target, t.tried = e.target.origin.name, append(t.tried, e)
	t.patient = u.patience(t)
	began := u.deps.now()
	if t.out.whole { // the pace of a long body is its sender's
		e.begin(began)
	}
	err := u.exchange(t, e)
	t.fate = fateOf(t, err)
	e.target.count(t.fate)
	if errors.Is(err, errRemoved) {
		t.fate = fateNone
	}
	u.learn(t, e, began)
	return err
}

// hostFor is the Host that e gets, "" for what the client asked for.
func (t *trip) hostFor(e *endpoint) string {
	host := t.fleet.cfg.ownHost(e.target.origin)
	if host == "" && len(t.out.asked) == 0 { // HTTP/1.0 may have none
		return e.target.origin.name
	}
	return host
}

func (t *trip) hasTried(e *endpoint) bool { return slices.Contains(t.tried, e) }
