// Package process is one running wxgate: it opens everything in order, serves, reloads, hands over to a successor, and
// closes everything again.
package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"wxgate/authn"
	"wxgate/authn/issuer"
	"wxgate/authn/wechat"
	"wxgate/config"
	"wxgate/config/audit"
	"wxgate/config/strictyaml"
	"wxgate/gateway"
	"wxgate/gateway/certificate/acme"
	"wxgate/gateway/listen"
	"wxgate/histogram"
	"wxgate/outbox"
	"wxgate/process/handover"
	"wxgate/storage"
	"wxgate/storage/backup"
	"wxgate/storage/badger"
	"wxgate/storage/mysql"
	"wxgate/tracing"
)

// Run serves the configuration in a file until ctx ends or a successor has taken over. It waits for the successor.
func Run(ctx context.Context, file string, env strictyaml.LookupEnv, queue *LogQueue) error {
	var origin config.Origin
	watcher := NewWatcher(file, func() (cfg config.Config, err error) {
		cfg, origin, err = config.LoadWithFiles(file, env)
		return cfg, err
	})
	cfg, err := watcher.Read()
	if err != nil {
		return err
	}
	log := NewLogs(cfg.Log, queue)
	if err := checkDescriptors(listen.DescriptorLimit(), log.Logger); err != nil {
		return err
	}
	limitMemory(os.DirFS("/"), env, log.Logger)
	if err := checkPlace(cfg.Storage); err != nil {
		return err
	}
	warn(log.Logger, audit.Settings(cfg, origin))
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
	svc.FollowReloads(ctx, watcher, cfg)
	err = svc.Serve(ctx, func() error {
		err := restarts.announce(svc)
		svc.follow(ctx, restarts.follow)
		return err
	})
	if !svc.handedOver {
		return err
	}
	if err != nil { // the serving process decides how this one ends
		log.Error("after the hand-over", "error", err)
	}
	code, err := restarts.supervise()
	if err == nil && code != 0 {
		err = ExitCode(code)
	}
	return err
}

// maxWarned is how many findings a start or a reload names, so that nothing else it says is lost among them.
const maxWarned = 5

// warn logs what is valid in a configuration and may still be a mistake, the worst first.
func warn(log *slog.Logger, findings []audit.Finding) {
	slices.SortStableFunc(findings, func(a, b audit.Finding) int {
		return cmp.Compare(slices.Index(audit.Severities(), b.Severity), slices.Index(audit.Severities(), a.Severity))
	})
	if more := len(findings) - maxWarned; more > 0 {
		defer log.Warn("there are more warnings: run wxgate check", "more", more)
		findings = findings[:maxWarned]
	}
	for _, f := range findings {
		level := slog.LevelWarn
		if f.Severity == audit.Info {
			level = slog.LevelInfo
		}
		log.Log(context.Background(), level, "the configuration holds, but may not be meant so", "id", f.ID, "severity", string(f.Severity), "key", f.Path, "warning", f.Message)
	}
}

// ExitCode is an error that ends the process with this code and without a message: a successor has said why.
type ExitCode int

