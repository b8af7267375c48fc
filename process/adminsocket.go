package process

import (
	"fmt"
	"net"

	"wxgate/secret"
)

// checkAdminSocket refuses a socket that others than this machine can reach, unless the admin API asks for a token. What
// the configuration says of server.admin is not enough: a socket of systemd listens where its unit says, and localhost
// may be a name of any address.
func checkAdminSocket(ln net.Listener, token secret.Text) error {
	if token.Reveal() != "" || onThisMachine(ln.Addr()) {
		return nil
	}
	return fmt.Errorf("the admin socket listens on %s, where others can reach it: set server.admin_token, or let it listen on a loopback address",
		ln.Addr())
}

// onThisMachine reports whether an address can be reached from this machine alone: loopback, or a Unix socket, whose file
// says who may.
func onThisMachine(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}
