package listen_test

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/listen"
	"wxgate/gateway/wire"
	"wxgate/gateway/wire/wiretest"
)

// server is a real fasthttp server behind a Listener.
type server struct {
	*listen.Listener
	handled  atomic.Int64 // requests that the handler saw
	desynced atomic.Int64 // of them, those that the connection did not pass
}

func serve(t *testing.T, cfg listen.Config, handler fasthttp.RequestHandler) *server {
	t.Helper()
	return serveWith(t, cfg, &fasthttp.Server{Handler: handler})
}

// serveWith runs a server that is set up in part; it counts what its Handler sees.
func serveWith(t *testing.T, cfg listen.Config, fast *fasthttp.Server) *server {
	t.Helper()
	ln, err := listen.Listen("tcp", "127.0.0.1:0", cfg.WithDefaults())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: ln}
	handler := fast.Handler
	fast.ReadBufferSize, fast.ErrorHandler, fast.Logger = 16<<10, answerFault, quiet{}
	fast.Handler = func(ctx *fasthttp.RequestCtx) {
		s.handled.Add(1)
		if ctx.Conn().(*listen.Conn).Requests() != ctx.ConnRequestNum() {
			s.desynced.Add(1)
		}
		handler(ctx)
	}
	var served sync.WaitGroup
	served.Go(func() { _ = fast.Serve(ln) })
	t.Cleanup(func() {
		_ = fast.Shutdown()
		served.Wait()
	})
	return s
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// answerFault is what a gateway's ErrorHandler does with a verdict.
func answerFault(ctx *fasthttp.RequestCtx, err error) {
	if fault := listen.Fault(ctx.Conn(), err); fault != nil {
		ctx.Error(string(fault.Reason), fault.Status())
		return
	}
	ctx.Error("not a verdict: "+err.Error(), 599)
}

func ok(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("fine") }

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

func TestFasthttpAnswersARefusedRequestInTurnAndCloses(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", get + end} {
		s, frugal := serve(t, listen.Config{}, ok), serveWith(t, listen.Config{}, &fasthttp.Server{Handler: ok, ReduceMemoryUsage: true})
		for i, c := range wiretest.All() {
			if c.Want == "" {
				continue
			}
			if i%2 == 1 {
				s, frugal = frugal, s
			}
			seen, v := s.handled.Load(), verdictOn(t, 64<<10, before+c.In())
			handled := int(v.requests)
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

func TestFasthttpServesAGoodRequest(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"", get + end} {
		s := serve(t, listen.Config{}, ok)
		for _, c := range wiretest.All() {
			if c.Want != "" {
				continue
			}
			seen, desynced := s.handled.Load(), s.desynced.Load()
			v := verdictOn(t, 64<<10, before+c.In())
			want := int64(v.requests)
			if v.inBody {
				want--
			}
			answer := exchange(t, dial(t, s), before+c.In(), true)
			if got := s.handled.Load() - seen; got != want || s.desynced.Load() != desynced {
				t.Errorf("%s: handled %d requests (%d out of step), want %d; input %q, answer %q",
					c.Name, got, s.desynced.Load()-desynced, want, c.In(), answer)
			}
		}
	}
}

// TestAStreamedBodyNeverEndsWellWhenItsFramingIsBroken guards against fasthttp, which takes a bare io.EOF between two
// chunks, or before the trailers, for the end of the body.
func TestAStreamedBodyNeverEndsWellWhenItsFramingIsBroken(t *testing.T) {
	t.Parallel()
	ends := make(chan error, 1)
	s := serveWith(t, listen.Config{}, &fasthttp.Server{StreamRequestBody: true, Handler: func(ctx *fasthttp.RequestCtx) {
		var err error
		if body := ctx.RequestBodyStream(); body != nil {
			_, err = io.Copy(io.Discard, body)
		}
		ends <- err
	}})
	for _, c := range wiretest.Bodies() {
		if v := verdictOn(t, 64<<10, c.In()); v.requests != 1 {
			continue
		}
		broken := verdictOn(t, 64<<10, c.In()).inBody
		exchange(t, dial(t, s), c.In(), true)
		select {
		case err := <-ends:
			if (err != nil) != broken {
				t.Errorf("%s: the body ended with %v, want an error %v; input %q", c.Name, err, broken, c.In())
			}
		default: // a short body fasthttp reads before the handler, and refuses itself
			if !broken {
				t.Errorf("%s: no handler ran; input %q", c.Name, c.In())
			}
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

func TestABodyThatIsTooLargeIsAnswered(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, ok)
	const length = 8 << 20 // over fasthttp's 4 MiB
	in := post + fmt.Sprintf("Content-Length: %d\r\n\r\n", length) + strings.Repeat("x", length)
	answer := exchange(t, dial(t, s), in, true)
	if !strings.Contains(answer, "body size exceeds the given limit") {
		t.Errorf("got %q, want the answer of the ErrorHandler", answer)
	}
}

func TestAnUpgradeLosesNoByte(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, func(ctx *fasthttp.RequestCtx) {
		conn := ctx.Conn().(*listen.Conn)
		ctx.SetStatusCode(fasthttp.StatusSwitchingProtocols)
		conn.Passthrough()
		ctx.Hijack(func(c net.Conn) { _, _ = io.Copy(c, c) })
	})
	const early, late = "\x81\x05hello", "\x00\r\nnot http\n"
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

// TestARequestForgedFromAnUnreadBodyIsNoticed shows what Requests is for: fasthttp does not drain a streamed body that
// its handler left, and takes the rest of it for the next request.
func TestARequestForgedFromAnUnreadBodyIsNoticed(t *testing.T) {
	t.Parallel()
	s := serveWith(t, listen.Config{}, &fasthttp.Server{StreamRequestBody: true, Handler: func(ctx *fasthttp.RequestCtx) {
		if body := ctx.RequestBodyStream(); body != nil {
			_, _ = io.ReadFull(body, make([]byte, 1))
		}
	}})
	evil := "xGET /evil HTTP/1.1\r\nHost: h\r\n\r\n"
	in := fmt.Sprintf("%s%x\r\n%s\r\n0\r\n\r\n", chunkedHead, len(evil), evil)
	answer := exchange(t, dial(t, s), in, true)
	if got := s.desynced.Load(); got != 1 {
		t.Errorf("got %d requests out of step, want the forged one; input %q, answer %q", got, in, answer)
	}
}
