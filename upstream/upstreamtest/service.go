// Package upstreamtest runs services on loopback for tests: good ones, and ones that misbehave as scripted. They use
// real sockets, record every byte that they receive, and end with the test.
package upstreamtest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// IDField is the header field by which Count tells requests apart.
const IDField = "X-Test-Id"

// Service is a service on loopback. Its methods are safe for concurrent use.
type Service struct {
	URL  string // http://127.0.0.1:port
	Addr string // 127.0.0.1:port

	ln      net.Listener
	serving sync.WaitGroup

	mu       sync.Mutex
	accepted int
	open     map[net.Conn]struct{}
	requests []Request
}

// Raw runs serve in a goroutine of its own for each connection; n is 1 for the first. The connection is closed when
// serve returns, and when the test ends.
func Raw(t testing.TB, serve func(conn net.Conn, n int)) *Service {
	t.Helper()
	s := listen(t)
	s.start(serve)
	return s
}

// HTTP runs a service that keeps its connections and answers each request with the bytes that answer returns. After an
// answer with "Connection: close" in its head it closes the connection.
func HTTP(t testing.TB, answer func(Request) string) *Service {
	t.Helper()
	s := listen(t)
	s.start(func(conn net.Conn, n int) { s.converse(conn, n, answer) })
	return s
}

// Fixed runs a service that answers the first request of each connection with exactly these bytes, and closes it.
func Fixed(t testing.TB, answer string) *Service {
	t.Helper()
	s := listen(t)
	s.start(func(conn net.Conn, n int) {
		if _, err := s.Receive(bufio.NewReader(conn), n); err != nil {
			return
		}
		_, _ = io.WriteString(conn, answer)
		s.hangUp(conn)
	})
	return s
}

func listen(t testing.TB) *Service {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	return serviceOn(t, ln, err)
}

// listenAtHeld listens at an address that stays the service's until the test ends, also while it does not listen.
func listenAtHeld(t testing.TB, address string) *Service {
	t.Helper()
	ln, err := listenHeld(holdPort(t, address))
	return serviceOn(t, ln, err)
}

func serviceOn(t testing.TB, ln net.Listener, err error) *Service {
	t.Helper()
	if err != nil {
		t.Fatalf("listening on loopback: %v", err)
	}
	s := &Service{URL: "http://" + ln.Addr().String(), Addr: ln.Addr().String(), ln: ln, open: map[net.Conn]struct{}{}}
	t.Cleanup(s.Close)
	return s
}

func (s *Service) start(serve func(net.Conn, int)) {
	s.serving.Go(func() {
		for {
			conn, err := s.ln.Accept()
			if err != nil {
				return
			}
			n := s.opened(conn)
			s.serving.Go(func() {
				defer s.closed(conn)
				serve(conn, n)
			})
		}
	})
}

func (s *Service) opened(conn net.Conn) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[conn] = struct{}{}
	s.accepted++
	return s.accepted
}

func (s *Service) closed(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}

func (s *Service) converse(conn net.Conn, n int, answer func(Request) string) {
	br := bufio.NewReader(conn)
	for {
		req, err := s.Receive(br, n)
		if err != nil {
			return
		}
		text := answer(req)
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
		if head, _, _ := strings.Cut(text, "\r\n\r\n"); strings.Contains(strings.ToLower(head), "connection: close") {
			return
		}
	}
}

// hangUp ends a connection so that what was written arrives: closing with unread bytes would reset it.
func (s *Service) hangUp(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
}

// Receive reads a request from connection number n and records it for Requests and Count.
func (s *Service) Receive(br *bufio.Reader, n int) (Request, error) {
	req, err := ReadRequest(br)
	req.Conn = n
	if err == nil || len(req.Raw) > 0 {
		s.keep(req)
	}
	return req, err
}

func (s *Service) keep(req Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, req)
}

// Requests returns all requests so far, in the order in which they were read, including broken ones. They are not copied: a test
// may ask after each of many thousands. None of them changes any more.
func (s *Service) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clip(s.requests)
}

// Count returns how many requests with this method, path and value of IDField have arrived.
func (s *Service) Count(method, path, id string) int {
	n := 0
	for _, req := range s.Requests() {
		if req.Method == method && req.Path() == path && req.Field(IDField) == id {
			n++
		}
	}
	return n
}

// Conns returns how many connections were accepted so far.
func (s *Service) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// OpenConns returns how many connections are open now.
func (s *Service) OpenConns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// CloseConns closes every open connection; new ones are still accepted.
func (s *Service) CloseConns() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}

// Close stops the service and waits for its goroutines. It may be called more than once.
func (s *Service) Close() {
	if err := s.ln.Close(); errors.Is(err, net.ErrClosed) {
		return
	}
	for {
		s.CloseConns()
		s.serving.Wait()
		if s.OpenConns() == 0 {
			return
		}
	}
}

// Reset closes a TCP connection by a reset (RST) instead of an orderly end (FIN).
func Reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// Refused returns the URL of a port on loopback at which nothing listens, and which nothing else can take during the
// test.
func Refused(t testing.TB) string {
	t.Helper()
	return "http://" + holdPort(t, "127.0.0.1:0")
}

// Dawdle returns after d, for a service that is slow.
func Dawdle(d time.Duration) { <-time.After(d) }
