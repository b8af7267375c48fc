//go:build linux

package handover

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Lineage is the chain of successors of one process: the supervisor, which systemd, a container or a shell started. The
// supervisor stays until the last successor ends, and passes signals on to whichever process is serving.
type Lineage struct {
	report *os.File // where the pid of each process that takes over is written; it breaks when the supervisor ends

	mu      sync.Mutex
	reports *os.File // where the supervisor reads them; nil in a successor
	partial []byte   // a line that is not complete yet
	serving []int    // pids that have been reported and not waited for, in order; the last one is serving
}

// NewLineage returns the lineage of this process: the one it was started into, or a new one that it supervises.
func NewLineage() (*Lineage, error) {
	if os.Getenv(environment) != "" {
		unix.CloseOnExec(reportFD)
		if err := unix.SetNonblock(reportFD, true); err != nil {
			return nil, fmt.Errorf("reaching the supervisor: %w", err)
		}
		return &Lineage{report: os.NewFile(reportFD, "lineage")}, nil
	}
	// When a successor ends, its own successor is orphaned and becomes our child.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("becoming the parent of orphans: %w", err)
	}
	// Not a pipe: the writer of a pipe does not learn that its reader is gone until it writes.
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("making a pair of sockets: %w", err)
	}
	return &Lineage{
		reports: os.NewFile(uintptr(fds[0]), "lineage"), // descriptors are not negative
		report:  os.NewFile(uintptr(fds[1]), "lineage"),
	}, nil
}

// AwaitOrphaned blocks until the supervisor has ended, for whatever reason, and returns true. The kernel then closes
// the other end of the socket pair; PR_SET_PDEATHSIG would already fire when one of the supervisor's threads ends, and
// the supervisor is not always our parent. It returns false when this cannot be known: this process is the supervisor,
// or the supervisor is an older wxgate that made a pipe.
func (l *Lineage) AwaitOrphaned() bool {
	if l.IsSupervisor() {
		return false
	}
	_, err := l.report.Read(make([]byte, 1))
	return errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET)
}

// Report tells the supervisor that p is serving from now on.
func (l *Lineage) Report(p *Process) error {
	_, err := fmt.Fprintf(l.report, "%d\n", p.cmd.Process.Pid)
	return err
}

// IsSupervisor reports whether this process is the one that stays.
func (l *Lineage) IsSupervisor() bool { return l.reports != nil }

// Signal passes a signal on to the process that is serving.
func (l *Lineage) Signal(sig syscall.Signal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.read(); err != nil || len(l.serving) == 0 {
		return err
	}
	return syscall.Kill(l.serving[len(l.serving)-1], sig)
}

// Wait blocks until no successor is left, and returns the exit code of the last one. It waits for them in order,
// because a successor does not become our child until its predecessor has ended.
func (l *Lineage) Wait() (exitCode int, err error) {
	for {
		pid, err := l.first()
		if err != nil || pid == 0 {
			return exitCode, err
		}
		state, err := waitFor(pid)
		if err != nil {
			return 0, err
		}
		exitCode = shellStatus(state)
		l.mu.Lock()
		l.serving = l.serving[1:]
		l.mu.Unlock()
	}
}

// first returns the oldest pid that has not been waited for, or 0.
func (l *Lineage) first() (pid int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.read(); err != nil || len(l.serving) == 0 {
		return 0, err
	}
	return l.serving[0], nil
}

// read takes the reports that have arrived, without waiting for more.
func (l *Lineage) read() error {
	socket, err := l.reports.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = socket.Read(func(fd uintptr) bool {
		failed = l.receive(int(fd)) // descriptors are small
		return true
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return l.parse()
}

// receive reads the bytes that have arrived.
func (l *Lineage) receive(fd int) error {
	for buf := make([]byte, 64); ; {
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return fmt.Errorf("reading the reports of successors: %w", err)
		case n == 0: // no process can write any more
			return fmt.Errorf("reading the reports of successors: %w", io.EOF)
		default:
			l.partial = append(l.partial, buf[:n]...)
		}
	}
}

// parse takes the complete lines.
func (l *Lineage) parse() error {
	for {
		report, rest, whole := bytes.Cut(l.partial, []byte{'\n'})
		if !whole {
			return nil
		}
		pid, err := strconv.Atoi(string(report))
		if err != nil {
			return fmt.Errorf("a successor reported the pid %q", report)
		}
		l.serving, l.partial = append(l.serving, pid), rest
	}
}

func waitFor(pid int) (*os.ProcessState, error) {
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	return process.Wait()
}

// shellStatus is the exit code as a shell reports it: 128 plus the signal for a process that was killed.
func shellStatus(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
