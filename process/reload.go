package process

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/config"
	"wxgate/config/audit"
	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/gateway/push"
	"wxgate/input"
)

// The files of the configuration are read again and again. Two reads in a row must agree, so that a file is not loaded
// while it is being written.
const (
	lookEvery = time.Second
	settle    = lookEvery / 2 // after a look that found a change
)

// Watcher reads gateway.yaml, with the files that it names, again on SIGHUP and when their content changes.
type Watcher struct {
	load     func() (config.Config, error)
	file     string
	hangups  chan os.Signal
	files    []string          // named by the configuration that was read last, even if that was refused
	lastRead [sha256.Size]byte // the content when the configuration was last read
	lastSeen [sha256.Size]byte // the content at the last look
}

// NewWatcher watches a file that load reads. SIGHUP is caught from now on, since by default it ends the process.
func NewWatcher(file string, load func() (config.Config, error)) *Watcher {
	w := &Watcher{file: file, load: load, hangups: make(chan os.Signal, 1)}
	signal.Notify(w.hangups, syscall.SIGHUP)
	return w
}

// Read reads the configuration. The content is recorded before that, so that no change is missed. Files that it did not
// name before are watched from now on, so that a file that does not exist yet is noticed once it does.
func (w *Watcher) Read() (config.Config, error) {
	w.lastRead = w.content()
	cfg, err := w.load()
	named := cfg.Files() // also those of a configuration that is refused, as far as it could be read
	if (err == nil || len(named) > 0) && !slices.Equal(named, w.files) {
		w.files = named
		w.lastRead = w.content()
		cfg, err = w.load() // at least as new as the content that was recorded
	}
	return cfg, err
}

// changed reports whether the content differs from what was last read, and is no longer being written.
func (w *Watcher) changed() bool {
	before := w.lastSeen
	w.lastSeen = w.content()
	return w.lastSeen == before && w.lastSeen != w.lastRead
}

// content identifies the content of gateway.yaml and of the files. Links are resolved each time: Kubernetes changes a
// ConfigMap by replacing one.
func (w *Watcher) content() (sum [sha256.Size]byte) {
	all := sha256.New()
	for _, file := range append([]string{w.file}, w.files...) {
		text, err := input.File(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			_, _ = fmt.Fprint(all, err) // a hash never fails
		}
		_, _ = fmt.Fprintf(all, "%d\n%s", len(text), text)
	}
	all.Sum(sum[:0])
	return sum
}

// reloader applies a changed gateway.yaml while requests are served.
type reloader struct {
	service   *Service
	watcher   *Watcher
	running   config.Config
	succeeded prometheus.Gauge
}

// newReloader is for a service that runs with cfg, which the watcher has read.
func newReloader(s *Service, watcher *Watcher, cfg config.Config) *reloader {
	well := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wxgate_config_last_reload_successful", Help: "1 when the last reload, or the start, took the configuration over; 0 when it was refused.",
	})
	s.Metrics.MustRegister(well)
	well.Set(1)
	s.chronicle.readFrom(watcher.file)
	return &reloader{service: s, watcher: watcher, running: cfg, succeeded: well}
}

// FollowReloads applies what a watcher reads, until ctx ends or the service is closed. The service runs with cfg, which
// the watcher has read.
func (s *Service) FollowReloads(ctx context.Context, watcher *Watcher, cfg config.Config) {
	s.follow(ctx, newReloader(s, watcher, cfg).follow)
}

// follow runs a function that changes the service while it serves, until ctx ends or the service is closed. Close waits
// for it, so that it never meets anything closed.
func (s *Service) follow(ctx context.Context, change func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	s.onClose(func() error { cancel(); <-done; return nil })
	go func() { defer close(done); change(ctx) }()
}

// follow reloads until ctx ends.
func (r *reloader) follow(ctx context.Context) {
	look := time.NewTimer(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.watcher.hangups:
			r.try("SIGHUP")
			continue
		case <-look.C:
		}
		switch {
		case r.watcher.changed():
			r.try("the content of a file changed")
			look.Reset(lookEvery)
		case r.watcher.lastSeen != r.watcher.lastRead:
			look.Reset(settle)
		default:
			look.Reset(lookEvery)
		}
	}
}

func (r *reloader) try(why string) {
	err := r.reload(why)
	r.service.chronicle.reload(r.running, err, time.Now())
	if err != nil {
		r.succeeded.Set(0)
		r.service.log.Error("reload refused, the running configuration stays", "because", why, "error", err)
		return
	}
	r.succeeded.Set(1)
}

