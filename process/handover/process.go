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

// environment names the variable that tells a process that it is a successor, and that the descriptors below are open.
const environment = "WXGATE_SUCCESSOR"

const (
	channelFD = 3 // to the predecessor
	reportFD  = 4 // to the supervisor
)

// Start runs a successor that reports to the supervisor. It has a process group of its own, so that Ctrl-C reaches it
// through the supervisor alone.
func (l *Lineage) Start(path string, args []string) (*Process, error) {
	own, other, err := newPair()
	if err != nil {
		return nil, err
	}
	defer other.Close()
	cmd := exec.Command(path, args...) //nolint:noctx // our own path, and it outlives us
	cmd.Env = append(os.Environ(), environment+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{other, l.report}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the successor: %w", err), own.Close())
	}
	return &Process{own, cmd}, nil
}

// Process is a successor, and the channel to it.
type Process struct {
	*Channel
	cmd *exec.Cmd
}

// Await waits for a successor that failed to end, and kills it if that takes longer than wait.
func (p *Process) Await(wait time.Duration) {
	defer time.AfterFunc(wait, func() { _ = p.cmd.Process.Kill() }).Stop()
	_ = p.cmd.Wait()
	_ = p.Close()
}

// PID is the id of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// ExitStatus says how a successor that was waited for has ended: "exit status 1", "signal: killed".
func (p *Process) ExitStatus() string { return p.cmd.ProcessState.String() }

// Stop tells a successor to stop, waits for it, and kills it if that takes longer than wait.
func (p *Process) Stop(wait time.Duration) {
	_ = p.Close() // it need not wait for us any more
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	defer time.AfterFunc(wait, func() { _ = p.cmd.Process.Kill() }).Stop()
	_ = p.cmd.Wait()
}

// Predecessor returns the channel to the process that started this one as its successor, nil when none did.
func Predecessor() (*Channel, error) {
	if os.Getenv(environment) == "" {
		return nil, nil // most processes have none
	}
	unix.CloseOnExec(channelFD)
	return open(os.NewFile(channelFD, "handover"))
}