func (c ExitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// Service is a gateway with everything it needs, open and listening.
type Service struct {
	log          *slog.Logger
	logs         *Logs
	preDrain     atomic.Int64 // a time.Duration
	drain        atomic.Int64 // the same
	Metrics      *histogram.Registry
	store        *storage.Store
	folder       folder
	feed         authn.Feed // nil: no other process has the store
	authn        *authn.Authn
	issuers      *issuer.Set
	outbox       *outbox.Outbox
	upstreams    *upstreams
	certificates *certificates
	adminTLS     adminTLS
	tracer       *tracing.Tracer
	chronicle    chronicle
	gateway      *gateway.Gateway
	gate         *handover.Gate // of the store
	inherited    inherited      // sockets that were open before
	public       *listen.Listener
	redirects    *listen.Listener // server.http; nil: none
	http3        bool             // on the port of public
	admin        net.Listener
	successors   chan func(context.Context) error // receives the function that gives the clients to a successor
	handedOver   bool                             // a successor has the clients
	replaced     chan error                       // receives why the store is not to be served from any more
	haste        chan struct{}                    // closed when another process is about to be started in our place
	hurried      sync.Once
	closers      []func() error // in the order of opening
}

// folder is a store that one process at a time can have, and that it can release for a while.
type folder interface {
	Release(ctx context.Context) error   // reads and writes block
	Reacquire(ctx context.Context) error // they continue
}

// Open opens a service with listeners of its own. tourist is the person whom a code of touristappid logs in, where the
// sandbox stands in for WeChat; empty: nobody.
func Open(ctx context.Context, cfg config.Config, log *Logs, tourist string) (*Service, error) {
	return open(ctx, cfg, log, inherited{}, tourist)
}

// open opens everything in the order of dependencies: store, WeChat, authn, upstreams, gateway, listeners. After an
// error everything that was opened is closed.
func open(ctx context.Context, cfg config.Config, log *Logs, sockets inherited, tourist string) (*Service, error) {
	s := &Service{log: log.Logger, logs: log, inherited: sockets, admin: sockets.admin, successors: make(chan func(context.Context) error), replaced: make(chan error, 1), haste: make(chan struct{})}
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
	s.chronicle.begin(cfg, time.Now())
	metrics := newMetrics(cfg.Metrics)
	s.logs.queue.count(metrics)
	if err := s.openTracer(cfg.Tracing, metrics); err != nil {
		return err
	}
	s.onClose(func() error { // after the store: see outbox.Wait
		if s.outbox != nil {
			s.outbox.Wait()
		}
		return nil
	})
	if err := s.openStore(ctx, cfg.Storage, metrics); err != nil {
		return fmt.Errorf("opening storage: %w", err)
	}
	s.log.Info("storing", place(cfg.Storage)...)
	apps, brokers, err := s.openWeChat(cfg.WeChat, metrics)
	if err != nil {
		return err
	}
	webs, err := s.openWebs(cfg.WeChat, metrics)
	if err != nil {
		return err
	}
	pushes, err := newPushes(cfg.WeChat)
	if err != nil {
		return err
	}
	linked := func(ctx context.Context, d *storage.Delivery) error { return s.authn.Users.Linked(ctx, d) } // nobody is told before Prepare
	s.outbox = outbox.New(s.store, linked, metrics, s.log.With("component", "outbox"), time.Now)
	s.onClose(func() error { s.outbox.Stop(); return nil })
	auth, err := authn.New(ctx, cfg.Authn, authn.Deps{
		Store: s.store, Feed: s.feed, MaxStaleness: cfg.Storage.MySQL.MaxStaleness, Announcer: s.outbox, Apps: apps, Webs: webs, Budget: cfg.WeChat.Timeout, Concurrency: cfg.WeChat.Concurrency,
		Tourist: tourist,
		Metrics: metrics, Log: s.log.With("component", "authn"), Now: time.Now,
	})
	if err != nil {
		return fmt.Errorf("opening authn: %w", err)
	}
	s.authn = auth
	services, err := openUpstreams(cfg.Services(), metrics, s.log.With("component", "upstream"))
	if err != nil {
		return err
	}
	s.onClose(services.close)
	s.log.Info("routing", "routes", len(cfg.Routes), "upstreams", len(cfg.Upstreams))
	s.certificates = newCertificates(metrics, s.log)
	certificates, err := s.certificates.load(cfg)
	if err != nil {
		return err
	}
	s.certificates.acme = s.certificates.manage(cfg.Server.TLS.ACME, s.sharedStore())
	s.onClose(func() error { s.certificates.stop(); return nil })
	s.certificates.adopt(certificates, cfg.Gateway().Hosts())
	own, err := s.adminTLS.load(cfg)
	if err != nil {
		return err
	}
	s.adminTLS.running.Store(own)
	s.certificates.tell("server.admin_tls", own, nil)
	tellUsers, err := s.outbox.Prepare(cfg.Authn.OnUser, services.all)
	if err != nil {
		return err
	}
	tellUsers()
	s.issuers = issuer.NewSet(cfg.Authn.Issuers, cfg.Authn.Leeway, metrics, s.log.With("component", "issuer"), time.Now)
	s.onClose(func() error { s.issuers.Close(); return nil })
	s.Metrics, s.upstreams = metrics, services
	s.warnOfApps(ctx, cfg.WeChat)
	s.untilClosed(s.authn.Follow)        // those revoked by other processes
	s.untilClosed(s.authn.Deletions.Run) // of users whose time has come
	if err := s.stayJoined(ctx); err != nil {
		return err
	}
	if err := s.makeBackups(cfg.Storage.Backup); err != nil {
		return err
	}
	merchants, faults := cfg.Gateway().Merchants()
	if err := faults.Err(); err != nil {
		return err
	}
	warnOfMerchants(merchants, s.log)
	s.gate = handover.NewGate()
	s.gateway, err = gateway.New(cfg.Gateway(), gateway.Deps{
		Authn: auth, Issuers: s.issuers, Storage: s.store, WeChat: brokers, Pushes: pushes, Pushed: s.store, Quotas: s.store, Merchants: merchants, Upstreams: services.all, Certificates: certificates, ACME: s.certificates.acme, Metrics: metrics,
		Log: s.log.With("component", "gateway"), Access: s.logs.Access, Tracer: s.tracer, LogFault: s.logs.queue.fault, Now: time.Now,
		Gate: s.gate, Process: s.chronicle.shown,
	})
	if err != nil {
		return fmt.Errorf("opening the gateway: %w", err)
	}
	s.untilClosed(s.gateway.TellErasures)
	if err := s.listen(ctx, cfg.Server); err != nil {
		return err
	}
	if s.certificates.acme != nil {
		s.startACME(s.certificates.acme)
	}
	s.onClose(func() error { // for a service that never served
		for _, ln := range s.listeners() {
			if err := ln.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				return err
			}
		}
		return nil
	})
	return nil
}

