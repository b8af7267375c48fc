package acme

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"wxgate/gateway/certificate"
)

// Protocol is what an authority that looks at a domain speaks instead of HTTP (RFC 8737 §6.2).
const Protocol = acmez.ACMETLS1Protocol

// ChallengePath begins the paths that an authority asks for on port 80 (RFC 8555 §8.3).
const ChallengePath = "/.well-known/acme-challenge/"

// IsChallenge reports whether a client is an authority that looks at a domain (RFC 8737 §3): it offers that alone.
func IsChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == Protocol
}

// errNoChallenge is somebody who asks for a challenge that there is not.
var errNoChallenge = errors.New("there is no such challenge")

// lookupWait bounds how long a challenge of another process is looked for.
const lookupWait = 2 * time.Second

// Challenge returns the certificate that proves to an authority whose domain it is (TLS-ALPN-01). It may wait.
func (m *Manager) Challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, found := m.challenge(hello.Context(), certificate.AskedName(hello), acme.ChallengeTypeTLSALPN01)
	if !found {
		return nil, errNoChallenge
	}
	return acmez.TLSALPN01ChallengeCert(c)
}

// Answer returns the text that proves to an authority whose host it is (HTTP-01). It may wait.
func (m *Manager) Answer(ctx context.Context, host, path string) (text string, found bool) {
	c, found := m.challenge(ctx, strings.ToLower(host), acme.ChallengeTypeHTTP01)
	if !found || path != c.HTTP01ResourcePath() {
		return "", false
	}
	return c.KeyAuthorization, true
}

// challenge is the one that an authority was told to look at: ours, or that of another process.
func (m *Manager) challenge(ctx context.Context, domain, kind string) (c acme.Challenge, found bool) {
	if !m.Has(domain) {
		return c, false
	}
	if ours, known := certmagic.GetACMEChallenge(domain); known {
		c = ours.Challenge
	} else {
		ctx, cancel := context.WithTimeout(ctx, lookupWait)
		defer cancel()
		c = m.lookups.find(ctx, domain, m.readChallenge)
	}
	return c, c.Type == kind
}

// readChallenge reads what another process has written.
func (m *Manager) readChallenge(domain string) (c acme.Challenge) {
	ctx, cancel := context.WithTimeout(m.ctx, lookupWait)
	defer cancel()
	for _, file := range m.tokenFile(domain) {
		text, err := m.storage.Load(ctx, file)
		if err == nil && json.Unmarshal(text, &c) == nil {
			return c
		}
	}
	return acme.Challenge{}
}

// lookupEvery is between two lookups of one domain. Strangers may ask for challenges too, and all who ask meanwhile share
// one lookup, which begins after they have asked.
const lookupEvery = 100 * time.Millisecond

// lookups are those that wait to begin, by domain.
type lookups struct {
	mu      sync.Mutex
	waiting map[string]*lookup
}

// lookup is one that others may wait for.
type lookup struct {
	done  chan struct{}
	found acme.Challenge
}

// find returns what read finds, or nothing when ctx ends.
func (l *lookups) find(ctx context.Context, domain string, read func(domain string) acme.Challenge) acme.Challenge {
	each := l.join(domain, read)
	select {
	case <-each.done:
		return each.found
	case <-ctx.Done():
		return acme.Challenge{}
	}
}

func (l *lookups) join(domain string, read func(domain string) acme.Challenge) *lookup {
	l.mu.Lock()
	defer l.mu.Unlock()
	if each := l.waiting[domain]; each != nil {
		return each
	}
	each := &lookup{done: make(chan struct{})}
	if l.waiting == nil {
		l.waiting = map[string]*lookup{}
	}
	l.waiting[domain] = each
	time.AfterFunc(lookupEvery, func() {
		l.mu.Lock()
		delete(l.waiting, domain)
		l.mu.Unlock()
		each.found = read(domain)
		close(each.done)
	})
	return each
}
