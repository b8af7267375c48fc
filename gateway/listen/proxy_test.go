package listen_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"wxgate/gateway/listen"
	"wxgate/message"
)

const signature2 = "\r\n\r\n\x00\r\nQUIT\n"

// binaryHeader is a header of version 2.
func binaryHeader(command, family byte, body string) string {
	return signature2 + string([]byte{command, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(body)))) + body
}

const (
	tcp4 = "\xc0\x00\x02\x07\x0a\x00\x00\x01\x1f\x40\x00\x50" // 192.0.2.7:8000 to 10.0.0.1:80
	tcp6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1f\x40\x00\x50"
)

// serveProxied answers each request with the address that its connection has.
func serveProxied(t *testing.T, cfg listen.Config) *server {
	t.Helper()
	cfg.Proxied = func(peer netip.Addr) bool { return peer.IsLoopback() }
	return serve(t, cfg, whole(func(c *listen.Conn, _ *message.Request, _ string) string {
		return "from " + c.RemoteAddr().String()
	}))
}

const proxiedRequest = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

func TestAProxyNamesItsClient(t *testing.T) {
	t.Parallel()
	s := serveProxied(t, listen.Config{})
	for name, row := range map[string]struct{ header, from string }{
		"v1 over IPv4":            {"PROXY TCP4 192.0.2.7 10.0.0.1 8000 80\r\n", "192.0.2.7:8000"},
		"v1 over IPv6":            {"PROXY TCP6 2001:db8::7 2001:db8::1 8000 80\r\n", "[2001:db8::7]:8000"},
		"v1 of nobody":            {"PROXY UNKNOWN\r\n", ":0"},
		"v1 unknown with more":    {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ":0"},
		"v2 over IPv4":            {binaryHeader(0x21, 0x11, tcp4), "192.0.2.7:8000"},
		"v2 over IPv6":            {binaryHeader(0x21, 0x21, tcp6), "[2001:db8::7]:8000"},
		"v2 with TLVs":            {binaryHeader(0x21, 0x11, tcp4+"\x01\x00\x02h2"+"\x05\x00\x00"), "192.0.2.7:8000"},
		"v2 with many TLVs":       {binaryHeader(0x21, 0x11, tcp4+"\xea\x0b\xb8"+strings.Repeat("x", 3000)), "192.0.2.7:8000"},
		"v2 of the proxy itself":  {binaryHeader(0x20, 0x00, ""), "127.0.0.1:"},
		"v2 local with anything":  {binaryHeader(0x20, 0x12, "anything"), "127.0.0.1:"},
		"v2 unspecified":          {binaryHeader(0x21, 0x00, "anything"), ":0"},
		"v2 from a Unix socket":   {binaryHeader(0x21, 0x31, strings.Repeat("\x00", 216)), ":0"},
		"v2 with a mapped client": {binaryHeader(0x21, 0x21, strings.Repeat("\x00", 10)+"\xff\xff\xc0\x00\x02\x07"+tcp6[16:]), "192.0.2.7:8000"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exchange(t, dial(t, s), row.header+proxiedRequest, true); !strings.Contains(got, "from "+row.from) {
				t.Errorf("got %q, want it from %s", got, row.from)
			}
		})
	}
}

func TestAHeaderMayComeInAnyPieces(t *testing.T) {
	t.Parallel()
	s := serveProxied(t, listen.Config{})
	for _, header := range []string{"PROXY TCP4 192.0.2.7 10.0.0.1 8000 80\r\n", binaryHeader(0x21, 0x11, tcp4+"\x01\x00\x02h2")} {
		conn := dial(t, s)
		for i := range len(header) {
			if _, err := conn.Write([]byte{header[i]}); err != nil {
				t.Fatal(err)
			}
		}
		if got := exchange(t, conn, proxiedRequest, true); !strings.Contains(got, "from 192.0.2.7:8000") {
			t.Errorf("got %q", got)
		}
	}
}

