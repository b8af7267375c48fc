//go:build linux

// Package handover is the conversation of a process with the one that takes its place: messages over a socket between
// the two, some of which carry sockets. It knows nothing of what is served.
package handover

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Kind says what a message is about.
type Kind byte

// The kinds, in the order in which they are sent.
const (
	Listeners  Kind = 'L' // to the successor: what the sockets with it listen for, in the payload
	Prepared   Kind = 'P' // to the predecessor: I could serve with this configuration
	Free       Kind = 'F' // to the successor: the store is yours
	Serving    Kind = 'S' // to the predecessor: I serve
	Connection Kind = 'C' // to the successor: a client, and what it has sent of a request
)

// maxPayload bounds a message in bytes: a head and a small body fit.
const maxPayload = 160 << 10

// maxSockets is how many sockets one message carries at most.
const maxSockets = 4

// ErrEnded is the end of the other process, or of its interest.
var ErrEnded = errors.New("the other process has ended the conversation")

// Channel is one end of the conversation. Send and Receive may be called from anywhere.
type Channel struct{ conn *net.UnixConn }

// Message is what was received. Whoever receives it closes its files.
type Message struct {
	Kind    Kind
	Payload []byte
	Files   []*os.File
}

// newPair makes both ends; the second is for a child process.
func newPair() (*Channel, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a pair of sockets: %w", err)
	}
	other := os.NewFile(uintptr(fds[1]), "handover") // descriptors are not negative
	own, err := open(os.NewFile(uintptr(fds[0]), "handover"))
	if err != nil {
		return nil, nil, errors.Join(err, other.Close())
	}
	return own, other, nil
}

// open takes the file of a socket, and closes it.
func open(file *os.File) (*Channel, error) {
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("opening the conversation: %w", err)
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("a %T is no conversation", conn), conn.Close())
	}
	return &Channel{unixConn}, nil
}

// Close ends the conversation.
func (c *Channel) Close() error { return c.conn.Close() }

// Send sends a message with sockets, which stay open here. Once it returns nil the other process has them, whatever
// happens to ours.
func (c *Channel) Send(kind Kind, payload []byte, sockets ...syscall.Conn) error {
	if len(payload) > maxPayload || len(sockets) > maxSockets {
		return fmt.Errorf("a message of %d bytes and %d sockets is too large", len(payload), len(sockets))
	}
	return withDescriptors(sockets, nil, func(fds []int) error {
		var rights []byte
		if len(fds) > 0 {
			rights = unix.UnixRights(fds...)
		}
		_, _, err := c.conn.WriteMsgUnix(append([]byte{byte(kind)}, payload...), rights, nil)
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
			return ErrEnded
		}
		return err
	})
}

// withDescriptors runs fn while none of the sockets can be closed. File would do too, but it makes them blocking.
func withDescriptors(sockets []syscall.Conn, fds []int, fn func(fds []int) error) error {
	if len(sockets) == 0 {
		return fn(fds)
	}
	raw, err := sockets[0].SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = withDescriptors(sockets[1:], append(fds, int(fd)), fn) // descriptors are small
	})
	return errors.Join(err, failed)
}

// Receive waits for the next message, until the deadline unless it is zero. The end of the other process is ErrEnded.
func (c *Channel) Receive(deadline time.Time) (Message, error) {
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return Message{}, err
	}
	payload, rights := make([]byte, 1+maxPayload), make([]byte, unix.CmsgSpace(4*maxSockets))
	n, oob, flags, _, err := c.conn.ReadMsgUnix(payload, rights)
	files, rightsErr := filesOf(rights[:oob])
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), err == nil && n == 0:
		err = ErrEnded
	case err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0:
		err = errors.New("a message was cut")
	}
	if err = errors.Join(err, rightsErr); err != nil {
		return Message{}, errors.Join(err, closeAll(files))
	}
	return Message{Kind(payload[0]), payload[1:n], files}, nil
}

func filesOf(rights []byte) (files []*os.File, err error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "socket")) // descriptors are not negative
		}
	}
	return files, nil
}

func closeAll(files []*os.File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Conn is the message's only file as a connection.
func (m Message) Conn() (net.Conn, error) {
	defer func() { _ = closeAll(m.Files) }()
	if len(m.Files) != 1 {
		return nil, fmt.Errorf("a message with %d sockets, want one", len(m.Files))
	}
	return net.FileConn(m.Files[0])
}

// Listener is the file at a place as a listener. The files stay open.
func (m Message) Listener(i int) (net.Listener, error) {
	if i >= len(m.Files) {
		return nil, fmt.Errorf("a message with %d sockets has none at %d", len(m.Files), i)
	}
	return net.FileListener(m.Files[i])
}

// Close closes the files that came with the message.
func (m Message) Close() error { return closeAll(m.Files) }
