package process

import (
	"fmt"
	"net"

	"wxgate/secret"
)

// checkAdminSocket refuses a socket that other machines can reach, unless the admin API asks for a token. To look at
// server.admin is not enough: a socket of systemd listens where its unit says, and localhost may resolve to any address.
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
