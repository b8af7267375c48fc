package listen_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/gateway/wire"
	"wxgate/gateway/wire/wiretest"
	"wxgate/message"
)

// handler serves requests with a function, and answers a broken rule with its name.
type handler func(c *listen.Conn)

func (h handler) Serve(c *listen.Conn)                              { h(c) }
func (h handler) Refuse(c *listen.Conn, fault *wire.MalformedError) { answerFault(c, fault) }

// answerFault is what a gateway does with a verdict.
func answerFault(c *listen.Conn, err error) {
	var fault *wire.MalformedError
	if errors.As(err, &fault) {
		answer(c, fault.Status(), string(fault.Reason))
		return
	}
	answer(c, 599, "not a verdict: "+err.Error())
}

func answer(c *listen.Conn, status int, body string) {
	_, _ = c.WriteResponse(&message.Response{Status: status, Body: []byte(body), Length: -1})
}

// read reads the request that has come on c, whole.
func read(c *listen.Conn) (req message.Request, body string, err error) {
	c.ReadRequest(&req)
	b, err := readBody(req.Body, 4096)
	return req, string(b), err
}

// whole is a handler for requests that come whole, which answers 200 with the text.
func whole(text func(c *listen.Conn, req *message.Request, body string) string) handler {
	return func(c *listen.Conn) {
		req, body, err := read(c)
		if err != nil {
			answerFault(c, err)
			return
		}
		answer(c, 200, text(c, &req, body))
	}
}

func ok(c *listen.Conn) {
	whole(func(*listen.Conn, *message.Request, string) string { return "fine" })(c)
}

// server is a Listener that serves.
type server struct {
	*listen.Listener

	handled atomic.Int64 // requests that were answered with 200
}

func serve(t *testing.T, cfg listen.Config, h handler) *server {
	t.Helper()
	ln, err := listen.Listen("tcp", "127.0.0.1:0", cfg.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: ln}
	var served sync.WaitGroup
	served.Go(func() {
		if err := ln.Serve(h); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		served.Wait()
		ln.Abort()
		ln.Wait()
	})
	return s
}

// serveCounted serves requests that come whole with "fine", and counts them.
func serveCounted(t *testing.T) *server {
	t.Helper()
	var s *server
	s = serve(t, listen.Config{}, whole(func(*listen.Conn, *message.Request, string) string {
		s.handled.Add(1)
		return "fine"
	}))
	return s
}

func dial(t *testing.T, s *server) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// exchange sends in and returns all that the server answers until it closes. half ends our side after in, as a client
// that has nothing more to say does; without it the server must be the one that closes.
func exchange(t *testing.T, conn *net.TCPConn, in string, half bool) string {
	t.Helper()
	if _, err := io.WriteString(conn, in); err != nil {
		t.Fatalf("writing %q: %v", in, err)
	}
	if half {
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("reading the answer to %q: %v, want a clean end; got %q", in, err, answer)
	}
	return string(answer)
}

func TestARefusedRequestIsAnsweredInTurnAndCloses(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", get + end} {
		s := serveCounted(t)
		for _, c := range wiretest.All() {
			if c.Want == "" {
				continue
			}
			seen, v := s.handled.Load(), verdictOn(t, 64<<10, before+c.In())
			handled := v.count
			if v.inBody {
				handled-- // its head passed, its body did not
			}
			answer := exchange(t, dial(t, s), before+c.In(), false)
			if got := int(s.handled.Load() - seen); got != handled {
				t.Errorf("%s: handled %d requests, want %d; input %q", c.Name, got, handled, c.In())
			}
			if got := strings.Count(answer, "HTTP/1.1 200 OK\r\n"); got != handled {
				t.Errorf("%s: got %d answers, want %d; answer %q", c.Name, got, handled, answer)
			}
			status := (&wire.MalformedError{Reason: c.Want}).Status()
			if got := strings.Count(answer, "HTTP/1.1 "+strconv.Itoa(status)); got != 1 {
				t.Errorf("%s: got %d refusals with %d, want 1; answer %q", c.Name, got, status, answer)
			}
			if !strings.HasSuffix(answer, "\r\n\r\n"+string(c.Want)) {
				t.Errorf("%s: got %q, want the end %q", c.Name, answer, c.Want)
			}
		}
	}
}

func TestAGoodRequestIsServed(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", get + end} {
		s := serveCounted(t)
		for _, c := range wiretest.All() {
			if c.Want != "" {
				continue
			}
			seen := s.handled.Load()
			want, _ := naively(before+c.Pass, 1000)
			if want.inBody {
				want.count--
			}
			answer := exchange(t, dial(t, s), before+c.In(), true)
			if got := s.handled.Load() - seen; got != int64(want.count) {
				t.Errorf("%s: handled %d requests, want %d; input %q, answer %q", c.Name, got, want.count, c.In(), answer)
			}
		}
	}
}

