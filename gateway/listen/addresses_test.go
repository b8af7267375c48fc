package listen_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/listen"
)

// dialFrom dials from another address of the loopback network.
func dialFrom(t *testing.T, s *server, local string) *net.TCPConn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}, Timeout: long}
	conn, err := dialer.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn.(*net.TCPConn)
}

func TestOneAddressCannotTakeThePlacesOfAll(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{MaxConns: 100, MaxConnsPerAddr: 2}, ok)
	first := dialFrom(t, s, "127.0.0.2")
	held := []net.Conn{first, dialFrom(t, s, "127.0.0.2"), dialFrom(t, s, "127.0.0.3")}
	for _, conn := range held {
		if got := oneAnswer(t, conn); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Fatalf("got %q within the cap, want 200", got)
		}
	}
	if got := exchange(t, dialFrom(t, s, "127.0.0.2"), get+end, false); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("got %q over the cap, want 503", got)
	}
	if got := oneAnswer(t, dialFrom(t, s, "127.0.0.3")); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q from another address, want 200", got)
	}
	first.Close()
	eventually(t, func() bool { return s.Stats().Open == 3 })
	if got := oneAnswer(t, dialFrom(t, s, "127.0.0.2")); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q after one had left, want 200", got)
	}
}

func TestOneAddressGetsHalfOfThePlacesAtMost(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{MaxConns: 2, MaxConnsPerAddr: 2}, ok)
	oneAnswer(t, dialFrom(t, s, "127.0.0.2"))
	if got := exchange(t, dialFrom(t, s, "127.0.0.2"), get+end, false); !strings.HasPrefix(got, "HTTP/1.1 503 ") {
		t.Errorf("got %q for the second of two places, want 503", got)
	}
}

func TestAnExemptAddressIsNotLimited(t *testing.T) {
	t.Parallel()
	proxy := netip.MustParseAddr("127.0.0.9")
	s := serve(t, listen.Config{MaxConnsPerAddr: 1, Exempt: func(a netip.Addr) bool { return a == proxy }}, ok)
	for range 5 {
		if got := oneAnswer(t, dialFrom(t, s, proxy.String())); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Fatalf("got %q, want 200", got)
		}
	}
}

func TestClientsAreToldApartByWhatTheyAreGiven(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		got, known := listen.Subscriber(net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(in), 1)))
		if !known || got.String() != want {
			t.Errorf("%s: got %v, want %s", in, got, want)
		}
	}
}
