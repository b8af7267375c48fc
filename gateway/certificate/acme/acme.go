// Package acme gets certificates from an authority and renews them (RFC 8555, RFC 9773): it answers the challenges by which the
// authority sees whose domain it is, remembers what was issued, and backs off when it is refused.
package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"wxgate/gateway/certificate"
	"wxgate/storage"
)

// Deps are the dependencies of a Manager.
type Deps struct {
	Store  *storage.Store // has what is remembered; nil: the folder of the configuration has it
	Log    *slog.Logger
	Expiry func(domain string, at time.Time) // is told when the certificate of a domain ends, again and again; the zero time: there is none
}

// Manager has the certificates of the domains of a configuration. Processes with one folder, or one store, ask for a
// certificate once. It is safe for concurrent use. It must be stopped.
type Manager struct {
	cfg      certificate.ACME
	deps     Deps
	storage  certmagic.Storage
	cache    *certmagic.Cache
	magic    *certmagic.Config
	issuer   *certmagic.ACMEIssuer
	refusals *refusals
	lookups  lookups
	obtained chan struct{} // has a value for each domain that got its first certificate

	stop    context.CancelFunc
	stopped sync.Once
	ctx     context.Context // ends with Stop
	running sync.WaitGroup
}

// loadWait bounds how long New reads what is remembered.
const loadWait = 5 * time.Second

// checkMost is how often certificates of months are looked at; see Manager.pause.
const checkMost = 10 * time.Minute

// New returns a Manager with the certificates that are remembered. cfg must be valid and have domains. It asks for none
// before Start, and tells Deps.Expiry nothing before Report: its configuration may yet be refused.
func New(cfg certificate.ACME, deps Deps) *Manager {
	m := &Manager{cfg: cfg, deps: deps, refusals: &refusals{log: deps.Log}, obtained: make(chan struct{}, len(cfg.Domains))}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.storage = &certmagic.FileStorage{Path: cfg.Cache}
	if deps.Store != nil {
		m.storage = newStore(deps.Store, deps.Log)
	}
	m.cache = certmagic.NewCache(m.options(checkMost))
	m.magic = certmagic.New(m.cache, certmagic.Config{
		Storage: m.storage, Logger: m.logger(), OnEvent: m.refusals.event,
		OCSP:                certmagic.OCSPConfig{DisableStapling: true}, // authorities give it up, and phones do not look
		DisableStorageCheck: true,                                        // it writes another record each time
	})
	m.issuer = certmagic.NewACMEIssuer(m.magic, certmagic.ACMEIssuer{
		CA: cfg.Directory, Email: cfg.Email, Agreed: true, ExternalAccount: binding(cfg.EAB), Logger: m.logger(),
	})
	m.magic.Issuers = []certmagic.Issuer{m.issuer}
	ctx, cancel := context.WithTimeout(m.ctx, loadWait)
	defer cancel()
	for _, domain := range cfg.Domains {
		if _, err := m.magic.CacheManagedCertificate(ctx, domain); err != nil && !errors.Is(err, fs.ErrNotExist) {
			deps.Log.Warn("reading the certificate of ACME that is remembered", "domain", domain, "error", err)
		}
	}
	return m
}

func (m *Manager) logger() *zap.Logger { return zap.New(m.refusals) }

// options are those of the certificates that are served, which are looked at so often.
func (m *Manager) options(every time.Duration) certmagic.CacheOptions {
	return certmagic.CacheOptions{
		GetConfigForCert:   func(certmagic.Certificate) (*certmagic.Config, error) { return m.magic, nil },
		RenewCheckInterval: every, Logger: m.logger(),
	}
}

func binding(e certificate.EAB) *acme.EAB {
	if e.KID == "" {
		return nil
	}
	return &acme.EAB{KeyID: e.KID, MACKey: e.Key.Reveal()}
}

// Configuration is that of New.
func (m *Manager) Configuration() certificate.ACME { return m.cfg }

// Start asks for the certificates that are missing and renews the others, until Stop. secure is the listener of TLS and
// plain, which may be nil, that of HTTP: the challenges arrive there, and HTTP-01 is for a plain one alone.
func (m *Manager) Start(secure, plain net.Addr) {
	host, port := split(secure)
	m.issuer.ListenHost, m.issuer.AltTLSALPNPort = host, port
	if m.issuer.DisableHTTPChallenge = plain == nil; plain != nil {
		_, m.issuer.AltHTTPPort = split(plain)
	}
	for _, domain := range m.cfg.Domains {
		m.running.Go(func() { m.obtain(domain) })
	}
	m.running.Go(m.maintain)
}

// split is the host and the port of a listener. certmagic listens there itself if nobody does, which never happens: Stop
// comes before the listeners close.
func split(addr net.Addr) (host string, port int) {
	host, text, _ := net.SplitHostPort(addr.String())
	port, _ = strconv.Atoi(text)
	return host, port
}

// Stop ends what is under way, and waits for it. What other processes wait for is released.
func (m *Manager) Stop() {
	m.stopped.Do(func() {
		m.stop()
		m.running.Wait()
		m.cache.Stop()
	})
}

// obtainPause is between two looks at a store that does not answer, and after a month of refusals.
const obtainPause = 10 * time.Second

