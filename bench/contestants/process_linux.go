package contestants

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"wxgate/bench/proc"
	"wxgate/bench/tokens"
)

// Running is a contestant that answers.
type Running struct {
	Contestant
	Address netip.AddrPort
	PIDs    []int
	Took    time.Duration // from its start to its first answer
	Tokens  string        // folder of the tokens that it accepts
	command *exec.Cmd
	exited  chan struct{} // closed when the process has ended
}

// Start starts c and waits until it answers; the first start of a wxgate also logs 1,000 people in.
func (p *Place) Start(ctx context.Context, c Contestant) (*Running, error) {
	v, err := p.prepare(c)
	if err != nil {
		return nil, err
	}
	arguments, err := c.arguments(v)
	if err != nil {
		return nil, err
	}
	r := &Running{Contestant: c, Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(v.Port)), Tokens: filepath.Join(p.Folder, "tokens")}
	began := time.Now()
	if err := p.run(ctx, r, v.Folder, arguments); err != nil {
		return nil, err
	}
	if err := r.awaitAnswer(ctx); err != nil {
		r.Stop()
		log, _ := os.ReadFile(filepath.Join(v.Folder, "log"))
		return nil, fmt.Errorf("%s: %w: %.600s", c.Name, err, log)
	}
	r.Took = time.Since(began)
	r.PIDs = proc.Tree(r.command.Process.Pid)
	if c.Issues {
		r.Tokens = filepath.Join(p.Folder, c.Name, "tokens")
		err = p.logIn(ctx, r)
	}
	if err != nil {
		r.Stop()
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return r, nil
}

// prepare writes the files of c. What is in its folder already stays: a wxgate finds its users again.
func (p *Place) prepare(c Contestant) (values, error) {
	v := values{Place: *p, Options: c.Options, Folder: filepath.Join(p.Folder, c.Name), ServicePort: p.Service.Port()}
	if v.Data == "" {
		v.Data = filepath.Join(v.Folder, "data")
	}
	if len(v.Targets) == 0 {
		v.Targets = []string{"http://" + p.Service.String()}
	}
	if err := os.MkdirAll(v.Folder, 0o700); err != nil {
		return v, err
	}
	var err error
	if v.Port, err = FreePort(); err != nil {
		return v, err
	}
	if v.AdminPort, err = FreePort(); err != nil {
		return v, err
	}
	return v, c.writeFiles(v)
}

// run starts the process of r.
func (p *Place) run(ctx context.Context, r *Running, folder string, arguments []string) error {
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cpus := r.CPUs
	if cpus == "" {
		cpus = strconv.Itoa(p.GatewayCPU)
	}
	cmd := Pinned(ctx, cpus, arguments...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, log, log
	cmd.Env = append(os.Environ(), "HOME="+folder, "XDG_DATA_HOME="+folder, "XDG_CONFIG_HOME="+folder)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	r.command, r.exited = cmd, make(chan struct{})
	go func() {
		defer close(r.exited)
		_ = cmd.Wait() // that it was told to end is no error
	}()
	return nil
}

// Pinned returns a command that runs on some CPUs only ("0", "0,1"). It ends when ctx does, or when we do.
func Pinned(ctx context.Context, cpus string, arguments ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", cpus}, arguments...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// awaitAnswer asks every millisecond for up to a minute, until anything is answered: a 401 is an answer.
func (r *Running) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx, r.Address, r.Options.TLS)
		if err == nil {
			return nil
		}
		select {
		case <-r.exited:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		case <-tick.C:
		}
	}
}

func ask(ctx context.Context, address netip.AddrPort, secure bool) error {
	var dialer interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = new(net.Dialer)
	if secure {
		dialer = &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // the certificate was made for this run
	}
	conn, err := dialer.DialContext(ctx, "tcp", address.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if _, err := io.WriteString(conn, "GET /api/v1/recipes HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, len("HTTP/1.1 ")))
	return err
}

// logIn makes the tokens of a wxgate, unless an earlier start has.
func (p *Place) logIn(ctx context.Context, r *Running) error {
	if _, err := os.Stat(tokens.File(r.Tokens, tokens.Good)); err == nil {
		return nil
	}
	good, err := tokens.LogIn(ctx, r.Address, Users)
	if err != nil {
		return err
	}
	return tokens.Write(r.Tokens, p.Secret, good, time.Now())
}

// Users is how many people send requests.
const Users = 1000

// Stop ends the contestant, after two seconds by force.
func (r *Running) Stop() {
	_ = r.command.Process.Signal(syscall.SIGTERM)
	pids := r.PIDs
	kill := time.AfterFunc(2*time.Second, func() {
		for _, pid := range append(pids, r.command.Process.Pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	defer kill.Stop()
	<-r.exited
}
