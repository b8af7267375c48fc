package listen_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"wxgate/gateway/listen"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// failing fails its first Accept calls as accept(2) does.
type failing struct {
	net.Listener
	errs []error
}

func (f *failing) Accept() (net.Conn, error) {
	if len(f.errs) > 0 {
		err := f.errs[0]
		f.errs = f.errs[1:]
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
	}
	return f.Listener.Accept()
}

func loopback(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func TestServeSurvivesAShortageOfDescriptors(t *testing.T) {
	t.Parallel()
	errs := []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED}
	tcp := loopback(t)
	ln := listen.NewListener(&failing{tcp, errs}, listen.DefaultConfig())
	served := make(chan error, 1)
	go func() { served <- ln.Serve(handler(ok)) }()
	client, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if got := oneAnswer(t, client); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Fatalf("got %q, want a connection that is served after %v", got, errs)
	}
	if got := ln.Stats(); got != (listen.Stats{Open: 1, Accepted: 1, Retries: int64(len(errs))}) {
		t.Errorf("got %+v, want one accepted after %d retries", got, len(errs))
	}
	ln.Close()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v after Close", err)
	}
	ln.Abort()
	ln.Wait()
	if got := ln.Stats().Open; got != 0 {
		t.Errorf("%d connections are open after Abort", got)
	}
}

func TestCloseEndsAnAcceptThatRetries(t *testing.T) {
	t.Parallel()
	errs := make([]error, 1000)
	for i := range errs {
		errs[i] = syscall.EMFILE
	}
	ln := listen.NewListener(&failing{loopback(t), errs}, listen.DefaultConfig())
	ended := make(chan error, 1)
	go func() { ended <- ln.Serve(handler(ok)) }()
	ln.Close()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("Serve: %v, want the orderly end", err)
		}
	case <-time.After(long):
		t.Error("Serve still retries after Close")
	}
}

// crowd is a listener at which so many clients wait, and then nobody ever.
type crowd struct {
	net.Listener
	left  int
	at    []time.Duration // when each was accepted, since the first
	from  time.Time
	first net.Conn
}

func (c *crowd) Accept() (net.Conn, error) {
	if c.left == 0 {
		return nil, net.ErrClosed
	}
	client, ours := net.Pipe()
	if c.left--; c.from.IsZero() {
		c.from, c.first = time.Now(), client // the only one that stays
	} else {
		_ = client.Close()
	}
	c.at = append(c.at, time.Since(c.from))
	return ours, nil
}

// TestACrowdIsAcceptedInBatches has the clock of synctest, which stands still while anything runs: what is accepted at
// one time was one batch.
func TestACrowdIsAcceptedInBatches(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  listen.Config
	}{{"served", listen.Config{MaxConns: 1 << 10}.WithDefaults()}, {"refused", listen.Config{MaxConns: 1}.WithDefaults()}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				batch := listen.AcceptBatch * runtime.GOMAXPROCS(0)
				clients := &crowd{left: 3*batch + 1}
				ln := listen.NewListener(clients, test.cfg)
				if err := ln.Serve(handler(ok)); err != nil {
					t.Fatal(err)
				}
				_ = clients.first.Close()
				ln.Wait()
				if got := ln.Stats(); got.Accepted+got.Refused != int64(len(clients.at)) || (got.Refused > 0) != (test.cfg.MaxConns == 1) {
					t.Errorf("got %+v of %d clients", got, len(clients.at))
				}
				for i, at := range clients.at {
					if want := time.Duration(i/batch) * listen.AcceptPause; at != want {
						t.Fatalf("client %d of %d was accepted after %v, want %v", i, len(clients.at), at, want)
					}
				}
			})
		})
	}
}

func TestABrokenListenerEndsServe(t *testing.T) {
	t.Parallel()
	ln := listen.NewListener(&failing{loopback(t), []error{syscall.EBADF}}, listen.DefaultConfig())
	if err := ln.Serve(handler(ok)); !errors.Is(err, syscall.EBADF) {
		t.Errorf("Serve: %v, want %v", err, syscall.EBADF)
	}
}

func TestConnectionsOverTheCapAreTold(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{MaxConns: 2}, ok)
	first, second := dial(t, s), dial(t, s)
	for _, conn := range []net.Conn{first, second} {
		if got := oneAnswer(t, conn); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Fatalf("got %q within the cap, want 200", got)
		}
	}
	if got := exchange(t, dial(t, s), get+end, false); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "Retry-After: ") {
		t.Errorf("got %q over the cap, want 503 with Retry-After", got)
	}
	first.Close()
	eventually(t, func() bool { return s.Stats().Open == 1 })
	if got := oneAnswer(t, dial(t, s)); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q after one had left, want 200", got)
	}
	if got := s.Stats(); got.Refused != 1 || got.Accepted != 3 {
		t.Errorf("got %+v, want 3 accepted and 1 refused", got)
	}
}

// oneAnswer sends a request and returns the first bytes of the answer.
func oneAnswer(t *testing.T, conn net.Conn) string {
	t.Helper()
	if _, err := io.WriteString(conn, get+end); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		t.Errorf("reading the answer: %v", err)
	}
	return string(buf[:n])
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(long); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not so after %v", long)
		}
	}
}

func TestPeerGoneSeesAClientThatLeft(t *testing.T) {
	t.Parallel()
	gone := make(chan bool, 2)
	proceed := make(chan struct{})
	s := serve(t, listen.Config{}, func(c *listen.Conn) {
		gone <- c.PeerGone()
		<-proceed
		eventually(t, c.PeerGone)
		gone <- true
	})
	conn := dial(t, s)
	if _, err := io.WriteString(conn, get+end+"GET /unread"); err != nil {
		t.Fatal(err)
	}
	if <-gone {
		t.Error("PeerGone is true while the client waits, want false")
	}
	conn.Close()
	close(proceed)
	<-gone
}

func TestAConnectionSpeaksOfTheCurrentRequest(t *testing.T) {
	t.Parallel()
	facts := make(chan string, 3)
	s := serve(t, listen.Config{}, func(c *listen.Conn) {
		req, _, _ := read(c)
		facts <- fmt.Sprintln(req.Method, req.Body != nil, c.BodyRemaining())
		answer(c, 200, "")
	})
	exchange(t, dial(t, s), get+end+post+"Content-Length: 5\r\n\r\nhello"+get+end, true)
	for _, want := range []string{"GET false false\n", "POST true false\n", "GET false false\n"} {
		if got := <-facts; got != want {
			t.Errorf("method, has body, body remaining: got %s, want %s", got, want)
		}
	}
}

func TestTLSIsJudgedAfterDecryption(t *testing.T) {
	t.Parallel()
	tcp := loopback(t)
	cfg := listen.DefaultConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	ln := listen.NewListener(tcp, cfg)
	served := make(chan struct{})
	go func() { _ = ln.Serve(handler(ok)); close(served) }()
	t.Cleanup(func() { _ = ln.Close(); <-served; ln.Abort(); ln.Wait() })
	conn, err := tls.Dial("tcp", tcp.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, get+end+"GET  / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil || strings.Count(string(answer), "HTTP/1.1 200") != 1 || !strings.HasSuffix(string(answer), string("bad request line")) {
		t.Errorf("got %q, %v, want 200, then the refusal and a clean end", answer, err)
	}
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
