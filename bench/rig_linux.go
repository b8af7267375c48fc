package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"wxgate/bench/contestants"
	"wxgate/bench/load"
	"wxgate/bench/proc"
	"wxgate/bench/tokens"
)

// rig is what stands around the contestants: service, WeChat, load generator, tokens.
type rig struct {
	*settings
	place   contestants.Place
	self    string // our own binary
	helpers []*exec.Cmd
	running []*contestants.Running
	counts  bool // instructions are counted too
}

// targetsMost is on how many addresses the service listens: 127.0.0.1 and so on, for upstreams of many targets.
const targetsMost = 100

func newRig(ctx context.Context, s *settings) (*rig, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(s.wxgate); err != nil {
		return nil, fmt.Errorf("the binary under test: %w", err)
	}
	folder, err := os.MkdirTemp("", "wxgate-bench-")
	if err != nil {
		return nil, err
	}
	r := &rig{settings: s, self: self, place: contestants.Place{
		Folder: folder, Bin: s.bin, WXGate: s.wxgate, Before: s.before, Secret: rand.Text() + rand.Text(), GatewayCPU: s.gatewayCPU,
	}}
	err = errors.Join(
		tokens.Write(filepath.Join(folder, "tokens"), r.place.Secret, tokens.Make(r.place.Secret, contestants.Users, time.Now()), time.Now()),
		r.startHelpers(ctx),
	)
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// startHelpers starts service and WeChat.
func (r *rig) startHelpers(ctx context.Context) error {
	servicePort, err := contestants.FreePort()
	if err != nil {
		return err
	}
	weChatPort, err := contestants.FreePort()
	if err != nil {
		return err
	}
	r.place.Service, r.place.WeChat = loopback(1, servicePort), loopback(1, weChatPort)
	addresses := []string{"service"}
	for i := range targetsMost {
		addresses = append(addresses, loopback(i+1, servicePort).String())
	}
	return errors.Join(r.startHelper(ctx, r.place.Service, addresses...), r.startHelper(ctx, r.place.WeChat, "wechat", r.place.WeChat.String()))
}

// loopback returns 127.0.0.HOST:PORT.
func loopback(host, port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(host)}), uint16(port))
}

func (r *rig) startHelper(ctx context.Context, address netip.AddrPort, arguments ...string) error {
	cmd := r.helper(ctx, arguments...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the %s: %w", arguments[0], err)
	}
	r.helpers = append(r.helpers, cmd)
	return retry(ctx, 10*time.Second, func() error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address.String())
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

// helper returns a process of our own binary on the load generator's CPU.
func (r *rig) helper(ctx context.Context, arguments ...string) *exec.Cmd {
	cmd := contestants.Pinned(ctx, strconv.Itoa(r.loadCPU), append([]string{r.self}, arguments...)...)
	cmd.Stderr = r.stderr
	return cmd
}

// retry calls f every 5 ms until it returns nil.
func retry(ctx context.Context, most time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		if sleep(ctx, 5*time.Millisecond) != nil {
			return err
		}
	}
}

// sleep waits for d, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close stops everything and removes what was written.
func (r *rig) close() {
	for _, c := range r.running {
		c.Stop()
	}
	for _, cmd := range r.helpers {
		_ = cmd.Cancel()
		_ = cmd.Wait() // that it was told to end is no error
	}
	_ = os.RemoveAll(r.place.Folder)
}

func (r *rig) say(format string, values ...any) { fmt.Fprintf(r.stderr, format+"\n", values...) }

// start starts a contestant and checks that it does its job.
func (r *rig) start(ctx context.Context, c contestants.Contestant) (*contestants.Running, error) {
	running, err := r.place.Start(ctx, c)
	if err != nil {
		return nil, err
	}
	r.running = append(r.running, running)
	if err := contestants.Check(ctx, running.Address, running.Tokens, c.Open); err != nil {
		return nil, fmt.Errorf("%s does not do the job:\n%w", c.Name, err)
	}
	r.say("%s: does the job; %v to its first answer", c.Name, running.Took.Round(time.Millisecond))
	return running, nil
}

// restart starts a contestant anew, with the data that it has.
func (r *rig) restart(ctx context.Context, old *contestants.Running) error {
	old.Stop()
	fresh, err := r.place.Start(ctx, old.Contestant)
	if err != nil {
		return err
	}
	*old = *fresh
	return nil
}

// config completes a measurement of c.
func (r *rig) config(c *contestants.Running, cfg load.Config) load.Config {
	cfg.Address = c.Address
	cfg.Watched = load.Watched{Gateway: c.PIDs, GatewayCPU: r.gatewayCPU, LoadCPU: r.loadCPU}
	if c.CPUs != "" {
		cfg.Watched.GatewayCPU, cfg.Watched.LoadCPU = -1, -1
	}
	for _, helper := range r.helpers {
		cfg.Watched.Helpers = append(cfg.Watched.Helpers, helper.Process.Pid)
	}
	return cfg
}

// measure runs the load generator once.
func (r *rig) measure(ctx context.Context, cfg load.Config) (result load.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Warmup+cfg.Duration+time.Minute)
	defer cancel()
	text, err := json.Marshal(cfg)
	if err != nil {
		return result, err
	}
	output, err := r.helper(ctx, "load", string(text)).Output()
	if err != nil {
		return result, fmt.Errorf("measuring: %w", err)
	}
	return result, json.Unmarshal(output, &result)
}

// hold opens connections to c with a request each, and calls during while they are idle.
func (r *rig) hold(ctx context.Context, cfg load.Config, during func(load.Result) error) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	text, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	cmd := r.helper(ctx, "load", string(text))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = holding(stdout, during)
	_ = stdin.Close()
	return errors.Join(err, cmd.Wait())
}

func holding(stdout io.Reader, during func(load.Result) error) error {
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("holding connections: %w", err)
	}
	var held load.Result
	if err := json.Unmarshal(line, &held); err != nil {
		return err
	}
	return during(held)
}

// quiet waits until neither CPU works for somebody else, or until there is no patience left.
func (r *rig) quiet(ctx context.Context) {
	for end := time.Now().Add(r.patience); time.Now().Before(end) && ctx.Err() == nil; {
		gateway, ours := proc.Busy(r.gatewayCPU), proc.Busy(r.loadCPU)
		_ = sleep(ctx, 200*time.Millisecond)
		if proc.Busy(r.gatewayCPU)-gateway <= 20*time.Millisecond && proc.Busy(r.loadCPU)-ours <= 20*time.Millisecond {
			return
		}
	}
}
