package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"wxgate/gateway"
	"wxgate/process/handover"
)

const (
	prepareWait = 30 * time.Second // for a successor to start and read its configuration
	quietWait   = 10 * time.Second // for logins and events in flight
	takeWait    = 60 * time.Second // for a successor to open the store and serve
	endWait     = 5 * time.Second  // for a successor that closed its channel to end
)

// errEndedEarly means that a successor could not serve, or is another program.
var errEndedEarly = errors.New("the successor ended before it served; its log says why, or the program is not wxgate")

// errDrained is why connections of server.http end with the process that answers them.
var errDrained = errors.New("connections that are only redirected are drained")

// executable is the path that this program was started from: by now the file there may be a newer one.
var executable, errExecutable = os.Executable() //nolint:gochecknoglobals // later the file may have been renamed or removed

// restarter hands everything over to a new process on SIGUSR2: the listening sockets, the store and the clients.
type restarter struct {
	service     *Service
	lineage     *handover.Lineage
	predecessor *handover.Channel // nil: this process is not a successor
	addresses   addresses
	orphaned    context.Context // done when this process is a successor and its supervisor is gone
	stopping    context.Context // done when this process is told to stop
	requests    chan os.Signal  // SIGUSR2; one that arrives before this process serves waits until it does. Caught to the end: by default it kills
	ended       chan struct{}   // closed when there is nobody left to pass signals on to
}

// addresses are what the listening sockets listen on, as the configuration has it.
type addresses struct {
	Public string `json:"public"`
	Admin  string `json:"admin"`
	HTTP   string `json:"http"` // empty: there is none
	Own    bool   `json:"own"`  // systemd does not hold them too; an older wxgate does not say
}

func newRestarter(stopping context.Context) (*restarter, error) {
	lineage, err := handover.NewLineage()
	if err != nil {
		return nil, err
	}
	predecessor, err := handover.Predecessor()
	if err != nil {
		return nil, err
	}
	orphaned, orphan := context.WithCancel(context.Background())
	r := &restarter{lineage: lineage, predecessor: predecessor, orphaned: orphaned, stopping: stopping, requests: make(chan os.Signal, 1), ended: make(chan struct{})}
	signal.Notify(r.requests, syscall.SIGUSR2)
	go func() {
		if lineage.AwaitOrphaned() {
			orphan()
		}
	}()
	return r, nil
}

// onOrphaned runs f when this process is a successor and its supervisor is gone.
func (r *restarter) onOrphaned(f func()) { context.AfterFunc(r.orphaned, f) }

// inherit returns the predecessor's listeners whose addresses are still those of the configuration, once the store is
// released.
func (r *restarter) inherit(cfg gateway.ServerConfig) (l inherited, err error) {
	r.addresses = addresses{Public: cfg.Listen, Admin: cfg.Admin, HTTP: cfg.HTTP}
	defer func() { r.addresses.Own = !l.shared }()
	if r.predecessor == nil {
		return activated()
	}
	m, err := r.predecessor.Receive(time.Now().Add(prepareWait))
	if err != nil {
		return l, fmt.Errorf("receiving the listening sockets: %w", err)
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	var theirs addresses
	if err := json.Unmarshal(m.Payload, &theirs); err != nil {
		return l, fmt.Errorf("reading the addresses of the listening sockets: %w", err)
	}
	l.shared = !theirs.Own
	if theirs.Public == cfg.Listen {
		if l.public, err = m.Listener(0); err != nil {
			return l, err
		}
	}
	if theirs.Admin == cfg.Admin {
		if l.admin, err = m.Listener(1); err != nil {
			return l, err
		}
	}
	if theirs.HTTP == cfg.HTTP && cfg.HTTP != "" {
		if l.redirects, err = m.Listener(2); err != nil {
			return l, err
		}
	}
	if err := r.predecessor.Send(handover.Prepared, nil); err != nil {
		return l, err
	}
	free, err := r.predecessor.Receive(time.Now().Add(quietWait + takeWait))
	return l, errors.Join(err, free.Close())
}

// announce tells the predecessor that this process is serving, and then takes over its clients.
func (r *restarter) announce(s *Service) error {
	r.service = s
	if r.predecessor == nil {
		return nil
	}
	if err := r.predecessor.Send(handover.Serving, nil); err != nil {
		return fmt.Errorf("announcing to the predecessor that this process serves: %w", errors.Join(errOrphaned, err)) // it has ended, or serves again
	}
	go r.takeClients()
	return nil
}

func (r *restarter) takeClients() {
	ln := r.service.public
	for {
		m, err := r.predecessor.Receive(time.Time{})
		if err != nil {
			if !errors.Is(err, handover.ErrEnded) {
				r.service.log.Error("taking clients over", "error", err)
			}
			return
		}
		client, err := m.Conn()
		if err != nil {
			r.service.log.Error("taking a client over", "error", err)
			continue
		}
		r.service.gateway.Adopt(ln, client, bytes.Clone(m.Payload))
	}
}

// follow hands over on SIGUSR2, once, until ctx ends.
func (r *restarter) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.requests:
		}
		r.service.log.Info("starting a successor", pid())
		successor, err := r.start(ctx)
		if err != nil {
			r.service.log.Error("no hand-over, this process goes on", "error", err)
			continue
		}
		r.service.log.Info("the successor serves, handing the clients over", "successor", successor.PID(), pid())
		select {
		case r.service.successors <- func(ctx context.Context) error { return r.handOver(ctx, successor) }:
		case <-ctx.Done(): // stopping
			successor.Stop(r.grace())
		}
		return
	}
}

