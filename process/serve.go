// Package process is one running wxgate: it opens everything in order, serves, reloads, hands over to a successor, and
// closes everything again.
package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"wxgate/authn"
	"wxgate/config"
	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/gateway/listen"
	"wxgate/process/handover"
	"wxgate/storage"
	"wxgate/storage/badger"
)

// Run serves the configuration of a file until ctx ends, and then ends or hands over: whoever it handed over to is waited for.
func Run(ctx context.Context, file string, env strictyaml.LookupEnv, queue *LogQueue) error {
	from := NewSource(file, func() (config.Config, error) {
		cfg, _, err := config.LoadWithFiles(file, env)
		return cfg, err
	})
	cfg, err := from.Read()
	if err != nil {
		return err
	}
	log := NewLogs(cfg.Log, queue)
	if err := checkDescriptors(listen.DescriptorLimit(), log.Logger); err != nil {
		return err
	}
	warn(cfg, env, log.Logger)
	restarts, err := newRestarter(ctx)
	if err != nil {
		return err
	}
	ctx, orphan := context.WithCancelCause(ctx)
	restarts.onOrphaned(func() { orphan(errOrphaned) })
	sockets, err := restarts.inherit(cfg.Server)
	if err != nil {
		return err
	}
	svc, err := open(ctx, cfg, log, sockets, "")
	if err != nil {
		return err
	}
	restarts.onOrphaned(func() { svc.hurry(errOrphaned) }) // also while it drains for another reason
	svc.FollowReloads(ctx, from, cfg)
	err = svc.Serve(ctx, func() error {
		err := restarts.serving(svc)
		svc.follow(ctx, restarts.follow)
		return err
	})
	if !svc.handed {
		return err
	}
	if err != nil { // who was told to end with the one who serves does so
		log.Error("after the hand-over", "error", err)
	}
	code, err := restarts.shepherd()
	if err == nil && code != 0 {
		err = ExitCode(code)
	}
	return err
}

// warn logs what holds of a configuration, and may not be meant.
func warn(cfg config.Config, env strictyaml.LookupEnv, log *slog.Logger) {
	warnCloudRun(cfg, env, log)
	config.WarnOpenings(cfg, log)
	for _, warning := range cfg.Warnings() {
		log.Warn("the configuration holds, but may not be meant so", "warning", warning.Error())
	}
}

// ExitCode ends the process with a code of its own, and says nothing: whoever had it said why.
type ExitCode int

