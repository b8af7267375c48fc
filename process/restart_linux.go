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
	"wxgate/gateway/listen"
	"wxgate/process/handover"
)

const (
	prepareWait = 30 * time.Second // for a successor to start and read its configuration
	quietWait   = 10 * time.Second // for the logins under way
	takeWait    = 60 * time.Second // for a successor to open the store and serve
	endWait     = 5 * time.Second  // for a successor that has nothing more to say to end
)

// errEndedEarly is a successor that is none: it could not serve, or is another program.
var errEndedEarly = errors.New("the successor ended before it served; its log says why, or it is no wxgate")

// executable is the path of this program as it was started: the file behind it may be a newer one by now.
var executable, errExecutable = os.Executable() //nolint:gochecknoglobals // later the name may be gone

// restarter hands everything over to a new process at SIGUSR2: the listening sockets, the store, the clients.
type restarter struct {
	service     *Service
	herd        *handover.Herd
	predecessor *handover.Channel // nil: this process is nobody's successor
	listens     listens
	orphaned    context.Context // ends when this is a successor and the process that was started first is gone
	told        context.Context // ends when this process is told to stop
	asked       chan os.Signal  // SIGUSR2; one that comes before this process serves waits until it does. Heard to the end: unheard, it would end us
	ended       chan struct{}   // closed when no signal is to be passed on any more
}

// listens is what the listening sockets are for, as the configuration says it.
type listens struct {
	Public string `json:"public"`
	Admin  string `json:"admin"`
	Own    bool   `json:"own"` // no systemd has the sockets too; an older wxgate does not say
}

func newRestarter(told context.Context) (*restarter, error) {
	herd, err := handover.NewHerd()
	if err != nil {
		return nil, err
	}
	predecessor, err := handover.Predecessor()
	if err != nil {
		return nil, err
	}
	orphaned, orphan := context.WithCancel(context.Background())
	r := &restarter{herd: herd, predecessor: predecessor, orphaned: orphaned, told: told, asked: make(chan os.Signal, 1), ended: make(chan struct{})}
	signal.Notify(r.asked, syscall.SIGUSR2)
	go func() {
		if herd.AwaitOrphaned() {
			orphan()
		}
	}()
	return r, nil
}

// onOrphaned runs f when this process is a successor and the one that was started first is gone.
func (r *restarter) onOrphaned(f func()) { context.AfterFunc(r.orphaned, f) }

// inherit waits, as a successor, until the store is free, and returns the predecessor's listeners, by what they listen
// for; nil when it has another address.
func (r *restarter) inherit(cfg gateway.ServerConfig) (l inherited, err error) {
	r.listens = listens{Public: cfg.Listen, Admin: cfg.Admin}
	defer func() { r.listens.Own = !l.shared }()
	if r.predecessor == nil {
		return activated()
	}
	m, err := r.predecessor.Receive(time.Now().Add(prepareWait))
	if err != nil {
		return l, fmt.Errorf("waiting for the sockets: %w", err)
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	var theirs listens
	if err := json.Unmarshal(m.Payload, &theirs); err != nil {
		return l, fmt.Errorf("what the sockets listen for: %w", err)
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
	if err := r.predecessor.Send(handover.Prepared, nil); err != nil {
		return l, err
	}
	free, err := r.predecessor.Receive(time.Now().Add(quietWait + takeWait))
	return l, errors.Join(err, free.Close())
}

// serving tells a predecessor that this process serves, and takes its clients over until it has no more.
func (r *restarter) serving(s *Service) error {
	r.service = s
	if r.predecessor == nil {
		return nil
	}
	if err := r.predecessor.Send(handover.Serving, nil); err != nil {
		return fmt.Errorf("telling the predecessor: %w", errors.Join(errOrphaned, err)) // it has ended, or has taken its place back
	}
	go r.adopt()
	return nil
}

func (r *restarter) adopt() {
	ln, ok := r.service.public.(*listen.Listener)
	for ok {
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

// follow hands over at SIGUSR2, until that has happened or ctx ends.
func (r *restarter) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.asked:
		}
		r.service.log.Info("starting a successor", pid())
		successor, err := r.start(ctx)
		if err != nil {
			r.service.log.Error("no hand-over, this process goes on", "error", err)
			continue
		}
		r.service.log.Info("the successor serves, handing the clients over", "successor", successor.PID(), pid())
		select {
		case r.service.replaced <- func(ctx context.Context) error { return r.handOver(ctx, successor) }:
		case <-ctx.Done(): // nobody hands over any more
			successor.Stop(r.grace())
		}
		return
	}
}

// start brings a successor to serve. On an error this process has everything that it had before.
func (r *restarter) start(ctx context.Context) (*handover.Process, error) {
	if errExecutable != nil {
		return nil, errExecutable
	}
	p, err := r.herd.Start(executable, os.Args[1:])
	if err != nil {
		return nil, err
	}
	if err := r.persuade(ctx, p); err != nil {
		if errors.Is(err, handover.ErrEnded) {
			err = errEndedEarly
		}
		r.end(ctx, p, err)
		return nil, fmt.Errorf("%w; %s: %s", err, executable, p.Exit())
	}
	return p, nil
}

// end ends a successor that cannot have the clients. When that is because all are told to stop, it may just have come to
// serve some.
func (r *restarter) end(ctx context.Context, p *handover.Process, cause error) {
	switch {
	case ctx.Err() != nil:
		p.Stop(r.grace())
	case errors.Is(cause, errEndedEarly):
		p.Await(endWait)
	default:
		p.Kill()
	}
}

// grace is how long a successor may take to stop: as long as a drain, and a little more.
func (r *restarter) grace() time.Duration {
	return time.Duration(r.service.drain.Load()) + 5*time.Second
}

func (r *restarter) persuade(ctx context.Context, p *handover.Process) error {
	payload, err := json.Marshal(r.listens)
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
		return fmt.Errorf("waiting for the logins under way: %w", err)
	}
	if err := r.releaseStore(ctx, p); err != nil {
		r.service.gate.Open()
		return err
	}
	return nil
}