// reload reads the configuration and applies it. If it is refused, nothing changes.
func (r *reloader) reload(why string) error {
	cfg, err := r.watcher.Read()
	if err != nil {
		return err
	}
	next := r.running.Reload(cfg)
	if err := r.service.apply(next); err != nil {
		return err
	}
	changed, kept := strictyaml.Differ(r.running, next), strictyaml.Differ(next, cfg)
	if len(changed) == 0 {
		changed = []string{"no key"} // but a file that it names may have changed
	}
	known := audit.Settings(r.running, config.Origin{})
	r.running = next
	r.service.log.Info("reloaded", "because", why, "changed", strings.Join(changed, " "), "routes", len(cfg.Routes), "upstreams", len(cfg.Upstreams), "keys", len(cfg.Authn.Keys))
	warn(r.service.log, audit.Since(known, audit.Settings(cfg, config.Origin{})))
	if len(kept) > 0 {
		r.service.log.Warn("these keys changed too, and need a restart", "keys", strings.Join(kept, " "))
	}
	return nil
}

// apply makes cfg the configuration of the requests to come, apart from what only a restart can change. All that can fail
// is prepared before anything changes, so after an error everything is as before.
func (s *Service) apply(cfg config.Config) error {
	if err := checkAdminSocket(s.admin, cfg.Server.AdminToken); err != nil {
		return err
	}
	pushes, err := newPushes(cfg.WeChat)
	if err != nil {
		return err
	}
	next, err := s.upstreams.next(cfg.Services())
	if err != nil {
		return err
	}
	adopt, err := s.prepare(cfg, next, pushes)
	if err != nil {
		next.discard()
		return err
	}
	adopt()
	s.logs.set(cfg.Log)
	s.setTimeouts(cfg.Server.Timeouts)
	return s.upstreams.activate(next)
}

// prepare makes what cfg changes of the keys, authn.on_user, the issuers and the gateway; adopt puts it in force.
func (s *Service) prepare(cfg config.Config, next *upstreams, pushes push.Apps) (adopt func(), err error) {
	keys, err := s.authn.Tokens.NewKeyring(cfg.Authn.Algorithm, cfg.Authn.Keys)
	if err != nil {
		return nil, fmt.Errorf("applying the keys: %w", err)
	}
	tellUsers, err := s.outbox.Prepare(cfg.Authn.OnUser, next.all)
	if err != nil {
		return nil, fmt.Errorf("applying authn.on_user: %w", err)
	}
	certificates, err := s.certificates.load(cfg)
	if err != nil {
		return nil, fmt.Errorf("applying the certificates: %w", err)
	}
	own, err := s.adminTLS.load(cfg)
	if err != nil {
		return nil, fmt.Errorf("applying the certificate of the admin listener: %w", err)
	}
	merchants, faults := cfg.Gateway().Merchants()
	if err := faults.Err(); err != nil {
		return nil, fmt.Errorf("applying wechat_pay: %w", err)
	}
	trace, err := s.tracer.Prepare(cfg.Tracing)
	if err != nil {
		return nil, fmt.Errorf("applying the section tracing: %w", err)
	}
	manager := s.certificates.manage(cfg.Server.TLS.ACME, s.sharedStore())
	defer func() {
		if err != nil && manager != nil && manager != s.certificates.acme {
			manager.Stop()
		}
	}()
	serve, err := s.gateway.Prepare(cfg.Gateway(), gateway.Change{Upstreams: next.all, Pushes: pushes, Merchants: merchants, Keys: keys, Certificates: certificates, ACME: manager})
	if err != nil {
		return nil, fmt.Errorf("applying the sections of the gateway: %w", err)
	}
	if err := s.checkKeys(keys.Materials()); err != nil {
		return nil, fmt.Errorf("applying the keys: %w", err)
	}
	return func() {
		trace()
		s.authn.Tokens.SetKeys(keys)
		tellUsers()
		retireIssuers := s.issuers.Configure(cfg.Authn.Issuers) // before the routes that name them
		serve()
		warnOfMerchants(merchants, s.log)
		retireIssuers()
		s.certificates.replaceManager(manager, s.startACME)
		s.certificates.adopt(certificates, cfg.Gateway().Hosts())
		s.adminTLS.running.Store(own)
		s.certificates.tell("server.admin_tls", own, nil)
	}, nil
}
