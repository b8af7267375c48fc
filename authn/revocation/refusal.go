package revocation

import (
	"math"
	"time"

	"wxgate/storage"
)

// refusal is what a revocation refuses, as a pure rule. Times are Unix milliseconds but for those of tokens, which are
// their iat: whole seconds.
type refusal struct {
	from, until int64
	seq         uint64
	before      uint32 // tokens issued earlier are replaced; 0: the refusal is of every token
	spare       uint32 // of those, the ones issued from here on live until from
	scope       byte
}

func newRefusal(v storage.Revocation) refusal {
	r := refusal{scope: v.Scope[0], from: v.From.UnixMilli(), until: v.Until.UnixMilli(), seq: v.Seq}
	if !v.Before.IsZero() {
		r.before = seconds(v.Before)
	}
	if !v.Spare.IsZero() {
		r.spare = seconds(v.Spare)
	}
	return r
}

// seconds is a time in few bytes, until 2106: there is one for every session that was refreshed.
func seconds(t time.Time) uint32 { return uint32(max(0, min(t.Unix(), math.MaxUint32))) }

// covers reports whether every token is refused now.
//
// An ended session is over for ever and a ban begins with the beginning of time: a clock that is set back must not bring
// anybody back, and neither must one that is ahead, so only a ban has an end. A replaced token of another backend has a
// grace before its end; a ban without length is one that was lifted.
func (r refusal) covers(now int64) bool {
	switch {
	case r.before != 0:
		return false
	case r.endsSession():
		return true
	case r.scope == storage.ScopeUser[0]:
		return r.from < r.until && now < r.until
	}
	return r.from <= now
}

// endsSession reports whether the refusal is the end of a session, of which nothing but its until matters.
func (r refusal) endsSession() bool { return r.scope == storage.ScopeSession[0] && r.before == 0 }

// replaced reports whether a token with that iat was replaced by a refresh of its session and is refused now: the last
// that was replaced after its grace, those before it at once.
func (r refusal) replaced(issued, now int64) bool {
	return issued < int64(r.before) && (issued < int64(r.spare) || r.from <= now)
}

// join is what two refusals of one key come to. Of two for one user the later counts, which is how a ban is lifted. Of two
// for foreign tokens the one that reaches further does, and a clock that was set back between them brings none back. The
// end of a session counts more than its replaced tokens, of which the later says more. Otherwise the one that begins
// earlier and the one that ends later do.
func (r refusal) join(other refusal) refusal {
	older, newer := r, other
	if older.seq > newer.seq {
		older, newer = newer, older
	}
	if r.scope == storage.ScopeUser[0] {
		return newer
	}
	joined := newer
	joined.until = max(r.until, other.until)
	switch {
	case r.scope == storage.ScopeForeign[0]: // of what was issued until from
		joined.from = max(r.from, other.from)
	case r.before == 0 && other.before == 0:
		joined.from = min(r.from, other.from)
	case older.before == 0:
		joined.before, joined.spare, joined.from = 0, 0, older.from
	}
	return joined
}

// endedSessions are sessions that have ended, by the bytes of their sid, and until when that has to be remembered, in Unix
// seconds. Whoever logs in all the time leaves thousands of them, so they are kept apart from other revocations, in a
// quarter of the memory.
type endedSessions map[[16]byte]uint32

// add remembers an ended session.
func (e endedSessions) add(k key, v refusal) {
	e[[16]byte(k[1:])] = uint32(max(0, min((v.until+999)/1000, math.MaxUint32)))
}

// find returns the end of a session as a refusal.
func (e endedSessions) find(k key) (refusal, bool) {
	if k[0] != storage.ScopeSession[0] {
		return refusal{}, false
	}
	until, known := e[[16]byte(k[1:])]
	return refusal{scope: k[0], until: int64(until) * 1000}, known
}

// forget throws out what is over before past, in Unix milliseconds. What lasts beyond 2106 is kept.
func (e endedSessions) forget(past int64) {
	for id, until := range e {
		if int64(until)*1000 < past && until < math.MaxUint32 {
			delete(e, id)
		}
	}
}