// openTracer opens what records requests. It is closed last, when no span begins any more.
func (s *Service) openTracer(cfg tracing.Config, metrics prometheus.Registerer) (err error) {
	host, err := os.Hostname()
	if err != nil {
		host = "a machine without a name"
	}
	about := tracing.Resource{Version: version(), Host: host, PID: os.Getpid()}
	if s.tracer, err = tracing.New(cfg, about, metrics, s.log.With("component", "tracing"), time.Now); err != nil {
		return err
	}
	s.onClose(func() error { s.tracer.Close(); return nil })
	return nil
}

// place is where users are kept, for the log.
func place(cfg storage.Config) []any {
	if cfg.Driver == storage.DriverMySQL {
		return []any{"driver", cfg.Driver}
	}
	return []any{"driver", cfg.Driver, "dir", cfg.Badger.Dir}
}

// sharedStore is the store if other processes have it too; nil: it is this process's own.
func (s *Service) sharedStore() *storage.Store {
	if !s.store.Shared() {
		return nil
	}
	return s.store
}

// startACME lets a manager answer on our listeners.
func (s *Service) startACME(m *acme.Manager) {
	var plain net.Addr
	if s.redirects != nil {
		plain = s.redirects.Addr()
	}
	m.Start(s.public.Addr(), plain)
}

// checkPlace refuses a folder that would not last.
func checkPlace(cfg storage.Config) error {
	if cfg.Driver != storage.DriverBadger {
		return nil
	}
	return badger.CheckPlace(cfg.Badger)
}

// openStore opens the store as soon as no other process has it, or beside other processes if it is a database.
func (s *Service) openStore(ctx context.Context, cfg storage.Config, metrics prometheus.Registerer) error {
	log := s.log.With("component", "storage")
	if cfg.Driver == storage.DriverMySQL {
		opened, err := mysql.Open(ctx, cfg, metrics, log, time.Now)
		if err != nil {
			return err
		}
		s.store, s.folder, s.feed = opened.Store, shared{}, opened
		s.onClose(opened.Close)
		return storage.BeginServing(ctx, opened.Store)
	}
	return s.onceFree(ctx, func() error {
		opened, err := badger.Open(cfg, metrics, log, time.Now)
		if err != nil {
			return err
		}
		s.store, s.folder = opened.Store, opened
		s.onClose(opened.Close)
		return storage.BeginServing(ctx, opened.Store)
	})
}

// appIDsLooked is how many mini-programs of users a start looks at.
const appIDsLooked = 1000

