// Package issuer verifies tokens of others: of the identity provider, or the own login, of a team's web admin. Whom such
// a token names is a Caller, never a user of ours. A token chooses neither its key nor its algorithm: the keys come from
// one configured address or secret, and each has one algorithm.
//
// Keys that were fetched once stay known while their source does not answer. Everything is bounded, and safe for
// concurrent use.
package issuer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/token"
	"wxgate/lograte"
)

// ErrUnavailable is a token that nobody can judge, because no keys of its issuer could be fetched yet.
var ErrUnavailable = errors.New("no keys of the issuer could be fetched yet")

// Set is the issuers of authn.issuers.
type Set struct {
	byName atomic.Pointer[map[string]*source]
	deps   deps
	change sync.Mutex // guards Configure and Close
}

// deps are what all issuers of a Set work with.
type deps struct {
	leeway  time.Duration // how far clocks may differ
	metrics *metrics
	log     *slog.Logger
	often   *lograte.Log // the lines that clients provoke
	now     func() time.Time
}

// NewSet returns the issuers of valid configurations. Their keys are fetched in the background until Close. leeway is how
// far clocks may differ.
func NewSet(all []Config, leeway time.Duration, reg prometheus.Registerer, log *slog.Logger, now func() time.Time) *Set {
	s := &Set{deps: deps{leeway: leeway, metrics: newMetrics(reg), log: log, often: lograte.New(log, now), now: now}}
	s.byName.Store(&map[string]*source{})
	_ = s.Configure(all) // nothing is to be retired
	return s
}

// Configure replaces the issuers while requests are served. One that has not changed keeps its keys and the tokens that it
// verified. A changed one is replaced at once: its tokens are verified anew, with the keys that the one before knew if it
// has them from the same address for the same algorithms. Those that are gone stay until retire is called, when no route
// names them any more: their tokens are refused from then on.
func (s *Set) Configure(all []Config) (retire func()) {
	s.change.Lock()
	defer s.change.Unlock()
	before := *s.byName.Load()
	next, kept := maps.Clone(before), make(map[string]*source, len(all))
	for _, cfg := range all {
		if old := before[cfg.Name]; old == nil || !reflect.DeepEqual(old.cfg, cfg) {
			next[cfg.Name] = newSource(cfg, s.deps)
			next[cfg.Name].inherit(old)
			next[cfg.Name].start()
		}
		kept[cfg.Name] = next[cfg.Name]
	}
	s.replace(next)
	return func() {
		s.change.Lock()
		defer s.change.Unlock()
		s.replace(kept)
	}
}

// replace makes these the issuers, and ends the work of those that are none of them.
func (s *Set) replace(next map[string]*source) {
	before := *s.byName.Load()
	s.byName.Store(&next)
	for name, old := range before {
		if next[name] != old {
			old.close()
		}
		if next[name] == nil {
			s.deps.metrics.forget(name)
		}
	}
}

// Close ends the fetching of keys, and waits for it. Tokens are still verified.
func (s *Set) Close() {
	s.change.Lock()
	defer s.change.Unlock()
	for each := range maps.Values(*s.byName.Load()) {
		each.close()
	}
}

// Verify returns the caller of a credential, as token.Bearer reads one, if an issuer of ours signed it; name is that of
// the issuer. It may wait up to maxWait for keys. Errors are token.ErrMissing, token.ErrMalformed, token.ErrInvalid,
// token.ErrExpired and ErrUnavailable.
func (s *Set) Verify(ctx context.Context, name, credential string) (*Caller, error) {
	from := (*s.byName.Load())[name]
	if from == nil {
		return nil, token.ErrInvalid // a reload has just removed it
	}
	c, err := from.verify(ctx, credential)
	if err == nil {
		err = c.check(s.deps)
	}
	s.deps.metrics.verified(name, err)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Alive returns why what a caller began must end, nil if it may go on: token.ErrExpired for an expired token,
// token.ErrRevoked if its issuer or its key is gone.
func (s *Set) Alive(c *Caller) error {
	switch {
	case !s.deps.now().Before(c.ExpiresAt.Add(s.deps.leeway)):
		return token.ErrExpired
	case (*s.byName.Load())[c.Issuer] != c.from || !c.from.knows(c.signer):
		return token.ErrRevoked
	}
	return nil
}

// Caller is whom a token of an issuer names. It never changes.
type Caller struct {
	Issuer    string   // the name of the issuer in the configuration
	Subject   string   // 1 to 255 visible ASCII characters
	ID        [16]byte // a digest of both, by which limits count
	ExpiresAt time.Time
	Claims    []Claim // what services are told, sorted by name; values may be of any characters

	notBefore int64 // Unix seconds; the later one of iat and nbf
	from      *source
	signer    *key
}

// Claim is a claim of a token that authn.issuers[].headers names.
type Claim struct{ Name, Value string }

// Claim is the value of a claim that services are told, "" if the token does not have it.
func (c *Caller) Claim(name string) string {
	for _, each := range c.Claims {
		if each.Name == name {
			return each.Value
		}
	}
	return ""
}

// check checks the times of a verified token.
func (c *Caller) check(d deps) error {
	now := d.now()
	switch {
	case c.notBefore > now.Add(d.leeway).Unix():
		return token.ErrInvalid
	case !now.Before(c.ExpiresAt.Add(d.leeway)):
		return token.ErrExpired
	}
	return nil
}

// size is roughly what a cached caller takes, in bytes.
func (c *Caller) size() int {
	n := callerOverhead + len(c.Subject)
	for _, told := range c.Claims {
		n += claimOverhead + len(told.Value)
	}
	return n
}

// Check returns why a gateway with these keys and at that time would refuse a token of an issuer, nil if it would not. It
// fetches no keys: checked reports whether the signature was looked at.
func Check(cfg Config, bearer string, leeway time.Duration, now time.Time) (checked bool, err error) {
	t, err := parse(bearer)
	if err != nil {
		return false, err
	}
	if !slices.Contains(cfg.algorithms(), t.algorithm) {
		return false, fmt.Errorf("%w: alg is not one of %q", token.ErrInvalid, cfg.algorithms())
	}
	from := &source{cfg: cfg, deps: deps{leeway: leeway, now: func() time.Time { return now }}}
	if cfg.Secret != "" {
		checked = true
		if t.signer([]*key{secretKey(cfg)}) == nil {
			return checked, errSignature
		}
	}
	c, err := from.read(t.payload)
	if err != nil {
		return checked, err
	}
	return checked, c.check(from.deps)
}

// Fetch asks once for the keys of an issuer that has them at an address, as a gateway would. It returns how many can be
// used, and why the others cannot.
func Fetch(ctx context.Context, cfg Config) (usable int, ignored []string, err error) {
	data, err := newSource(cfg, deps{}).get(ctx)
	if err != nil {
		return 0, nil, err
	}
	keys, ignored, err := readSet(data, cfg.algorithms())
	return len(keys), ignored, err
}
