package process

import (
	"net"
	"strings"
	"testing"

	"wxgate/secret"
)

// elsewhere is a listener whose address is what a name such as localhost was resolved to.
type elsewhere struct {
	net.Listener
	addr net.Addr
}

func (l elsewhere) Addr() net.Addr { return l.addr }

func TestAnAdminSocketThatOthersReachNeedsAToken(t *testing.T) {
	t.Parallel()
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 9090} }
	for _, row := range []struct {
		addr net.Addr
		own  bool
	}{
		{tcp("127.0.0.1"), true},
		{tcp("127.3.2.1"), true},
		{tcp("::1"), true},
		{tcp("::ffff:127.0.0.1"), true},
		{&net.UnixAddr{Name: "/run/wxgate/admin.sock", Net: "unix"}, true},
		{tcp("0.0.0.0"), false},
		{tcp("::"), false},
		{tcp("10.0.0.5"), false}, // what localhost was resolved to
		{tcp("fe80::1"), false},
		{&net.TCPAddr{Port: 9090}, false},
	} {
		err := checkAdminSocket(elsewhere{addr: row.addr}, "")
		if (err == nil) != row.own {
			t.Errorf("%v without a token: %v", row.addr, err)
		}
		if err != nil && !strings.Contains(err.Error(), row.addr.String()) {
			t.Errorf("%v: %v does not name the address", row.addr, err)
		}
		if err := checkAdminSocket(elsewhere{addr: row.addr}, secret.Text("0123456789abcdef")); err != nil {
			t.Errorf("%v with a token: %v", row.addr, err)
		}
	}
}