func TestABodyNeverEndsWellWhenItsFramingIsBroken(t *testing.T) {
	t.Parallel()
	ends := make(chan error, 1)
	s := serve(t, listen.Config{}, func(c *listen.Conn) {
		_, _, err := read(c)
		ends <- err
		answer(c, 200, "")
	})
	for _, c := range wiretest.Bodies() {
		v := verdictOn(t, 64<<10, c.In())
		if v.count != 1 {
			continue
		}
		answer := exchange(t, dial(t, s), c.In(), true)
		if err := <-ends; (err != nil) != v.inBody {
			t.Errorf("%s: the body ended with %v, want an error %v; input %q", c.Name, err, v.inBody, c.In())
		}
		if closes := strings.Contains(answer, "Connection: close"); v.inBody && !closes {
			t.Errorf("%s: got %q, want the end of the connection", c.Name, answer)
		}
	}
}

// TestAClientThatStillSendsReadsTheAnswer is what lingering is for: closing at once would reset the connection.
func TestAClientThatStillSendsReadsTheAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, ok)
	const more = 1 << 20
	in := "GET  / HTTP/1.1\r\n\r\n" + strings.Repeat("x", more)
	answer := exchange(t, dial(t, s), in, true)
	if !strings.HasPrefix(answer, "HTTP/1.1 400 ") {
		t.Errorf("got %q, want 400; input: a bad request line and %d bytes", answer, more)
	}
}

// TestAClientThatDoesNotWaitForTheLastAnswerReadsIt has more requests behind one that ends the connection.
func TestAClientThatDoesNotWaitForTheLastAnswerReadsIt(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, ok)
	in := get + "Connection: close\r\n\r\n" + strings.Repeat(get+end, 10000)
	answer := exchange(t, dial(t, s), in, true)
	if strings.Count(answer, "HTTP/1.1 ") != 1 || !strings.HasSuffix(answer, "fine") {
		t.Errorf("got %q, want one answer", answer)
	}
}

func TestABodyThatNobodyReadsIsAnswered(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, func(c *listen.Conn) {
		c.ReadRequest(new(message.Request))
		answer(c, 413, "too large")
	})
	const length = 8 << 20
	in := post + fmt.Sprintf("Content-Length: %d\r\n\r\n", length) + strings.Repeat("x", length)
	got := exchange(t, dial(t, s), in, true)
	if !strings.HasPrefix(got, "HTTP/1.1 413 ") || !strings.HasSuffix(got, "too large") || !strings.Contains(got, "Connection: close") {
		t.Errorf("got %q, want the answer of the handler", got)
	}
}

func TestAnUpgradeLosesNoByte(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, func(c *listen.Conn) {
		c.ReadRequest(new(message.Request))
		_, _ = c.WriteResponse(&message.Response{Status: 101, Upgrade: "websocket"})
		c.Upgrade()
		_, _ = io.Copy(c, c)
	})
	const early, late = "\x81\x05hello", "\x00\r\nnot http\n"
	for _, early := range []string{early, strings.Repeat(early, 10000), ""} {
		conn := dial(t, s)
		upgrade := get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + early
		if _, err := io.WriteString(conn, upgrade); err != nil {
			t.Fatal(err)
		}
		answer := exchange(t, conn, late, true)
		if !strings.HasPrefix(answer, "HTTP/1.1 101 ") || !strings.HasSuffix(answer, "\r\n\r\n"+early+late) {
			t.Errorf("got %q, want 101 and the echo of %q", answer, early+late)
		}
	}
}

// TestAnUnreadBodyIsNoRequest has a request within a body of which the handler reads one byte.
func TestAnUnreadBodyIsNoRequest(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	s := serve(t, listen.Config{}, func(c *listen.Conn) {
		var req message.Request
		c.ReadRequest(&req)
		served.Add(1)
		if req.Body != nil {
			_, _ = io.ReadFull(req.Body, make([]byte, 1))
		}
		answer(c, 200, string(req.Target))
	})
	evil := "xGET /evil HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, c := range map[string]struct {
		in   string
		want int64
	}{
		"chunked":                 {fmt.Sprintf("%s%x\r\n%s\r\n0\r\n\r\n", chunkedHead, len(evil), evil), 1},
		"chunked and a request":   {fmt.Sprintf("%s%x\r\n%s\r\n0\r\n\r\n%s", chunkedHead, len(evil), evil, get+end), 2},
		"with a length":           {fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, len(evil), evil), 1},
		"with a length and more":  {fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s%s", post, len(evil), evil, get+end), 2},
		"longer than the buffer":  {fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, 1000*len(evil), strings.Repeat(evil, 1000)), 1},
		"longer and not complete": {fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, 1001*len(evil), strings.Repeat(evil, 1000)), 1},
	} {
		served.Store(0)
		got := exchange(t, dial(t, s), c.in, true)
		if served.Load() != c.want || strings.Count(got, "HTTP/1.1 200 ") != int(c.want) || strings.Contains(got, "evil") {
			t.Errorf("%s: served %d requests, want %d; answer %q", name, served.Load(), c.want, got)
		}
	}
}
