// Package epoll waits for sockets with level-triggered epoll(7), on one thread, as cheaply as Go allows: the load
// generator and the service of the benchmarks share a CPU.
package epoll

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Poll is a set of descriptors. It is not safe for concurrent use.
type Poll struct {
	fd     int
	events []unix.EpollEvent
}

// Event says what a descriptor is ready for. An error or a hang-up counts as readable.
type Event struct {
	FD       int
	Readable bool
	Writable bool
}

// New returns an empty set.
func New() (*Poll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return &Poll{fd: fd, events: make([]unix.EpollEvent, 256)}, nil
}

// Add waits for fd to become readable.
func (p *Poll) Add(fd int) error { return p.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN) }

// WaitToWrite also waits for fd to become writable, until WaitToRead.
func (p *Poll) WaitToWrite(fd int) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN|unix.EPOLLOUT)
}

// WaitToRead waits for fd to become readable only.
func (p *Poll) WaitToRead(fd int) error { return p.control(unix.EPOLL_CTL_MOD, fd, unix.EPOLLIN) }

func (p *Poll) control(operation, fd int, events uint32) error {
	if err := unix.EpollCtl(p.fd, operation, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// Wait calls handle for every descriptor that is ready, after waiting for at most so many milliseconds; -1 is for ever.
func (p *Poll) Wait(milliseconds int, handle func(Event) error) error {
	n, err := unix.EpollWait(p.fd, p.events, milliseconds)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, e := range p.events[:n] {
		event := Event{FD: int(e.Fd), Readable: e.Events&^unix.EPOLLOUT != 0, Writable: e.Events&unix.EPOLLOUT != 0}
		if err := handle(event); err != nil {
			return err
		}
	}
	return nil
}

// Dial connects to an IPv4 address of this machine and adds the connection.
func (p *Poll) Dial(address netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("connecting to %s: %w", address, err)
	}
	err = errors.Join(
		unix.Connect(fd, &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}),
		unix.SetNonblock(fd, true),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		p.Add(fd),
	)
	if err != nil {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("connecting to %s: %w", address, err)
	}
	return fd, nil
}

// Listen listens on an IPv4 address and adds the listener.
func (p *Poll) Listen(address netip.AddrPort) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("listening on %s: %w", address, err)
	}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}),
		unix.Listen(fd, 4096),
		p.Add(fd),
	)
	if err != nil {
		_ = unix.Close(fd)
		return 0, fmt.Errorf("listening on %s: %w", address, err)
	}
	return fd, nil
}

// Accept adds the next connection of a listener. It reports whether there was one.
func (p *Poll) Accept(listener int) (fd int, ok bool) {
	fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return 0, false
	}
	if errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), p.Add(fd)) != nil {
		_ = unix.Close(fd)
		return 0, false
	}
	return fd, true
}

// Again reports whether err says that a socket is not ready.
func Again(err error) bool { return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) }