func TestAHeaderThatDoesNotHoldIsRefused(t *testing.T) {
	t.Parallel()
	s := serveProxied(t, listen.Config{})
	for name, header := range map[string]string{
		"missing":                      "",
		"in lower case":                "proxy TCP4 192.0.2.7 10.0.0.1 8000 80\r\n",
		"of no family":                 "PROXY TCP5 192.0.2.7 10.0.0.1 8000 80\r\n",
		"of another family":            "PROXY TCP4 2001:db8::7 2001:db8::1 8000 80\r\n",
		"with a destination of IPv6":   "PROXY TCP4 192.0.2.7 2001:db8::1 8000 80\r\n",
		"with a zone":                  "PROXY TCP6 fe80::1%eth0 2001:db8::1 8000 80\r\n",
		"with a name":                  "PROXY TCP4 localhost 10.0.0.1 8000 80\r\n",
		"with two spaces":              "PROXY TCP4  192.0.2.7 10.0.0.1 8000 80\r\n",
		"with a tab":                   "PROXY TCP4\t192.0.2.7 10.0.0.1 8000 80\r\n",
		"with too little":              "PROXY TCP4 192.0.2.7 10.0.0.1 8000\r\n",
		"with too much":                "PROXY TCP4 192.0.2.7 10.0.0.1 8000 80 90\r\n",
		"with a port over the range":   "PROXY TCP4 192.0.2.7 10.0.0.1 65536 80\r\n",
		"with a port that leads zeros": "PROXY TCP4 192.0.2.7 10.0.0.1 08000 80\r\n",
		"with a negative port":         "PROXY TCP4 192.0.2.7 10.0.0.1 -1 80\r\n",
		"ended by LF alone":            "PROXY TCP4 192.0.2.7 10.0.0.1 8000 80\n",
		"of nothing":                   "PROXY \r\n",
		"too long":                     "PROXY UNKNOWN " + strings.Repeat("x", 100) + "\r\n",
		"of version 1 of the binary":   binaryHeader(0x11, 0x11, tcp4),
		"of a command that is none":    binaryHeader(0x22, 0x11, tcp4),
		"of UDP":                       binaryHeader(0x21, 0x12, tcp4),
		"of a family that is none":     binaryHeader(0x21, 0x41, tcp4),
		"shorter than its addresses":   binaryHeader(0x21, 0x11, tcp4[:11]),
		"longer than any":              binaryHeader(0x21, 0x11, tcp4+strings.Repeat("x", 4096)),
		"with half a TLV":              binaryHeader(0x21, 0x11, tcp4+"\x01\x00"),
		"with a TLV beyond its end":    binaryHeader(0x21, 0x11, tcp4+"\x01\x00\x09h2"),
	} {
		t.Run(name, func(t *testing.T) {
			got := exchange(t, dial(t, s), header+proxiedRequest, true)
			if !strings.HasPrefix(got, "HTTP/1.1 400") || strings.Contains(got, "from ") {
				t.Errorf("got %q, want 400", got)
			}
		})
	}
}

func TestAHeaderFromElsewhereIsNoHeader(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{Proxied: func(netip.Addr) bool { return false }}, ok)
	if got := exchange(t, dial(t, s), "PROXY TCP4 192.0.2.7 10.0.0.1 8000 80\r\n"+proxiedRequest, true); !strings.HasPrefix(got, "HTTP/1.1 400") {
		t.Errorf("got %q, want 400", got)
	}
}

func TestAProxyThatStaysSilentIsCut(t *testing.T) {
	t.Parallel()
	s := serveProxied(t, listen.Config{ReadHeader: 50 * time.Millisecond})
	for _, begun := range []string{"", "PROXY TCP4 192.0", signature2[:5], binaryHeader(0x21, 0x11, tcp4)[:20]} {
		conn := dial(t, s)
		if _, err := conn.Write([]byte(begun)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := conn.Read(make([]byte, 100)); n > 0 || isTimeout(err) {
			t.Errorf("%q: got %d bytes and %v, want the end", begun, n, err)
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error) //nolint:errorlint // of the connection itself
	return ok && timeout.Timeout()
}

// TestAnyAddressComesThrough writes headers of both versions for any address and reads them back.
func TestAnyAddressComesThrough(t *testing.T) {
	t.Parallel()
	s := serveProxied(t, listen.Config{})
	rapid.Check(t, func(rt *rapid.T) {
		addr := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(rt, "v4")))
		family, command := "TCP4", byte(0x11)
		if rapid.Bool().Draw(rt, "six") {
			addr = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(rt, "v6")))
			family, command = "TCP6", 0x21
		}
		port := rapid.Uint16().Draw(rt, "port")
		header := fmt.Sprintf("PROXY %s %s %s %d 80\r\n", family, addr, addr, port)
		if rapid.Bool().Draw(rt, "binary") {
			ports := binary.BigEndian.AppendUint16(nil, port)
			header = binaryHeader(0x21, command, string(addr.AsSlice())+string(addr.AsSlice())+string(ports)+"\x00\x50")
		}
		want := "from " + netip.AddrPortFrom(addr.Unmap(), port).String()
		if got := exchange(t, dial(t, s), header+proxiedRequest, true); !strings.Contains(got, want) {
			rt.Fatalf("%q: got %q, want %s", header, got, want)
		}
	})
}

// FuzzProxyHeader reads any bytes, whole and as they come in.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.7 10.0.0.1 8000 80\r\nGET"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(binaryHeader(0x21, 0x11, tcp4+"\x01\x00\x02h2")))
	f.Add([]byte(binaryHeader(0x20, 0x00, "")))
	f.Fuzz(func(t *testing.T, b []byte) {
		length, client, good := listen.ProxyHeader(b)
		if length < 0 || length > len(b) || length > 0 && !good || length == 0 && client.IsValid() {
			t.Fatalf("%q: got %d, %v, %v", b, length, client, good)
		}
		for i := range b {
			early, first, fine := listen.ProxyHeader(b[:i])
			switch {
			case !fine && good, early > 0 && early != length, early > 0 && first != client:
				t.Fatalf("%q: got %d, %v, %v of the first %d bytes and %d, %v, %v of all", b, early, first, fine, i, length, client, good)
			}
		}
	})
}
