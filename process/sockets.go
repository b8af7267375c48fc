package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"wxgate/secret"
)

// inherited are listening sockets that were open before this process started; it opens the others itself.
type inherited struct {
	public, admin net.Listener
	redirects     net.Listener // of server.http
	shared        bool         // systemd holds them too
}

// activated returns the sockets that systemd opened (sd_listen_fds). The one named admin, or else the second one, is
// for the operator, the other one for the public.
func activated() (l inherited, err error) {
	for _, file := range activation.Files(true) {
		ln, err := listenerOf(file)
		if err != nil {
			return l, fmt.Errorf("socket %s of systemd: %w", file.Name(), err)
		}
		l.shared = true
		switch {
		case l.admin == nil && (file.Name() == "admin" || l.public != nil):
			l.admin = ln
		case l.public == nil:
			l.public = ln
		default:
			return l, fmt.Errorf("systemd passes a third socket, %s", ln.Addr())
		}
	}
	return l, nil
}

func listenerOf(file *os.File) (net.Listener, error) {
	defer file.Close()
	return net.FileListener(file)
}

// notify tells systemd the state of this process (sd_notify); without systemd it does nothing.
func notify(state string) error {
	_, err := daemon.SdNotify(false, state)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return err
}

// checkAdminSocket refuses a socket that other machines can reach, unless the admin API asks for a token. To look at
// server.admin is not enough: a socket of systemd listens where its unit says, and localhost may resolve to any
// address.
func checkAdminSocket(ln net.Listener, token secret.Text) error {
	if token.Reveal() != "" || onThisMachine(ln.Addr()) {
		return nil
	}
	return fmt.Errorf("the admin socket listens on %s, where others can reach it: set server.admin_token, or let it listen on a loopback address",
		ln.Addr())
}

// onThisMachine reports whether only this machine can reach an address: loopback, or a Unix socket, which has file
// permissions.
func onThisMachine(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}
