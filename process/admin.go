package process

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"wxgate/config"
	"wxgate/gateway/certificate"
	"wxgate/input"
)

// adminTLS is server.admin_tls, whose certificate changes while it is served.
type adminTLS struct {
	running atomic.Pointer[certificate.Set] // nil: the admin listener is plain
}

// load reads the certificate of a configuration, as certificates.load does those of server.tls.
func (a *adminTLS) load(cfg config.Config) (*certificate.Set, error) {
	return loadCertificates("server.admin_tls", cfg.Server.AdminTLS.Config(), a.running.Load())
}

// config is that of the listener; nil: it is plain. It speaks HTTP/1.1 alone, as without TLS.
func (a *adminTLS) config() *tls.Config {
	if a.running.Load() == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return a.running.Load().Choose(hello)
		},
	}
}

// listenOperator listens on server.admin, an address or a Unix socket.
func listenOperator(address string) (net.Listener, error) {
	if path, is, _ := input.Socket(address); is {
		return listenUnix(path)
	}
	return net.Listen("tcp", address)
}

// socketMode lets the user and the group of wxgate use a socket: connecting takes the right to write (unix(7)).
const socketMode = 0o660

// listenUnix listens on a Unix socket. The file of one that nobody listens on any more is replaced; any other file is an error.
// The file stays when the listener closes: a successor may have it by then.
func listenUnix(path string) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	listen := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { restrictMode(fd, socketMode) })
	}}
	ln, err := listen.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false) // package net returns no other for unix
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

// removeStale removes the file of a socket on which nobody listens.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("listen unix %s: this is a file, and no socket", path)
	}
	conn, err := new(net.Dialer).DialContext(context.Background(), "unix", path)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("listen unix %s: %w", path, syscall.EADDRINUSE), conn.Close())
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist): // removed meanwhile
		return nil
	case errors.Is(err, syscall.EAGAIN): // somebody listens who is busy
		return fmt.Errorf("listen unix %s: %w", path, syscall.EADDRINUSE)
	}
	return err
}
