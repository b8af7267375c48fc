//go:build linux

package handover

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// environment tells a process that it is a successor; the descriptors below are then open.
const environment = "WXGATE_SUCCESSOR"

const (
	channelFD = 3 // the conversation with the predecessor
	herdFD    = 4 // to the shepherd
)

// Start runs a successor that reports to the shepherd: with a process group of its own, so that Ctrl-C reaches it by
// the shepherd alone.
func (h *Herd) Start(path string, args []string) (*Process, error) {
	own, other, err := newPair()
	if err != nil {
		return nil, err
	}
	defer other.Close()
	cmd := exec.Command(path, args...) //nolint:noctx // our own path, and it outlives us
	cmd.Env = append(os.Environ(), environment+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{other, h.report}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the successor: %w", err), own.Close())
	}
	return &Process{own, cmd}, nil
}

// Process is a successor that was started.
type Process struct {
	*Channel
	cmd *exec.Cmd
}

// Kill ends a successor that did not come to serve, and waits for it.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	_ = p.cmd.Wait()
	_ = p.Close()
}

// Await waits for the end of a successor that has ended the conversation. It is killed when that takes too long.
func (p *Process) Await(wait time.Duration) {
	defer time.AfterFunc(wait, func() { _ = p.cmd.Process.Kill() }).Stop()
	_ = p.cmd.Wait()
	_ = p.Close()
}

// PID is that of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exit says how a successor ended that was waited for: "exit status 1", "signal: killed".
func (p *Process) Exit() string { return p.cmd.ProcessState.String() }

// Stop tells a successor to stop, and waits for it; after so long it is killed.
func (p *Process) Stop(after time.Duration) {
	_ = p.Close() // one that still waits for us need not
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	defer time.AfterFunc(after, func() { _ = p.cmd.Process.Kill() }).Stop()
	_ = p.cmd.Wait()
}

// Predecessor is the conversation with the process whose successor this one was started to be, nil when it was not.
func Predecessor() (*Channel, error) {
	if os.Getenv(environment) == "" {
		return nil, nil // most processes have none
	}
	unix.CloseOnExec(channelFD)
	return open(os.NewFile(channelFD, "handover"))
}