func (c ExitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// Service is a gateway with all that it stands on, open and listening.
type Service struct {
	log       *slog.Logger
	logs      *Logs
	preDrain  atomic.Int64 // a time.Duration
	drain     atomic.Int64 // the same
	Metrics   *prometheus.Registry
	store     *storage.Store
	folder    folder
	authn     *authn.Authn
	upstreams *upstreams
	gateway   *gateway.Gateway
	gate      *handover.Gate // of the store
	public    net.Listener
	shared    bool // public is systemd's too
	admin     net.Listener
	replaced  chan func(context.Context) error // gives the clients to a successor that serves
	handed    bool                             // a successor has them
	haste     chan struct{}                    // closed when another process is about to take the place of this one
	hurried   sync.Once
	closers   []func() error // in the order of opening
}

// folder is a store that can be given to another process for a while; one that others share needs none.
type folder interface {
	Release(ctx context.Context) error   // reads and writes wait
	Reacquire(ctx context.Context) error // they go on
}

// Open opens a service with listeners of its own. Where the sandbox is WeChat, tourist is the person for whom a code
// of touristappid logs in; empty: nobody.
func Open(ctx context.Context, cfg config.Config, log *Logs, tourist string) (*Service, error) {
	return open(ctx, cfg, log, inherited{}, tourist)
}

// open opens everything in dependency order: store, WeChat, authn, upstreams, gateway, listeners. On an error what was
// opened is closed again.
func open(ctx context.Context, cfg config.Config, log *Logs, sockets inherited, tourist string) (*Service, error) {
	s := &Service{log: log.Logger, logs: log, public: sockets.public, shared: sockets.shared, admin: sockets.admin, replaced: make(chan func(context.Context) error), haste: make(chan struct{})}
	s.setTimeouts(cfg.Server.Timeouts)
	if err := s.open(ctx, cfg, tourist); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Service) setTimeouts(cfg gateway.Timeouts) {
	s.preDrain.Store(int64(cfg.PreDrain))
	s.drain.Store(int64(cfg.Drain))
}

func (s *Service) open(ctx context.Context, cfg config.Config, tourist string) error {
	metrics := newMetrics()
	s.logs.queue.count(metrics)
	if err := s.openStore(ctx, cfg.Storage, metrics); err != nil {
		return fmt.Errorf("opening storage: %w", err)
	}
	apps, brokers, err := s.openWeChat(cfg.WeChat, metrics)
	if err != nil {
		return err
	}
	push, err := newPush(cfg.WeChat)
	if err != nil {
		return err
	}
	auth, err := authn.New(ctx, cfg.Authn, authn.Deps{
		Store: s.store, Apps: apps, Budget: cfg.WeChat.Timeout, Concurrency: cfg.WeChat.Concurrency,
		Tourist: tourist,
		Metrics: metrics, Log: s.log.With("component", "authn"), Now: time.Now,
	})
	if err != nil {
		return fmt.Errorf("opening authn: %w", err)
	}
	services, err := openUpstreams(cfg.Services(), metrics, s.log.With("component", "upstream"))
	if err != nil {
		return err
	}
	s.onClose(services.close)
	s.Metrics, s.authn, s.upstreams = metrics, auth, services
	s.gate = handover.NewGate()
	s.gateway, err = gateway.New(cfg.Gateway(), gateway.Deps{
		Authn: auth, Storage: s.store, WeChat: brokers, Push: push, Upstreams: services.all, Metrics: metrics,
		Log: s.log.With("component", "gateway"), Access: s.log, LogFault: s.logs.queue.fault, Now: time.Now,
		Gate: s.gate,
	})
	if err != nil {
		return fmt.Errorf("opening the gateway: %w", err)
	}
	if err := s.listen(ctx, cfg.Server); err != nil {
		return err
	}
	s.onClose(func() error { // of a service that has not served
		for _, ln := range []net.Listener{s.public, s.admin} {
			if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				return err
			}
		}
		return nil
	})
	return nil
}

// openStore opens the store once no other process has it.
func (s *Service) openStore(ctx context.Context, cfg storage.Config, metrics prometheus.Registerer) error {
	return s.onceFree(ctx, func() error {
		opened, err := badger.Open(cfg, metrics, s.log.With("component", "storage"), time.Now)
		if err != nil {
			return err
		}
		s.store, s.folder = opened.Store, opened
		s.onClose(opened.Close)
		return nil
	})
}

func (s *Service) listen(ctx context.Context, cfg gateway.ServerConfig) error {
	if err := s.listenPublic(ctx, cfg.Listen); err != nil {
		return fmt.Errorf("listening for the public: %w", err)
	}
	if err := s.listenAdmin(ctx, cfg); err != nil {
		return errors.Join(fmt.Errorf("listening for the operator: %w", err), s.public.Close())
	}
	return nil
}

func (s *Service) listenAdmin(ctx context.Context, cfg gateway.ServerConfig) error {
	if s.admin == nil {
		err := s.onceFree(ctx, func() (err error) {
			s.admin, err = net.Listen("tcp", cfg.Admin)
			return err
		})
		if err != nil {
			return err
		}
	}
	if err := checkAdminSocket(s.admin, cfg.AdminToken); err != nil {
		return errors.Join(err, s.admin.Close())
	}
	return nil
}

func (s *Service) listenPublic(ctx context.Context, address string) error {
	cfg := s.gateway.ListenConfig()
	if s.public != nil {
		cfg.SharedSocket = s.shared
		s.public = listen.NewListener(s.public, cfg)
		return nil
	}
	return s.onceFree(ctx, func() error {
		ln, err := listen.Listen("tcp", address, cfg)
		if err == nil {
			s.public = ln
		}
		return err
	})
}

