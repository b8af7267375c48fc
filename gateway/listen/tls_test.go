package listen_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/message"
)

// secureListener serves TLS, and says of each request who its client is. Failed handshakes are sent to failures.
func secureListener(t *testing.T, change func(*listen.Config)) (addr string, failures <-chan error) {
	t.Helper()
	failed := make(chan error, 16)
	cfg := listen.DefaultConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	cfg.HandshakeFailed = func(err error) { failed <- err }
	cfg.Proxied = func(netip.Addr) bool { return false }
	change(&cfg)
	ln := listen.NewListener(loopback(t), cfg)
	served := make(chan struct{})
	go func() {
		_ = ln.Serve(handler(func(c *listen.Conn) {
			var req message.Request
			c.ReadRequest(&req)
			_, peer := c.Peer()
			_, _ = c.WriteResponse(&message.Response{Status: 200, Body: []byte(peer)})
		}))
		close(served)
	}()
	t.Cleanup(func() { _ = ln.Close(); <-served; ln.Abort(); ln.Wait() })
	return ln.Addr().String(), failed
}

func connected(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// TestTheProxyHeaderComesBeforeTheHandshake also when both come in one packet.
func TestTheProxyHeaderComesBeforeTheHandshake(t *testing.T) {
	t.Parallel()
	addr, failures := secureListener(t, func(cfg *listen.Config) { cfg.Proxied = func(netip.Addr) bool { return true } })
	conn := connected(t, addr)
	client := tls.Client(&prefixed{conn, []byte("PROXY TCP4 192.0.2.7 10.0.0.1 8000 443\r\n")}, &tls.Config{InsecureSkipVerify: true})
	say(t, client, get+end)
	if got := readAnswer(t, client); !strings.HasSuffix(got, "192.0.2.7") {
		t.Errorf("got %q", got)
	}
	without := tls.Client(connected(t, addr), &tls.Config{InsecureSkipVerify: true})
	if err := without.Handshake(); err == nil {
		t.Error("a handshake without the header succeeded")
	}
	select {
	case err := <-failures:
		t.Errorf("counted as a failed handshake: %v", err)
	default:
	}
}

// prefixed writes something in front of the first write, with it.
type prefixed struct {
	net.Conn
	first []byte
}

func (p *prefixed) Write(b []byte) (int, error) {
	if p.first == nil {
		return p.Conn.Write(b)
	}
	all := append(p.first, b...)
	p.first = nil
	_, err := p.Conn.Write(all)
	return len(b), err
}

func TestAPlainClientIsToldOfHTTPS(t *testing.T) {
	t.Parallel()
	addr, failures := secureListener(t, func(*listen.Config) {})
	conn := connected(t, addr)
	say(t, conn, get+end)
	if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !strings.Contains(string(got), "HTTPS") {
		t.Errorf("got %q and %v", got, err)
	}
	if err := <-failures; err == nil {
		t.Error("no failure was counted")
	}
}

// TestSilentHandshakesEnd leaves more clients in the midst of a handshake than there are CPUs; others are served, and the
// silent ones end.
func TestSilentHandshakesEnd(t *testing.T) {
	t.Parallel()
	addr, failures := secureListener(t, func(cfg *listen.Config) { cfg.ReadHeader = time.Second })
	var silent []net.Conn
	for range 100 {
		conn := connected(t, addr)
		say(t, conn, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") // the begin of a ClientHello
		silent = append(silent, conn)
	}
	client := tls.Client(connected(t, addr), &tls.Config{InsecureSkipVerify: true})
	say(t, client, get+end)
	readAnswer(t, client)
	for _, conn := range silent {
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatal("a silent client was kept")
		}
		if err := <-failures; err == nil {
			t.Error("a handshake that never came counts as none")
		}
	}
}
