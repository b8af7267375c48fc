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
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"wxgate/gateway/listen"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
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

func TestAcceptSurvivesAShortageOfDescriptors(t *testing.T) {
	t.Parallel()
	errs := []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED}
	tcp := loopback(t)
	ln := listen.NewListener(&failing{tcp, errs}, listen.DefaultConfig())
	client, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatalf("Accept: %v, want a connection after %v", err, errs)
	}
	conn.Close()
	if got := ln.Stats(); got != (listen.Stats{Accepted: 1, Retries: int64(len(errs))}) {
		t.Errorf("got %+v, want one accepted after %d retries", got, len(errs))
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
	go func() {
		_, err := ln.Accept()
		ended <- err
	}()
	ln.Close()
	select {
	case err := <-ended:
		// fasthttp knows the end of a listener by this text.
		if !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "use of closed network connection") {
			t.Errorf("Accept: %v, want %v", err, net.ErrClosed)
		}
	case <-time.After(long):
		t.Error("Accept still retries after Close")
	}
}

func TestABrokenListenerEndsAccept(t *testing.T) {
	t.Parallel()
	ln := listen.NewListener(&failing{loopback(t), []error{syscall.EBADF}}, listen.DefaultConfig())
	if _, err := ln.Accept(); !errors.Is(err, syscall.EBADF) {
		t.Errorf("Accept: %v, want %v", err, syscall.EBADF)
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
	s := serve(t, listen.Config{}, func(ctx *fasthttp.RequestCtx) {
		conn := ctx.Conn().(*listen.Conn)
		gone <- conn.PeerGone()
		<-proceed
		eventually(t, conn.PeerGone)
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
	s := serve(t, listen.Config{}, func(ctx *fasthttp.RequestCtx) {
		c := ctx.Conn().(*listen.Conn)
		facts <- fmt.Sprint(c.Requests(), c.HasBody(), c.BodyRemaining())
	})
	exchange(t, dial(t, s), get+end+post+"Content-Length: 5\r\n\r\nhello"+get+end, true)
	for _, want := range []string{"1 false false", "2 true false", "3 false false"} {
		if got := <-facts; got != want {
			t.Errorf("requests, has body, body remaining: got %s, want %s", got, want)
		}
	}
}

func TestTLSIsJudgedAfterDecryption(t *testing.T) {
	t.Parallel()
	tcp := loopback(t)
	ln := listen.NewListener(tls.NewListener(tcp, &tls.Config{Certificates: []tls.Certificate{certificate(t)}}), listen.DefaultConfig())
	fast := &fasthttp.Server{Handler: ok, ErrorHandler: answerFault, Logger: quiet{}}
	served := make(chan struct{})
	go func() { _ = fast.Serve(ln); close(served) }()
	t.Cleanup(func() { _ = fast.Shutdown(); <-served })
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
