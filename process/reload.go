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
	"wxgate/config/strictyaml"
	"wxgate/input"
)

// lookEvery is how often the files of the configuration are read. Two looks must agree, so that a file is not taken over
// while it is being written.
const lookEvery = time.Second

// Source is gateway.yaml with the files that it names, read again at SIGHUP and when their content changes.
type Source struct {
	load    func() (config.Config, error)
	file    string
	hangups chan os.Signal
	files   []string          // that the configuration names which was read last, be it refused
	tried   [sha256.Size]byte // the content before that was read
	seen    [sha256.Size]byte // the content at the last look
}

// NewSource is the source of a file that load reads. It hears SIGHUP from now to the end: unheard, one would end us.
func NewSource(file string, load func() (config.Config, error)) *Source {
	s := &Source{file: file, load: load, hangups: make(chan os.Signal, 1)}
	signal.Notify(s.hangups, syscall.SIGHUP)
	return s
}

// Read reads the configuration. Its content is taken down before, so that no change falls between. When it names other
// files than the one before, these are looked at from now on, so that one which is not there yet is noticed when it comes.
func (s *Source) Read() (config.Config, error) {
	s.tried = s.content()
	cfg, err := s.load()
	named := cfg.Files() // also those of a configuration that is refused, as far as it could be read
	if (err == nil || len(named) > 0) && !slices.Equal(named, s.files) {
		s.files = named
		s.tried = s.content()
		cfg, err = s.load() // what content has seen, or newer
	}
	return cfg, err
}

// changed reports whether the content is another one than was read, and came to rest.
func (s *Source) changed() bool {
	before := s.seen
	s.seen = s.content()
	return s.seen == before && s.seen != s.tried
}

// content identifies what gateway.yaml and the files hold. Names are followed anew each time: a ConfigMap is changed by
// exchanging a link.
func (s *Source) content() (sum [sha256.Size]byte) {
	all := sha256.New()
	for _, file := range append([]string{s.file}, s.files...) {
		text, err := input.File(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			_, _ = fmt.Fprint(all, err) // a hash takes all
		}
		_, _ = fmt.Fprintf(all, "%d\n%s", len(text), text)
	}
	all.Sum(sum[:0])
	return sum
}

// reloader takes over a changed gateway.yaml while requests are served: at SIGHUP, and when the content of the file, or of
// one that it names, has changed.
type reloader struct {
	service *Service
	source  *Source
	running config.Config
	well    prometheus.Gauge
}

// newReloader is for a service that runs with what was read from the source.
func newReloader(s *Service, from *Source, cfg config.Config) *reloader {
	well := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wxgate_config_last_reload_successful", Help: "1 when the last reload, or the start, took the configuration over; 0 when it was refused.",
	})
	s.Metrics.MustRegister(well)
	well.Set(1)
	return &reloader{service: s, source: from, running: cfg, well: well}
}

// FollowReloads takes over what is read from a source, until ctx ends or the service closes. The service runs with cfg,
// which was read from there.
func (s *Service) FollowReloads(ctx context.Context, from *Source, cfg config.Config) {
	s.follow(ctx, newReloader(s, from, cfg).follow)
}

// follow runs what changes the service while it serves, until ctx ends or the service closes: nothing of it meets what is
// closed.
func (s *Service) follow(ctx context.Context, change func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	s.onClose(func() error { cancel(); <-done; return nil })
	go func() { defer close(done); change(ctx) }()
}

// follow reloads until ctx ends.
func (r *reloader) follow(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.source.hangups:
			r.try("SIGHUP")
		case <-ticker.C:
			if r.source.changed() {
				r.try("the content of a file changed")
			}
		}
	}
}

func (r *reloader) try(why string) {
	if err := r.reload(why); err != nil {
		r.well.Set(0)
		r.service.log.Error("reload refused, the running configuration stays", "because", why, "error", err)
		return
	}
	r.well.Set(1)
}

// reload reads the configuration again. A fault in it changes nothing.
func (r *reloader) reload(why string) error {
	cfg, err := r.source.Read()
	if err != nil {
		return err
	}
	next := r.running.Reload(cfg)
	if err := r.service.apply(next); err != nil {
		return err
	}
	changed, kept := strictyaml.Differ(r.running, next), strictyaml.Differ(next, cfg)
	if len(changed) == 0 {
		changed = []string{"no key"} // a file that one names may have changed
	}
	r.running = next
	r.service.log.Info("reloaded", "because", why, "changed", strings.Join(changed, " "), "routes", len(cfg.Routes), "upstreams", len(cfg.Upstreams), "keys", len(cfg.Authn.Keys))
	config.WarnOpenings(cfg, r.service.log)
	if len(kept) > 0 {
		r.service.log.Warn("these keys changed too, and need a restart", "keys", strings.Join(kept, " "))
	}
	return nil
}

// apply makes cfg the configuration of the requests to come, apart from what only a restart can change. An error leaves
// everything as it was.
func (s *Service) apply(cfg config.Config) error {
	if err := checkAdminSocket(s.admin, cfg.Server.AdminToken); err != nil {
		return err
	}
	push, err := newPush(cfg.WeChat)
	if err != nil {
		return err
	}
	next, err := s.upstreams.next(cfg.Services())
	if err != nil {
		return err
	}
	if err := s.authn.Tokens.SetKeys(cfg.Authn.Algorithm, cfg.Authn.Keys); err != nil {
		next.drop()
		return fmt.Errorf("taking over the keys: %w", err)
	}
	if err := s.gateway.Reload(cfg.Gateway(), next.all, push); err != nil {
		next.drop()
		return fmt.Errorf("taking over the gateway's sections: %w", err)
	}
	s.logs.set(cfg.Log)
	s.setTimeouts(cfg.Server.Timeouts)
	return s.upstreams.become(next)
}