// sockets are the listening ones, public and admin.
func (s *Service) sockets() []syscall.Conn {
	var sockets []syscall.Conn
	public, admin := s.public, s.admin
	if strict, ok := public.(*listen.Listener); ok {
		public = strict.Listener
	}
	for _, ln := range []net.Listener{public, admin} {
		if socket, ok := ln.(syscall.Conn); ok {
			sockets = append(sockets, socket)
		}
	}
	return sockets
}

func (s *Service) onClose(f func() error) { s.closers = append(s.closers, f) }

// Close closes in the reverse order of opening.
func (s *Service) Close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	return errors.Join(errs...)
}

// Serve answers until ctx ends, a successor takes over, or a listener breaks; then it drains and closes. begun, which may
// be nil, is called once it answers.
func (s *Service) Serve(ctx context.Context, begun func() error) error {
	broken := make(chan error, 2)
	go func() { broken <- s.gateway.Serve(s.public) }()
	go func() { broken <- s.gateway.ServeAdmin(s.admin) }()
	s.log.Info("serving", "listen", s.public.Addr().String(), "admin", s.admin.Addr().String(), "version", version(), pid())
	var err error
	if begun != nil {
		err = begun()
	}
	err = errors.Join(err, notify(daemon.SdNotifyReady))
	running := 2
	if err != nil {
		s.hurry(err)
	} else {
		select {
		case <-ctx.Done():
			err = notify(daemon.SdNotifyStopping)
			s.announceStop()
		case handOver := <-s.replaced:
			s.handed = true
			drain, cancel := s.drainTime()
			defer cancel()
			err = s.give(drain, handOver)
			return errors.Join(err, s.stop(drain, broken, running))
		case err = <-broken:
			running--
		}
	}
	drain, cancel := s.drainTime()
	defer cancel()
	return errors.Join(err, s.stop(drain, broken, running))
}

// give hands the clients to a successor. Those that are not answered in the time of a drain are cut off by stop.
func (s *Service) give(ctx context.Context, handOver func(context.Context) error) error {
	err := handOver(ctx)
	if ctx.Err() != nil {
		return nil
	}
	s.hurry(err)
	return err
}

// hurry shortens the drain of a process whose place another one is about to take, whatever it drains for: the supervisor
// starts one as soon as the process in front, or this one, has ended.
func (s *Service) hurry(cause error) {
	if !errors.Is(cause, errOrphaned) && !errors.Is(cause, errSuccessorEnded) {
		return
	}
	s.hurried.Do(func() {
		s.log.Warn("ending, so that another can be started", "error", cause, pid())
		close(s.haste)
	})
}

// drainTime is a context that ends when a drain may take no longer.
func (s *Service) drainTime() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.drain.Load()))
	go func() {
		select {
		case <-ctx.Done():
		case <-s.haste:
			time.AfterFunc(hurriedDrain, cancel)
		}
	}()
	return ctx, cancel
}

// announceStop tells balancers that nothing should come here any more, and serves on until they have noticed.
func (s *Service) announceStop() {
	wait := time.Duration(s.preDrain.Load())
	if wait == 0 {
		return
	}
	s.log.Info("not ready any more, serving on", "for", wait.String())
	s.gateway.Drain()
	select {
	case <-time.After(wait):
	case <-s.haste:
	}
}

// stop drains what is in flight until ctx ends, waits for the listeners' goroutines and closes the rest.
func (s *Service) stop(ctx context.Context, broken <-chan error, running int) error {
	s.log.Info("draining", "for", time.Duration(s.drain.Load()).String(), pid())
	errs := []error{s.gateway.Shutdown(ctx)}
	for range running {
		errs = append(errs, <-broken)
	}
	errs = append(errs, s.Close())
	if s.handed {
		s.log.Info("stopped", "because", "a successor serves", pid())
	} else {
		s.log.Info("stopped", pid())
	}
	return errors.Join(errs...)
}

// Address is where the public is answered.
func (s *Service) Address() string { return s.public.Addr().String() }

// pid tells the lines of a process from those of its successor.
func pid() slog.Attr { return slog.Int("pid", os.Getpid()) }

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
