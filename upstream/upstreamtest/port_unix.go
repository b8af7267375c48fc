//go:build unix

package upstreamtest

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// holdPort binds an address of 127.0.0.1 without listening at it, until the test ends, and returns it with its port:
// who connects is refused, and no other test is given the port meanwhile.
func holdPort(t testing.TB, address string) string {
	t.Helper()
	wanted := netip.MustParseAddrPort(address)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(os.NewSyscallError("socket", err))
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	unix.CloseOnExec(fd)
	if err := share(fd); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(wanted.Port()), Addr: wanted.Addr().As4()}); err != nil {
		t.Fatal(os.NewSyscallError("bind", err))
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(os.NewSyscallError("getsockname", err))
	}
	at, _ := bound.(*unix.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)).String() // a port fits
}

// share lets one socket listen at an address that another one holds.
func share(fd int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
}

// listenHeld listens at an address that holdPort has bound.
func listenHeld(address string) (net.Listener, error) {
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if failed := c.Control(func(fd uintptr) { err = share(int(fd)) }); failed != nil { // a descriptor fits
			return failed
		}
		return err
	}}
	return shared.Listen(context.Background(), "tcp", address)
}
