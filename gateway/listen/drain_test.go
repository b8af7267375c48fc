//go:build linux

package listen_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/message"
)

// pausedListener accepts nothing until resume is closed.
type pausedListener struct {
	*net.TCPListener
	waits  chan struct{} // told of the first call
	resume chan struct{}
}

func (l *pausedListener) Accept() (net.Conn, error) {
	select {
	case l.waits <- struct{}{}:
	default:
	}
	<-l.resume
	return l.TCPListener.Accept()
}

// TestAStopCanKeepNewcomersOut: Go's listeners speak MPTCP unless told otherwise, and take no filter then. On a busy
// machine clients came for as long as the stop waited, and the end of the listener reset them.
func TestAStopCanKeepNewcomersOut(t *testing.T) {
	t.Parallel()
	ln, err := listen.Listen("tcp", "127.0.0.1:0", listen.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := ln.ShutQueue(); err != nil {
		t.Error(err)
	}
}

// TestWhoHasConnectedIsServedBeforeTheListenerEnds has clients in the kernel's queue when the stop begins.
func TestWhoHasConnectedIsServedBeforeTheListenerEnds(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	paused := &pausedListener{tcp.(*net.TCPListener), make(chan struct{}, 1), make(chan struct{})}
	ln := listen.NewListener(paused, listen.DefaultConfig())
	served := make(chan error, 1)
	go func() { served <- ln.Serve(closing(func() bool { return true })) }()
	<-paused.waits
	var clients []net.Conn
	for range 50 {
		conn, err := net.Dial("tcp", tcp.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, conn)
	}
	drained := make(chan error, 1)
	go func() { drained <- ln.Drain(context.Background()) }()
	close(paused.resume)
	for i, conn := range clients {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		_ = resp.Body.Close()
		_ = conn.Close()
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// closing is a handler whose answers end their connection when last says so.
func closing(last func() bool) handler {
	return func(c *listen.Conn) {
		c.ReadRequest(new(message.Request))
		_, _ = c.WriteResponse(&message.Response{Status: 200, Close: last()})
	}
}

// drainingServer serves until drain is called, whose answers from then on are the last ones.
func drainingServer(t *testing.T, cfg listen.Config) (address string, drain func() <-chan error) {
	t.Helper()
	ln, err := listen.Listen("tcp", "127.0.0.1:0", cfg.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	var draining atomic.Bool
	go func() { _ = ln.Serve(closing(draining.Load)) }()
	return ln.Addr().String(), func() <-chan error {
		draining.Store(true)
		drained := make(chan error, 1)
		go func() { drained <- ln.Drain(context.Background()) }()
		return drained
	}
}

// usedConnection is a connection between two requests.
func usedConnection(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	ask(t, conn)
	return conn
}

// wantEnd checks that the connection ends in order.
func wantEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the connection ended with %d bytes, %v; want an orderly end", n, err)
	}
	_ = conn.Close()
}

// TestARequestThatComesAfterTheListenerEndedIsAnswered sends the next request of a connection when nobody listens any
// more.
func TestARequestThatComesAfterTheListenerEndedIsAnswered(t *testing.T) {
	t.Parallel()
	address, drain := drainingServer(t, listen.Config{NextRequest: time.Hour})
	conn := usedConnection(t, address)
	drained := drain()
	for {
		probe, err := net.DialTimeout("tcp", address, 50*time.Millisecond)
		if err != nil {
			break
		}
		_ = probe.Close()
	}
	ask(t, conn)
	wantEnd(t, conn)
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestAnIdleConnectionEndsInOrderWithItsListener(t *testing.T) {
	t.Parallel()
	address, drain := drainingServer(t, listen.Config{NextRequest: time.Millisecond})
	conn := usedConnection(t, address)
	silent, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	drained := drain()
	wantEnd(t, conn)
	wantEnd(t, silent)
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestAHeadThatHasBegunIsWaitedFor has a request of which the beginning has come when no next request is waited for.
func TestAHeadThatHasBegunIsWaitedFor(t *testing.T) {
	t.Parallel()
	address, drain := drainingServer(t, listen.Config{NextRequest: time.Millisecond})
	used := usedConnection(t, address)
	fresh, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range []net.Conn{fresh, used} {
		say(t, conn, "GET / HT")
	}
	idle := usedConnection(t, address)
	drained := drain()
	wantEnd(t, idle) // by now, connections are told to leave
	for _, conn := range []net.Conn{fresh, used} {
		say(t, conn, "TP/1.1\r\nHost: a\r\n\r\n")
		if got := readAnswer(t, conn); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("got %q", got)
		}
		wantEnd(t, conn)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestAProxiedConnectionEndsWithItsListener has connections of a proxy that has named their clients and waits.
func TestAProxiedConnectionEndsWithItsListener(t *testing.T) {
	t.Parallel()
	s := serveProxied(t, listen.Config{NextRequest: time.Millisecond, ReadHeader: time.Minute})
	const named = "PROXY TCP4 192.0.2.7 10.0.0.1 8000 80\r\n"
	fresh, used := dial(t, s), dial(t, s)
	say(t, fresh, named)
	say(t, used, named+get+end)
	readAnswer(t, used)
	start := time.Now()
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > long {
		t.Errorf("the drain took %v", took)
	}
	wantEnd(t, fresh)
	wantEnd(t, used)
}

// ask sends a request and reads its answer.
func ask(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
}
