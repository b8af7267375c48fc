package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"wxgate/authn"
	"wxgate/gateway"
	"wxgate/gateway/wire"
	"wxgate/storage/badger"
)

type serveCommand struct{}

// Run serves until the process is told to stop.
func (serveCommand) Run(ctx context.Context, w *world) error {
	cfg, err := loadConfig(w.config, w.env)
	if err != nil {
		return err
	}
	log := newLogs(cfg.Log, w.stderr)
	warnCloudRun(cfg, w.env, log.Logger)
	svc, err := openService(ctx, cfg, log)
	if err != nil {
		return err
	}
	reloads := newReloader(svc, w.config, cfg, func() (Config, error) { return loadConfig(w.config, w.env) })
	followed := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() { defer close(followed); reloads.follow(ctx) }()
	err = svc.serve(ctx)
	cancel()
	<-followed
	return err
}

// service is a gateway with all that it stands on, open and listening.
type service struct {
	log       *slog.Logger
	logs      *logs
	drain     atomic.Int64 // a time.Duration
	metrics   *prometheus.Registry
	authn     *authn.Authn
	upstreams *upstreams
	gateway   *gateway.Gateway
	public    net.Listener
	admin     net.Listener
	closers   []func() error // in the order of opening
}

// openService opens everything in dependency order: store, WeChat, authn, upstreams, gateway, listeners. On an error
// what was opened is closed again.
func openService(ctx context.Context, cfg Config, log *logs) (*service, error) {
	s := &service{log: log.Logger, logs: log}
	s.drain.Store(int64(cfg.Server.Timeouts.Drain))
	if err := s.open(ctx, cfg); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *service) open(ctx context.Context, cfg Config) error {
	metrics := newMetrics()
	store, err := badger.Open(cfg.Storage, metrics, s.log.With("component", "storage"), time.Now)
	if err != nil {
		return fmt.Errorf("opening storage: %w", err)
	}
	s.onClose(store.Close)
	clients, err := s.openWeChat(cfg.WeChat, store, metrics)
	if err != nil {
		return err
	}
	push, err := newPush(cfg.WeChat)
	if err != nil {
		return err
	}
	auth, err := authn.New(ctx, cfg.Authn, authn.Deps{
		Store: store, Apps: forAuthn(clients), Budget: cfg.WeChat.Timeout,
		Metrics: metrics, Log: s.log.With("component", "authn"), Now: time.Now,
	})
	if err != nil {
		return fmt.Errorf("opening authn: %w", err)
	}
	services, err := openUpstreams(cfg.Upstreams, metrics)
	if err != nil {
		return err
	}
	s.onClose(services.close)
	s.metrics, s.authn, s.upstreams = metrics, auth, services
	s.gateway, err = gateway.New(cfg.gateway(), gateway.Deps{
		Authn: auth, Storage: store, WeChat: forGateway(clients), Push: push, Upstreams: services.all, Metrics: metrics,
		Log: s.log.With("component", "gateway"), Access: s.log, Now: time.Now,
	})
	if err != nil {
		return fmt.Errorf("opening the gateway: %w", err)
	}
	return s.listen(cfg.Server)
}

func (s *service) listen(cfg gateway.ServerConfig) error {
	public, err := wire.Listen("tcp", cfg.Listen, s.gateway.WireConfig())
	if err != nil {
		return fmt.Errorf("listening for the public: %w", err)
	}
	s.public = public
	if s.admin, err = net.Listen("tcp", cfg.Admin); err != nil {
		return errors.Join(fmt.Errorf("listening for the operator: %w", err), public.Close())
	}
	return nil
}

func (s *service) onClose(f func() error) { s.closers = append(s.closers, f) }

// close closes in the reverse order of opening.
func (s *service) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// serve answers until ctx ends or a listener breaks, then drains and closes.
func (s *service) serve(ctx context.Context) error {
	broken := make(chan error, 2)
	go func() { broken <- s.gateway.Serve(s.public) }()
	go func() { broken <- s.gateway.ServeAdmin(s.admin) }()
	s.log.Info("serving", "listen", s.public.Addr().String(), "admin", s.admin.Addr().String(), "version", version())
	var err error
	running := 2
	select {
	case <-ctx.Done():
	case err = <-broken:
		running--
	}
	return errors.Join(err, s.stop(broken, running))
}

// stop drains what is in flight, waits for the listeners' goroutines and closes the rest.
func (s *service) stop(broken <-chan error, running int) error {
	drain := time.Duration(s.drain.Load())
	s.log.Info("draining", "for", drain.String())
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	errs := []error{s.gateway.Shutdown(ctx)}
	for range running {
		errs = append(errs, <-broken)
	}
	errs = append(errs, s.close())
	s.log.Info("stopped")
	return errors.Join(errs...)
}

// newMetrics is a registry of our own with what every Go process tells.
func newMetrics() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wxgate_build_info", Help: "Always 1; its label is the version.", ConstLabels: prometheus.Labels{"version": version()},
	})
	build.Set(1)
	reg.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}
