package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"wxgate/gateway/answer"
)

// The bounds of what is remembered of those who sign in.
const (
	maxSessions  = 16
	maxCodes     = 16
	codeTime     = time.Minute
	maxFailures  = 5 // wrong tokens of one address, before each more waits
	failureTime  = time.Minute
	maxAddresses = 4096 // whose failures are remembered
)

// Why somebody is not signed in.
var (
	errCode     = fmt.Errorf("%w: `wxgate dashboard` prints another one", answer.ErrDashboardCode)
	errFailures = fmt.Errorf("%w: %d wrong tokens came from this address within %v", answer.ErrSignIns, maxFailures, failureTime)
)

// SessionTime is how long a session lasts.
const SessionTime = 8 * time.Hour

// hash is that of a secret. Secrets themselves are not kept, and the time that it takes to compare hashes tells nothing of them.
type hash [sha256.Size]byte

func hashOf(secret string) hash { return sha256.Sum256([]byte(secret)) }

// Sessions are the browsers that are signed in, and the codes by which others may be. They are in memory alone: the end of the
// process ends them. They are safe for concurrent use.
type Sessions struct {
	now func() time.Time

	mu       sync.Mutex
	sessions []Session // the oldest first
	codes    []code    // the same
	failures map[netip.Prefix]failures
}

// Session is a browser that is signed in.
type Session struct {
	ID        string // for logs: it opens nothing
	ExpiresAt time.Time

	secret hash
	token  hash // server.admin_token at the sign-in: another one ends the session
}

// code signs one browser in.
type code struct {
	secret, token hash
	expiresAt     time.Time
}

// failures are the failed sign-ins of an address.
type failures struct {
	count int
	until time.Time // when they are forgotten
}

// NewSessions returns an empty set. now is the clock.
func NewSessions(now func() time.Time) *Sessions {
	return &Sessions{now: now, failures: map[netip.Prefix]failures{}}
}

// NewCode returns a code that signs one browser in within a minute. token is the server.admin_token in force, as in all
// methods; empty: there is none.
func (s *Sessions) NewCode(token string) (secret string, expiresAt time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := code{token: hashOf(token), expiresAt: s.now().Add(codeTime)}
	secret = rand.Text()
	c.secret = hashOf(secret)
	s.codes = append(s.codes[max(0, len(s.codes)-maxCodes+1):], c)
	return secret, c.expiresAt
}

// SignInByCode begins a session for whoever has a code, which is of no use afterwards. The error is answer.ErrDashboardCode. Wrong codes
// are not counted: nobody guesses one, and whoever shares the operator's address, as a web page does, could keep them out.
func (s *Sessions) SignInByCode(token, secret string) (session Session, key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := hashOf(secret)
	i := slices.IndexFunc(s.codes, func(c code) bool { return c.secret == sent })
	if i < 0 {
		return Session{}, "", errCode
	}
	c, now := s.codes[i], s.now()
	s.codes = slices.Delete(s.codes, i, i+1)
	if c.token != hashOf(token) || !now.Before(c.expiresAt) {
		return Session{}, "", errCode
	}
	session, key = s.begin(token, now)
	return session, key, nil
}

// SignInByToken begins a session for whoever has the token itself. The error is answer.ErrAdminToken or, for an address that
// has sent too many wrong ones, answer.ErrSignIns.
func (s *Sessions) SignInByToken(from netip.Addr, token, sent string) (session Session, key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, sender := s.now(), senderOf(from)
	if s.failed(sender, now).count >= maxFailures {
		return Session{}, "", errFailures
	}
	if token == "" || hashOf(sent) != hashOf(token) {
		s.fail(sender, now)
		return Session{}, "", answer.ErrAdminToken
	}
	session, key = s.begin(token, now)
	return session, key, nil
}

// begin begins a session, whose key is for its browser alone. The lock is held.
func (s *Sessions) begin(token string, now time.Time) (session Session, key string) {
	key = rand.Text() + rand.Text()
	session = Session{ExpiresAt: now.Add(SessionTime), secret: hashOf(key), token: hashOf(token)}
	id := hashOf("id " + key)
	session.ID = hex.EncodeToString(id[:4])
	s.sessions = append(s.sessions[max(0, len(s.sessions)-maxSessions+1):], session)
	return session, key
}

// Find returns the session that a key is of.
func (s *Sessions) Find(token, key string) (session Session, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(key)
	if i < 0 || !s.now().Before(s.sessions[i].ExpiresAt) || s.sessions[i].token != hashOf(token) {
		return Session{}, false
	}
	return s.sessions[i], true
}

// End ends the session that a key is of, if there is one.
func (s *Sessions) End(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(key); i >= 0 {
		s.sessions = slices.Delete(s.sessions, i, i+1)
	}
}

// index is that of the session of a key, -1 without one. The lock is held.
func (s *Sessions) index(key string) int {
	secret := hashOf(key)
	return slices.IndexFunc(s.sessions, func(other Session) bool { return other.secret == secret })
}

// failed returns the failures of a sender that still count. The lock is held.
func (s *Sessions) failed(sender netip.Prefix, now time.Time) failures {
	f := s.failures[sender]
	if !now.Before(f.until) {
		return failures{}
	}
	return f
}

// fail counts a failure. The lock is held.
func (s *Sessions) fail(sender netip.Prefix, now time.Time) {
	if len(s.failures) >= maxAddresses {
		maps.DeleteFunc(s.failures, func(_ netip.Prefix, f failures) bool { return !now.Before(f.until) })
	}
	if len(s.failures) >= maxAddresses {
		clear(s.failures) // so many addresses are no operator's
	}
	f := s.failed(sender, now)
	s.failures[sender] = failures{f.count + 1, now.Add(failureTime)}
}

// senderOf is an address, of IPv6 the network of 64 bits that one subscriber has. The zero address is a Unix socket.
func senderOf(from netip.Addr) netip.Prefix {
	from = from.Unmap().WithZone("")
	if from.Is6() {
		return netip.PrefixFrom(from, 64).Masked()
	}
	return netip.PrefixFrom(from, from.BitLen())
}
