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

// Herd is the line of successors below the process that a supervisor, a container or a shell has started, the shepherd.
// That one stays, passes signals on to whoever serves, and ends when that one does.
type Herd struct {
	report *os.File // to write the pid of the one who serves from now on; it ends when the shepherd does

	mu      sync.Mutex
	reports *os.File // to read them; nil in a successor
	begun   []byte   // of a line
	line    []int    // who came to serve and has not been waited for, in order; the last serves
}

// NewHerd is the herd that this process belongs to: that of its predecessor's shepherd, or its own.
func NewHerd() (*Herd, error) {
	if os.Getenv(environment) != "" {
		unix.CloseOnExec(herdFD)
		if err := unix.SetNonblock(herdFD, true); err != nil {
			return nil, fmt.Errorf("the way to the process in front: %w", err)
		}
		return &Herd{report: os.NewFile(herdFD, "herd")}, nil
	}
	// The successor of a successor is an orphan when that one has ended, and then falls to us.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("becoming the parent of orphans: %w", err)
	}
	// Not a pipe: whoever can write into one is not told of its reader's end while nothing is written.
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("making a pair of sockets: %w", err)
	}
	return &Herd{
		reports: os.NewFile(uintptr(fds[0]), "herd"), // descriptors are not negative
		report:  os.NewFile(uintptr(fds[1]), "herd"),
	}, nil
}

// AwaitOrphaned returns when the shepherd has ended, however that came: true. The kernel closes the other end of the socket
// pair; a signal at the parent's death (PR_SET_PDEATHSIG) would come when a thread of it ends, and it is not always our
// parent. False says that nobody can know: this process is the shepherd, or a shepherd of an older wxgate made a pipe.
func (h *Herd) AwaitOrphaned() bool {
	if h.Shepherd() {
		return false
	}
	_, err := h.report.Read(make([]byte, 1))
	return errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET)
}

// Follow says that p serves from now on.
func (h *Herd) Follow(p *Process) error {
	_, err := fmt.Fprintf(h.report, "%d\n", p.cmd.Process.Pid)
	return err
}

// Shepherd reports whether this process is the one to stay.
func (h *Herd) Shepherd() bool { return h.reports != nil }

// Signal passes a signal on to whoever serves.
func (h *Herd) Signal(sig syscall.Signal) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.read(); err != nil || len(h.line) == 0 {
		return err
	}
	return syscall.Kill(h.line[len(h.line)-1], sig)
}

// Wait waits until nobody serves any more, and returns the exit code of the last one. It waits for them in order: one
// whose predecessor still drains is not our child yet.
func (h *Herd) Wait() (exitCode int, err error) {
	for {
		pid, err := h.first()
		if err != nil || pid == 0 {
			return exitCode, err
		}
		state, err := waitFor(pid)
		if err != nil {
			return 0, err
		}
		exitCode = code(state)
		h.mu.Lock()
		h.line = h.line[1:]
		h.mu.Unlock()
	}
}

// first is the one who came to serve first of those that have not been waited for; 0: there is none.
func (h *Herd) first() (pid int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.read(); err != nil || len(h.line) == 0 {
		return 0, err
	}
	return h.line[0], nil
}

// read takes the reports that are there, and waits for none.
func (h *Herd) read() error {
	socket, err := h.reports.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = socket.Read(func(fd uintptr) bool {
		failed = h.receive(int(fd)) // descriptors are small
		return true
	})
	if err = errors.Join(err, failed); err != nil {
		return err
	}
	return h.parse()
}

// receive takes the bytes that have come.
func (h *Herd) receive(fd int) error {
	for buf := make([]byte, 64); ; {
		n, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return fmt.Errorf("reading who serves: %w", err)
		case n == 0: // nobody can write any more
			return fmt.Errorf("reading who serves: %w", io.EOF)
		default:
			h.begun = append(h.begun, buf[:n]...)
		}
	}
}

// parse takes the whole lines of what has come.
func (h *Herd) parse() error {
	for {
		report, rest, whole := bytes.Cut(h.begun, []byte{'\n'})
		if !whole {
			return nil
		}
		pid, err := strconv.Atoi(string(report))
		if err != nil {
			return fmt.Errorf("a successor reported %q", report)
		}
		h.line, h.begun = append(h.line, pid), rest
	}
}

func waitFor(pid int) (*os.ProcessState, error) {
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	return process.Wait()
}

// code is the exit code as a shell has it: 128 and the signal for one that was killed.
func code(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
