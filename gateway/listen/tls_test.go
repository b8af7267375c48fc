package listen_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/message"
)

// secureListener serves TLS, and says of each request who its client is. Failed handshakes are sent to failures.
func secureListener(t *testing.T, change func(*listen.Config)) (addr string, failures <-chan error) {
	t.Helper()
	failed := make(chan error, 128) // all that a test causes: who waits here is not closed
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

// TestHandshakesWaitForTheirTurn floods a listener with handshakes that each take long, behind PROXY protocol headers in
// the same packet: as many are worked on as there are places, those that waited too long are given up before they are
// worked on, and whoever comes afterwards is served.
func TestHandshakesWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	cert, release := certificate(t), make(chan struct{})
	var working, most atomic.Int64
	addr, failures := secureListener(t, func(cfg *listen.Config) {
		cfg.ReadHeader = 2 * time.Second
		cfg.Proxied = func(netip.Addr) bool { return true }
		cfg.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			now := working.Add(1)
			defer working.Add(-1)
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			<-release
			return &cert, nil
		}}
	})
	begin := func() *tls.Conn {
		return tls.Client(&prefixed{connected(t, addr), []byte("PROXY TCP4 192.0.2.7 10.0.0.1 8000 443\r\n")}, &tls.Config{InsecureSkipVerify: true})
	}
	const clients = 40
	var all sync.WaitGroup
	for range clients {
		client := begin()
		all.Go(func() { _ = client.Handshake() })
	}
	places := max(1, runtime.GOMAXPROCS(0)/2)
	for range clients - places {
		if err := <-failures; !errors.Is(err, listen.ErrNoPlace) {
			t.Errorf("a handshake that waited: %v", err)
		}
	}
	close(release)
	all.Wait()
	if most.Load() != int64(places) {
		t.Errorf("%d handshakes at a time, want %d", most.Load(), places)
	}
	client := begin()
	say(t, client, get+end)
	readAnswer(t, client)
}

// updater sends TLS 1.3 records of its own (RFC 8446 §5.2) in place of a client that has shaken hands.
type updater struct {
	secret []byte
	seal   cipher.AEAD
	iv     []byte
	number uint64
}

func (u *updater) rekey(secret []byte) {
	expand := func(label string, size int) []byte {
		info := append(binary.BigEndian.AppendUint16(nil, uint16(size)), byte(len("tls13 "+label)))
		out, _ := hkdf.Expand(sha256.New, secret, string(info)+"tls13 "+label+"\x00", size)
		return out
	}
	block, _ := aes.NewCipher(expand("key", 16))
	u.seal, _ = cipher.NewGCM(block)
	u.iv, u.secret, u.number = expand("iv", 12), expand("traffic upd", 32), 0
}

func (u *updater) record(out, content []byte, kind byte) []byte {
	nonce := bytes.Clone(u.iv)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^u.number)
	u.number++
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(content)+1+u.seal.Overhead()))
	return u.seal.Seal(append(out, head...), nonce, append(bytes.Clone(content), kind), head)
}

// smallBuffers lets the kernel hold little of what is written to clients.
type smallBuffers struct{ net.Listener }

func (s smallBuffers) Accept() (net.Conn, error) {
	client, err := s.Listener.Accept()
	if tcp, ok := client.(*net.TCPConn); ok {
		err = errors.Join(err, tcp.SetWriteBuffer(4<<10))
	}
	return client, err
}

// TestAClientCannotHoldAConnectionByKeyUpdates has a client that asks for new keys again and again, of which each answer is
// written while its body is read, and that reads none of them.
func TestAClientCannotHoldAConnectionByKeyUpdates(t *testing.T) {
	t.Parallel()
	cfg := listen.DefaultConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	cfg.BodyStall, cfg.BodyGrace, cfg.WriteStall = time.Second, time.Minute, time.Second
	ln := listen.NewListener(smallBuffers{loopback(t)}, cfg)
	served := make(chan struct{})
	go func() {
		_ = ln.Serve(handler(func(c *listen.Conn) {
			var req message.Request
			c.ReadRequest(&req)
			_, _ = io.Copy(io.Discard, req.Body)
		}))
		close(served)
	}()
	conn, keys := connected(t, ln.Addr().String()), new(bytes.Buffer)
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	client := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: keys})
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if suite := client.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skipf("without AES in hardware the suite is %s", tls.CipherSuiteName(suite))
	}
	_, line, _ := strings.Cut(keys.String(), "CLIENT_TRAFFIC_SECRET_0 ")
	secret, err := hex.DecodeString(strings.Fields(line)[1])
	if err != nil {
		t.Fatal(err)
	}
	var u updater
	u.rekey(secret)
	out := u.record(nil, []byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n"), 23)
	for err == nil { // until the gateway has had enough, or takes no more
		for range 100 {
			for range 10 {
				out = u.record(out, []byte{24, 0, 0, 1, 1}, 22)
				u.rekey(u.secret)
			}
			out = u.record(out, []byte("a"), 23)
		}
		_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
		_, err = conn.Write(out)
		out = out[:0]
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the gateway keeps the connection")
	}
	_ = ln.Close()
	<-served
	ln.Abort()
	ln.Wait()
}

// TestADeadlineEndsAWriteOverTLS that is blocked already, on a connection that carries another protocol.
func TestADeadlineEndsAWriteOverTLS(t *testing.T) {
	t.Parallel()
	cfg := listen.DefaultConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	ln := listen.NewListener(loopback(t), cfg)
	ended, served := make(chan error, 1), make(chan struct{})
	go func() {
		_ = ln.Serve(handler(func(c *listen.Conn) {
			c.Upgrade()
			ending := time.AfterFunc(100*time.Millisecond, func() { _ = c.SetWriteDeadline(time.Now()) })
			defer ending.Stop()
			_, err := c.Write(make([]byte, 64<<20))
			ended <- err
		}))
		close(served)
	}()
	t.Cleanup(func() { _ = ln.Close(); <-served; ln.Abort(); ln.Wait() })
	client := tls.Client(connected(t, ln.Addr().String()), &tls.Config{InsecureSkipVerify: true})
	say(t, client, get+end)
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the write ended with %v", err)
	}
}
