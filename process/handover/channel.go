//go:build linux

// Package handover lets a process hand over to a successor: it starts the successor, exchanges messages with it, some
// of which carry sockets, and supervises the processes that take over from each other. It knows nothing about what they
// serve.
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

// The kinds of messages, in the order in which they are sent.
const (
	Listeners  Kind = 'L' // to the successor: the listening sockets; the payload says what they are for
	Prepared   Kind = 'P' // to the predecessor: the configuration has been read
	Free       Kind = 'F' // to the successor: the store is released
	Serving    Kind = 'S' // to the predecessor: requests are being served
	Connection Kind = 'C' // to the successor: a client; the payload is what it has sent of a request
)

// maxPayload is the largest payload in bytes: a request head and a small body fit.
const maxPayload = 160 << 10

// maxSockets is the most sockets that one message can carry.
const maxSockets = 4

// ErrEnded means that the other process has ended or closed the channel.
var ErrEnded = errors.New("the other process closed the channel")

// Channel is one end of a socket pair between two processes. It is safe for concurrent use.
type Channel struct{ conn *net.UnixConn }

// Message is a message that was received. The receiver closes its files.
type Message struct {
	Kind    Kind
	Payload []byte
	Files   []*os.File
}

// newPair returns both ends; the second one is for a child process.
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

// open makes a channel of the file of a socket, which it closes.
func open(file *os.File) (*Channel, error) {
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("opening the channel: %w", err)
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("opening the channel: a %T is not a Unix socket", conn), conn.Close())
	}
	return &Channel{unixConn}, nil
}

// Close closes the channel.
func (c *Channel) Close() error { return c.conn.Close() }

// Send sends a message with sockets, which stay open here. Once it returns nil the other process has its own copies.
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

// withDescriptors runs fn while none of the sockets can be closed. File would work too, but makes them blocking.
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

// Receive waits for the next message, until the deadline unless that is zero. It returns ErrEnded when the other
// process has ended.
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
		err = errors.New("a message was truncated")
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

// Conn returns the message's only socket as a connection, and closes the file.
func (m Message) Conn() (net.Conn, error) {
	defer func() { _ = closeAll(m.Files) }()
	if len(m.Files) != 1 {
		return nil, fmt.Errorf("a message carries %d sockets, want one", len(m.Files))
	}
	return net.FileConn(m.Files[0])
}

// Listener returns socket i as a listener. The files stay open.
func (m Message) Listener(i int) (net.Listener, error) {
	if i >= len(m.Files) {
		return nil, fmt.Errorf("a message carries %d sockets, none at index %d", len(m.Files), i)
	}
	return net.FileListener(m.Files[i])
}

// Close closes the files that came with the message.
func (m Message) Close() error { return closeAll(m.Files) }