// obtain gets the certificate of a domain, unless there is one. It retries as certmagic does: after a minute, then after
// longer and longer, at last every six hours.
func (m *Manager) obtain(domain string) {
	for m.ctx.Err() == nil {
		_, err := m.magic.CacheManagedCertificate(m.ctx, domain)
		switch {
		case err == nil:
			m.Report()
			m.obtained <- struct{}{} // nobody waits for it
			return
		case errors.Is(err, fs.ErrNotExist):
			err = m.magic.ObtainCertAsync(m.ctx, domain)
		case m.torn(domain):
			m.deps.Log.Warn("the certificate of ACME that is remembered does not fit its key: asking for another", "domain", domain)
			err = m.storage.Delete(m.ctx, certmagic.StorageKeys.CertsSitePrefix(m.issuer.IssuerKey(), domain))
		}
		if err != nil && m.ctx.Err() == nil {
			m.refusals.notAsked(domain, err)
			m.wait(obtainPause, nil)
		}
	}
}

// torn reports whether what is remembered of a domain are two files that do not belong together, since a process was
// killed between the writing of them.
func (m *Manager) torn(domain string) bool {
	chain, err := m.storage.Load(m.ctx, certmagic.StorageKeys.SiteCert(m.issuer.IssuerKey(), domain))
	if err != nil {
		return false
	}
	key, err := m.storage.Load(m.ctx, certmagic.StorageKeys.SitePrivateKey(m.issuer.IssuerKey(), domain))
	if err != nil {
		return false
	}
	_, err = tls.X509KeyPair(chain, key)
	return err != nil
}

// maintain renews what ends: after two thirds of its life, or when the authority says so (ARI).
func (m *Manager) maintain() {
	for {
		pause := m.pause()
		m.cache.SetOptions(m.options(pause)) // what ends before the next look is renewed at this one
		if !m.wait(pause, m.obtained) {
			return
		}
		if err := m.cache.RenewManagedCertificates(m.ctx); err != nil {
			m.deps.Log.Error("renewing certificates of ACME", "error", err)
		}
		m.Report()
	}
}

// pause is between two looks at the certificates: a hundredth of the shortest life, so that those of a few days are renewed
// in time too.
func (m *Manager) pause() time.Duration {
	shortest := checkMost
	for _, domain := range m.cfg.Domains {
		if leaf := m.certificate(domain); leaf != nil {
			shortest = min(shortest, leaf.Leaf.NotAfter.Sub(leaf.Leaf.NotBefore)/100)
		}
	}
	return max(time.Second, shortest)
}

// wait waits for a time, or for something earlier, and reports whether that came rather than Stop.
func (m *Manager) wait(d time.Duration, earlier <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-m.ctx.Done():
		return false
	case <-earlier:
	case <-timer.C:
	}
	return true
}

// Report tells Deps.Expiry when the certificates end.
func (m *Manager) Report() {
	for _, domain := range m.cfg.Domains {
		var at time.Time
		if c := m.certificate(domain); c != nil {
			at = c.Leaf.NotAfter
		}
		m.deps.Expiry(domain, at)
	}
}

// certificate is that of a domain, the one that ends last; nil is none.
func (m *Manager) certificate(domain string) (last *tls.Certificate) {
	for _, each := range m.cache.AllMatchingCertificates(domain) {
		if last == nil || each.Leaf.NotAfter.After(last.Leaf.NotAfter) {
			last = &each.Certificate
		}
	}
	return last
}

// Has reports whether a name is one of the domains.
func (m *Manager) Has(name string) bool { return slices.Contains(m.cfg.Domains, name) }

// errNotYet is a handshake before there is a certificate.
var errNotYet = errors.New("the authority has not issued a certificate yet")

// Choose returns the certificate for the name that a client asks for; for another name, that of the first domain.
func (m *Manager) Choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := certificate.AskedName(hello)
	if !m.Has(name) {
		name = m.cfg.Domains[0]
	}
	if c := m.certificate(name); c != nil {
		return c, nil
	}
	return nil, errNotYet
}

// Missing returns the domains that have no certificate, not even in a file.
func (m *Manager) Missing(files *certificate.Set) (domains []string) {
	for _, domain := range m.cfg.Domains {
		if m.certificate(domain) == nil && !files.Has(domain) {
			domains = append(domains, domain)
		}
	}
	return domains
}

// tokenFile is where certmagic puts a challenge that another process may have to answer.
func (m *Manager) tokenFile(domain string) []string {
	var files []string
	for _, directory := range []string{m.issuer.CA, m.issuer.TestCA} {
		if directory != "" {
			key := (&certmagic.ACMEIssuer{CA: directory}).IssuerKey()
			files = append(files, path.Join("acme", certmagic.StorageKeys.Safe(key), "challenge_tokens", certmagic.StorageKeys.Safe(domain)+".json"))
		}
	}
	return files
}

// ErrUnknown is an authority that wants to know us first.
var ErrUnknown = errors.New("the authority wants an account of its own")

// CheckAuthority asks an authority for its directory, and returns ErrUnknown if it wants an account that the section lacks.
func CheckAuthority(ctx context.Context, cfg certificate.ACME) error {
	client := &acme.Client{Directory: cfg.Directory, HTTPClient: &http.Client{Timeout: loadWait}}
	if client.Directory == "" {
		client.Directory = certmagic.LetsEncryptProductionCA
	}
	directory, err := client.GetDirectory(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %s", client.Directory, reason(err))
	case directory.Meta != nil && directory.Meta.ExternalAccountRequired && cfg.EAB.KID == "":
		return fmt.Errorf("%s: %w", client.Directory, ErrUnknown)
	}
	return nil
}