// releaseStore gives the store to a successor, and takes it back unless that one comes to serve.
func (r *restarter) releaseStore(ctx context.Context, p *handover.Process) error {
	err := r.service.folder.Release(ctx)
	if err == nil {
		err = p.Send(handover.Free, nil)
	}
	if err == nil {
		err = expect(ctx, p, handover.Serving, takeWait)
	}
	if err != nil {
		r.end(ctx, p, err) // before its folder is taken
		err = errors.Join(err, r.service.folder.Reacquire(context.WithoutCancel(ctx)))
	}
	return err
}

// expect waits for one message of a kind. When ctx ends, so does the conversation.
func expect(ctx context.Context, p *handover.Process, kind handover.Kind, wait time.Duration) error {
	defer context.AfterFunc(ctx, func() { _ = p.Close() })()
	m, err := p.Receive(time.Now().Add(wait))
	if ctx.Err() != nil {
		return errors.Join(errors.New("told to stop meanwhile"), m.Close())
	}
	if errors.Is(err, handover.ErrEnded) {
		return errEndedEarly
	}
	if err = errors.Join(err, m.Close()); err != nil {
		return fmt.Errorf("waiting for the successor: %w", err)
	}
	if m.Kind != kind {
		return fmt.Errorf("the successor said %q, want %q", m.Kind, kind)
	}
	return nil
}

// handOver gives the clients to a successor that serves.
func (r *restarter) handOver(ctx context.Context, p *handover.Process) error {
	err := r.herd.Follow(p)
	if r.herd.Shepherd() {
		r.passSignals()
	}
	ln, ok := r.service.public.(*listen.Listener)
	if !ok {
		return errors.Join(err, p.Close())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.service.onClose(p.Close)
	go func() { // it says nothing more: this is its end, or ours
		if _, err := p.Receive(time.Time{}); errors.Is(err, handover.ErrEnded) {
			r.service.hurry(errSuccessorEnded) // also when it comes while the last answers are drained
		}
		cancel(errSuccessorEnded)
	}()
	give := func(client net.Conn, begun []byte) error {
		socket, ok := client.(syscall.Conn)
		if !ok {
			return fmt.Errorf("a %T is no socket", client)
		}
		return p.Send(handover.Connection, begun, socket)
	}
	handed := r.service.gateway.HandOver(ctx, ln, give)
	if handed != nil && context.Cause(ctx) == errSuccessorEnded { //nolint:errorlint // the cause itself is meant
		handed = errSuccessorEnded
	}
	return errors.Join(err, handed)
}

// passSignals passes signals on to the one who serves, from now until shepherd returns: also while this process drains.
// The first one to stop, which may have come before, is SIGTERM whatever it was; a SIGINT after it is the second Ctrl-C.
func (r *restarter) passSignals() {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2)
	forget := context.AfterFunc(r.told, func() {
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
				_ = r.herd.Signal(number) // it has ended: Wait says so
			}
		}
	}()
}

// shepherd stays in front of the successors, when this is the process that a supervisor knows. It returns their exit code.
func (r *restarter) shepherd() (int, error) {
	if !r.herd.Shepherd() {
		return 0, nil
	}
	defer close(r.ended)
	return r.herd.Wait()
}
