package process

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/config"
	"wxgate/gateway/certificate"
	"wxgate/gateway/certificate/acme"
	"wxgate/storage"
)

// certificates are those of server.tls, which change while they are served.
type certificates struct {
	running *certificate.Set // nil: the listener is plain
	mu      sync.Mutex
	acme    *acme.Manager // nil: server.tls.acme is off
	stopped bool
	log     *slog.Logger
	expiry  *prometheus.GaugeVec
}

func newCertificates(reg prometheus.Registerer, log *slog.Logger) *certificates {
	c := &certificates{log: log, expiry: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "wxgate_tls_certificate_expiry_timestamp_seconds", Help: "When a certificate of server.tls or server.admin_tls ends, by its first name and its file; 0: none was issued yet.",
	}, []string{"name", "cert"})}
	reg.MustRegister(c.expiry)
	return c
}

// load reads the certificates of a configuration. One that clients refuse is no reason not to start, but it replaces none
// that is good.
func (c *certificates) load(cfg config.Config) (*certificate.Set, error) {
	return loadCertificates("server.tls", cfg.Server.TLS, c.running)
}

// loadCertificates is load for a section that runs with these; nil: with none.
func loadCertificates(section string, cfg certificate.Config, running *certificate.Set) (*certificate.Set, error) {
	if !cfg.Enabled() {
		return nil, nil // there are none
	}
	set, faults := cfg.Load()
	if err := faults.At(section).Err(); err != nil {
		return nil, err
	}
	if running == nil {
		return set, nil
	}
	before := running.Refused(time.Now())
	for _, refused := range set.Refused(time.Now()) {
		if !slices.ContainsFunc(before, func(r certificate.Refusal) bool { return r.Cert == refused.Cert }) {
			return nil, fmt.Errorf("%s: %s %s, and the one that is served is good", section, refused.Cert, refused.Why)
		}
	}
	return set, nil
}

// manage returns the manager of a configuration: the running one if nothing changes for it; nil: ACME is off. shared is a
// store that other processes have too, or nil.
func (c *certificates) manage(cfg certificate.ACME, shared *storage.Store) *acme.Manager {
	switch {
	case !cfg.Enabled():
		return nil
	case c.acme != nil && c.acme.Configuration().Equal(cfg):
		return c.acme
	}
	return acme.New(cfg, acme.Deps{Store: shared, Log: c.log.With("component", "acme"), Expiry: c.tellExpiry})
}

// acmeCert is the label of a certificate that is in no file of the configuration.
const acmeCert = "acme"

// tellExpiry sets when the certificate of a domain ends; the zero time: there is none.
func (c *certificates) tellExpiry(domain string, at time.Time) {
	var seconds float64
	if !at.IsZero() {
		seconds = float64(at.Unix())
	}
	c.expiry.WithLabelValues(domain, acmeCert).Set(seconds)
}

// replaceManager stops the running manager, and starts the next one, unless everything has been stopped.
func (c *certificates) replaceManager(next *acme.Manager, start func(*acme.Manager)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if next == c.acme {
		return
	}
	if c.acme != nil {
		c.acme.Stop()
	}
	c.acme = next
	switch {
	case next == nil:
	case c.stopped:
		next.Stop()
	default:
		start(next)
	}
}

// stop ends what is asked for, for good. What was issued is still served.
func (c *certificates) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped = true; c.acme != nil {
		c.acme.Stop()
	}
}

// adopt notes the certificates that are served from now on, and warns about them.
func (c *certificates) adopt(set *certificate.Set, hosts []string) {
	c.running = set
	c.expiry.Reset()
	if c.acme != nil {
		c.acme.Report()
	}
	c.tell("server.tls", set, hosts)
}

// tell counts and warns about the certificates of a section.
func (c *certificates) tell(section string, set *certificate.Set, hosts []string) {
	if set == nil {
		return
	}
	for _, each := range set.Expiries() {
		c.expiry.WithLabelValues(each.Name, each.Cert).Set(float64(each.At.Unix()))
	}
	for _, fault := range set.Warnings(time.Now(), hosts).At(section) {
		c.log.Warn("a certificate may not do", "id", fault.ID, "warning", fault.Error())
	}
}
