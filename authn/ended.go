package authn

import (
	"math"

	"wxgate/storage"
)

// endedSessions are sessions that have ended, by the bytes of their sid, and until when that has to be remembered, in Unix
// seconds. Whoever logs in all the time leaves thousands of them, so they are kept apart from other revocations, in a
// quarter of the memory.
type endedSessions map[[16]byte]uint32

// add remembers an ended session.
func (e endedSessions) add(key revocationKey, v refusal) {
	e[[16]byte(key[1:])] = uint32(max(0, min((v.until+999)/1000, math.MaxUint32)))
}

// find returns the end of a session as a refusal.
func (e endedSessions) find(key revocationKey) (refusal, bool) {
	if key[0] != storage.ScopeSession[0] {
		return refusal{}, false
	}
	until, known := e[[16]byte(key[1:])]
	return refusal{scope: key[0], until: int64(until) * 1000}, known
}

// forget throws out what is over before past, in Unix milliseconds. What lasts beyond 2106 is kept.
func (e endedSessions) forget(past int64) {
	for id, until := range e {
		if int64(until)*1000 < past && until < math.MaxUint32 {
			delete(e, id)
		}
	}
}