// warnOfApps tells of users who cannot log in, since their mini-program is not in the configuration.
func (s *Service) warnOfApps(ctx context.Context, cfg wechat.Config) {
	stored, err := s.store.AppIDs(ctx, appIDsLooked)
	if err != nil {
		s.log.Warn("the mini-programs of the users are unknown", "error", err)
	}
	if unknown := cfg.Unknown(stored); len(unknown) > 0 {
		s.log.Warn("there are users of mini-programs that the section wechat does not have: they cannot log in", "appids", unknown)
	}
}

// shared is the folder of a store that any number of processes have open.
type shared struct{}

// Release has nothing to release.
func (shared) Release(context.Context) error { return nil }

// Reacquire has nothing to take back.
func (shared) Reacquire(context.Context) error { return nil }

// untilClosed runs something until the service closes, which waits for it.
func (s *Service) untilClosed(run func(ctx context.Context)) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { run(ctx) })
	s.onClose(func() error {
		stop()
		running.Wait()
		return nil
	})
}

// makeBackups makes those of the schedule until the service closes.
func (s *Service) makeBackups(cfg storage.Backup) error {
	if err := backup.CheckPlace(cfg); err != nil && cfg.Every > 0 {
		s.log.Warn("backups would not last", "error", err)
	}
	schedule, err := backup.NewSchedule(cfg, s.store, s.Metrics, s.log.With("component", "backup"), time.Now)
	if err != nil {
		return err
	}
	s.untilClosed(schedule.Run)
	return nil
}

func (s *Service) listen(ctx context.Context, cfg gateway.ServerConfig) error {
	s.http3 = cfg.HTTP3
	if err := s.listenPublic(ctx, cfg.Listen); err != nil {
		return fmt.Errorf("listening for the public: %w", err)
	}
	if err := s.listenAdmin(ctx, cfg); err != nil {
		return errors.Join(fmt.Errorf("listening for the operator: %w", err), s.public.Close())
	}
	if err := s.listenRedirects(ctx, cfg.HTTP); err != nil {
		return errors.Join(fmt.Errorf("server.http: %w", err), s.public.Close(), s.admin.Close())
	}
	return nil
}