// start starts a successor and waits until it serves. After an error this process still has everything it had before.
func (r *restarter) start(ctx context.Context) (*handover.Process, error) {
	if errExecutable != nil {
		return nil, errExecutable
	}
	p, err := r.lineage.Start(executable, os.Args[1:])
	if err != nil {
		return nil, err
	}
	if err := r.prepare(ctx, p); err != nil {
		if errors.Is(err, handover.ErrEnded) {
			err = errEndedEarly
		}
		r.endSuccessor(ctx, p, err)
		return nil, fmt.Errorf("%w; %s: %s", err, executable, p.ExitStatus())
	}
	return p, nil
}

// endSuccessor ends a successor that will not get the clients. If that is because everything is being stopped, it may
// already be serving some.
func (r *restarter) endSuccessor(ctx context.Context, p *handover.Process, cause error) {
	switch {
	case ctx.Err() != nil:
		p.Stop(r.grace())
	case errors.Is(cause, errEndedEarly):
		p.Await(endWait)
	default:
		p.Await(0)
	}
}

// grace is how long a successor may take to stop: the time of a drain and a little more.
func (r *restarter) grace() time.Duration {
	return time.Duration(r.service.drain.Load()) + 5*time.Second
}

// prepare gives a successor the listening sockets and the store, step by step.
func (r *restarter) prepare(ctx context.Context, p *handover.Process) error {
	payload, err := json.Marshal(r.addresses)
	if err != nil {
		return err
	}
	if err := p.Send(handover.Listeners, payload, r.service.sockets()...); err != nil {
		return err
	}
	if err := expect(ctx, p, handover.Prepared, prepareWait); err != nil {
		return err
	}
	quiet, cancel := context.WithTimeout(ctx, quietWait)
	defer cancel()
	if err := r.service.gate.Shut(quiet); err != nil {
		return fmt.Errorf("waiting for logins in flight: %w", err)
	}
	if err := r.service.outbox.Pause(quiet); err != nil { // or two processes would tell of one user at once
		r.service.gate.Open()
		return fmt.Errorf("waiting for events in flight: %w", err)
	}
	if err := r.releaseStore(ctx, p); err != nil {
		r.service.outbox.Resume()
		r.service.gate.Open()
		return err
	}
	return nil
}

// releaseStore releases the store to a successor, and reacquires it if that one does not come to serve.
func (r *restarter) releaseStore(ctx context.Context, p *handover.Process) error {
	err := r.service.folder.Release(ctx)
	if err == nil {
		err = p.Send(handover.Free, nil)
	}
	if err == nil {
		err = expect(ctx, p, handover.Serving, takeWait)
	}
	if err != nil {
		r.endSuccessor(ctx, p, err) // before its folder is reacquired
		err = errors.Join(err, r.service.folder.Reacquire(context.WithoutCancel(ctx)))
	}
	return err
}

// expect waits for a message of a kind. The channel is closed when ctx ends.
func expect(ctx context.Context, p *handover.Process, kind handover.Kind, wait time.Duration) error {
	defer context.AfterFunc(ctx, func() { _ = p.Close() })()
	m, err := p.Receive(time.Now().Add(wait))
	if ctx.Err() != nil {
		return errors.Join(errors.New("this process was told to stop meanwhile"), m.Close())
	}
	if errors.Is(err, handover.ErrEnded) {
		return errEndedEarly
	}
	if err = errors.Join(err, m.Close()); err != nil {
		return fmt.Errorf("waiting for the successor: %w", err)
	}
	if m.Kind != kind {
		return fmt.Errorf("the successor sent message %q, want %q", m.Kind, kind)
	}
	return nil
}

// handOver gives the clients to a successor that is serving.
func (r *restarter) handOver(ctx context.Context, p *handover.Process) error {
	err := r.lineage.Report(p)
	if r.lineage.IsSupervisor() {
		r.passSignals()
	}
	ln := r.service.public
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.service.onClose(p.Close)
	go func() { // the successor sends nothing more, so this returns when it ends, or when we do
		if _, err := p.Receive(time.Time{}); errors.Is(err, handover.ErrEnded) {
			r.service.hurry(errSuccessorEnded) // also while the last answers are being drained
		}
		cancel(errSuccessorEnded)
	}()
	give := func(client net.Conn, begun []byte) error {
		socket, ok := client.(syscall.Conn)
		if !ok {
			return fmt.Errorf("a %T is not a socket", client)
		}
		return p.Send(handover.Connection, begun, socket)
	}
	if redirects := r.service.redirects; redirects != nil {
		err = errors.Join(err, redirects.HandOver(func(net.Conn, []byte) error { return errDrained }))
	}
	handed := r.service.gateway.HandOver(ctx, ln, give)
	if handed != nil && context.Cause(ctx) == errSuccessorEnded { //nolint:errorlint // the cause itself is meant
		handed = errSuccessorEnded
	}
	return errors.Join(err, handed)
}

// passSignals passes signals on to the process that is serving, until supervise returns. The first signal to stop,
// which may already have arrived, is passed on as SIGTERM; a SIGINT after it is the second Ctrl-C.
func (r *restarter) passSignals() {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2)
	forget := context.AfterFunc(r.stopping, func() {
		signal.Notify(signals, syscall.SIGINT)
		signals <- syscall.SIGTERM
	})
	go func() {
		defer signal.Stop(signals)
		defer forget()
		for {
			select {
			case <-r.ended:
				return
			case sig := <-signals:
				number, _ := sig.(syscall.Signal)
				_ = r.lineage.Signal(number) // an error means that it has ended, which Wait reports
			}
		}
	}()
}

// supervise waits for the successors, if this process is their supervisor, and returns the exit code of the last one.
func (r *restarter) supervise() (int, error) {
	if !r.lineage.IsSupervisor() {
		return 0, nil
	}
	defer close(r.ended)
	return r.lineage.Wait()
}