// listenAdmin listens for the operator, unless a socket was open before.
func (s *Service) listenAdmin(ctx context.Context, cfg gateway.ServerConfig) error {
	if s.admin == nil {
		err := s.onceFree(ctx, func() (err error) {
			s.admin, err = listenOperator(cfg.Admin)
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
	cfg.SharedSocket = s.inherited.shared
	ln, err := s.listenTCP(ctx, s.inherited.public, address, cfg)
	s.public = ln
	return err
}

// listenRedirects opens the listener of server.http, if there is to be one.
func (s *Service) listenRedirects(ctx context.Context, address string) (err error) {
	if address == "" {
		return nil
	}
	cfg := s.gateway.ListenConfig()
	cfg.TLS, cfg.SharedSocket = nil, s.inherited.shared
	cfg.MaxConns, cfg.Idle = redirectConns(), cfg.ReadHeader
	s.redirects, err = s.listenTCP(ctx, s.inherited.redirects, address, cfg)
	return err
}

// redirectConns bounds the connections of server.http by what is left of the descriptors beside those of clients.
func redirectConns() int { return int(min(1024, max(8, listen.DescriptorLimit()/32))) }

// listenTCP listens on a socket that was open before, or else on an address as soon as no other process has it.
func (s *Service) listenTCP(ctx context.Context, open net.Listener, address string, cfg listen.Config) (ln *listen.Listener, err error) {
	if open != nil {
		return listen.NewListener(open, cfg), nil
	}
	err = s.onceFree(ctx, func() (err error) {
		ln, err = listen.Listen("tcp", address, cfg)
		return err
	})
	return ln, err
}

// listeners are those that are open.
func (s *Service) listeners() []io.Closer {
	all := []io.Closer{s.public, s.admin}
	if s.redirects != nil {
		all = append(all, s.redirects)
	}
	return all
}

// sockets returns the listening sockets: public, admin, and that of server.http if there is one.
func (s *Service) sockets() (sockets []syscall.Conn) {
	for _, ln := range s.listeners() {
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

// Serve answers requests until ctx ends, a successor takes over, a listener fails, or another process fills the store with other
// data; then it drains and closes.
// serving, which may be nil, is called once requests are answered.
func (s *Service) Serve(ctx context.Context, serving func() error) error {
	broken := make(chan error, 3)
	go func() { broken <- s.gateway.Serve(s.public) }()
	go func() { broken <- s.gateway.ServeAdmin(s.admin, s.adminTLS.config()) }()
	running := 2
	if s.redirects != nil {
		running++
		go func() { broken <- s.redirects.Serve(s.gateway.Redirector()) }()
	}
	until, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { new(memoryReturner).run(until) })
	if s.http3 {
		beside.Go(func() { s.servePackets(until) })
	}
	defer beside.Wait()
	defer stop()
	at := []any{"listen", s.public.Addr().String(), "admin", s.admin.Addr().String()}
	if s.redirects != nil {
		at = append(at, "redirects", s.redirects.Addr().String())
	}
	s.log.Info("serving", append(at, "version", version(), pid())...)
	var err error
	if serving != nil {
		err = serving()
	}
	err = errors.Join(err, notify(daemon.SdNotifyReady))
	if err != nil {
		s.hurry(err)
	} else {
		select {
		case <-ctx.Done():
			err = notify(daemon.SdNotifyStopping)
			s.announceStop()
		case handOver := <-s.successors:
			s.handedOver = true
			drain, cancel := s.drainTime()
			defer cancel()
			err = s.handOver(drain, handOver)
			return errors.Join(err, s.stop(drain, broken, running))
		case err = <-s.replaced:
		case err = <-broken:
			running--
		}
	}
	drain, cancel := s.drainTime()
	defer cancel()
	return errors.Join(err, s.stop(drain, broken, running))
}

// handOver gives the clients to a successor. Clients that are not answered within the time of a drain are cut off by
// stop.
func (s *Service) handOver(ctx context.Context, handOver func(context.Context) error) error {
	err := handOver(ctx)
	if ctx.Err() != nil {
		return nil
	}
	s.hurry(err)
	return err
}

// hurry shortens a drain, whatever its reason, when another process is about to be started in our place: systemd starts
// one as soon as the supervising process, or this one, has ended.
func (s *Service) hurry(cause error) {
	if !errors.Is(cause, errOrphaned) && !errors.Is(cause, errSuccessorEnded) {
		return
	}
	s.hurried.Do(func() {
		s.log.Warn("ending, so that another can be started", "error", cause, pid())
		close(s.haste)
	})
}

// drainTime returns a context that ends with the time for a drain.
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

// announceStop tells load balancers to send no more requests, and keeps serving until they have noticed.
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

// stop drains the requests in flight until ctx ends, waits for the goroutines of the listeners, and closes the rest.
func (s *Service) stop(ctx context.Context, broken <-chan error, running int) error {
	s.certificates.stop() // before the listeners close, on which its challenges arrive
	s.log.Info("draining", "for", time.Duration(s.drain.Load()).String(), pid())
	redirected := make(chan error, 1)
	go func() { redirected <- s.drainRedirects(ctx) }()
	errs := []error{s.gateway.Shutdown(ctx), <-redirected}
	for range running {
		errs = append(errs, <-broken)
	}
	errs = append(errs, s.Close())
	if s.handedOver {
		s.log.Info("stopped", "because", "a successor serves", pid())
	} else {
		s.log.Info("stopped", pid())
	}
	return errors.Join(errs...)
}

// drainRedirects ends server.http, if there is any.
func (s *Service) drainRedirects(ctx context.Context) error {
	if s.redirects == nil {
		return nil
	}
	err := s.redirects.Drain(ctx)
	s.redirects.Abort()
	return err
}

// Address is the address of the public listener.
func (s *Service) Address() string { return s.public.Addr().String() }

// AdminAddress is the address of the admin listener.
func (s *Service) AdminAddress() string { return s.admin.Addr().String() }

// pid is the attribute that tells the log lines of a process from those of its successor.
func pid() slog.Attr { return slog.Int("pid", os.Getpid()) }

// newMetrics returns a registry with the metrics that every Go process has, and the version.
func newMetrics(cfg histogram.Config) *histogram.Registry {
	reg := histogram.NewRegistry(cfg)
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wxgate_build_info", Help: "Always 1; its label is the version.", ConstLabels: prometheus.Labels{"version": version()},
	})
	build.Set(1)
	reg.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}
