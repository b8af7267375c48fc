package listen_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/message"
)

// upgrading upgrades requests for /ws, and echoes; others it answers with their bodies.
func upgrading(c *listen.Conn) {
	var req message.Request
	c.ReadRequest(&req)
	if string(req.Target) != "/ws" {
		body, err := readBody(req.Body, 10)
		if err != nil {
			answerFault(c, err)
			return
		}
		answer(c, 200, "got "+string(body))
		return
	}
	_, _ = c.WriteResponse(&message.Response{Status: 101, Upgrade: "websocket"})
	c.Upgrade()
	_, _ = io.Copy(c, c)
}

// TestAConnectionThatWaitsHoldsNoBuffer has connections that wait for their first request, for the next one after
// requests of every kind, and in a tunnel; over TCP, and over TLS where there is no plain socket to wait for.
func TestAConnectionThatWaitsHoldsNoBuffer(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		tcp := loopback(t)
		cfg := listen.DefaultConfig()
		if secure {
			cfg.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
		}
		cfg.Proxied = func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.7") }
		public := listen.NewListener(tcp, cfg)
		held := public.HeldBuffers()
		served := make(chan error, 1)
		go func() { served <- public.Serve(handler(upgrading)) }()
		long := get + "A: " + strings.Repeat("v", 10_000) + "\r\n\r\n"
		many := get + strings.Repeat("A: b\r\n", 60) + end
		const named = "PROXY TCP4 192.0.2.7 10.0.0.1 8000 80\r\n"
		for from, in := range map[string]string{
			"": "", "silent": "", "one": get + end, "an empty line": get + end + end, "a body": expecting + "hello", "long": long, "many": many,
			"chunks": chunkedHead + "5\r\nhello\r\n0\r\nA: b\r\n\r\n", "two": get + end + post + "Content-Length: 3\r\n\r\nabc",
			"tunnel": "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n", "tunnel with more": "GET /ws HTTP/1.1\r\nHost: h\r\n\r\nearly",
			"proxied": named, "proxied and used": named + get + end,
		} {
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
			if strings.HasPrefix(in, "PROXY") {
				dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 7)}
			}
			client, err := dialer.Dial("tcp", tcp.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if secure {
				if rest, proxied := strings.CutPrefix(in, named); proxied {
					_, _ = io.WriteString(client, named)
					in = rest
				}
				client = tls.Client(client, &tls.Config{InsecureSkipVerify: true})
			}
			say(t, client, in)
			answers := strings.Count(in, "HTTP/1.1\r\n")
			for range answers {
				if !strings.HasPrefix(from, "tunnel") {
					readAnswer(t, client)
				}
			}
			if from == "tunnel with more" {
				expect(t, client, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
			}
		}
		eventually(t, func() bool { return held() <= 1 }) // the empty line
		if err := public.Close(); err != nil {
			t.Error(err)
		}
		public.Abort()
		public.Wait()
		eventually(t, func() bool { return held() == 0 })
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

// TestABufferGrowsNoFurther sends heads, trailers and pipelined requests of the largest sizes, at once and in pieces.
func TestABufferGrowsNoFurther(t *testing.T) {
	t.Parallel()
	const requests, limit = 5, 16 << 10
	head := strings.Replace(chunkedHead, "\r\n\r\n", "\r\nA: "+strings.Repeat("v", limit-len(chunkedHead)-len("A: \r\n"))+"\r\n\r\n", 1)
	trailers := "0\r\nA: " + strings.Repeat("v", limit-len("A: \r\n\r\n")) + "\r\n\r\n"
	in := strings.Repeat(head+"5\r\nhello\r\n"+strings.Repeat("1\r\nx\r\n", 5000)+trailers, requests)
	for _, step := range []int{1, 7, 1000, 4096, 1 << 20} {
		var pieces []string
		for piece := range slices.Chunk([]byte(in), step) {
			pieces = append(pieces, string(piece))
		}
		served, largest := 0, 0
		listen.ServeConn(&script{pieces: pieces}, listen.DefaultConfig(), handler(func(c *listen.Conn) {
			var req message.Request
			c.ReadRequest(&req)
			if body, err := readBody(req.Body, 1<<20); len(body) != 5005 || err != nil {
				t.Errorf("pieces of %d: got %d bytes, %v", step, len(body), err)
			}
			served++
			largest = max(largest, c.BufferBytes())
			answer(c, 200, "")
		}))
		if served != requests || largest > 5*limit {
			t.Errorf("pieces of %d: %d requests, the buffer grew to %d bytes", step, served, largest)
		}
	}
}

// FuzzBodyLeavesTheHead sends bodies in chunks and pieces of all sizes, read with buffers of all sizes. The views of the
// head stay what they were, and the request behind it is whole.
func FuzzBodyLeavesTheHead(f *testing.F) {
	f.Add("hello, this is a body of many chunks", uint8(1), uint8(1), uint8(1), uint8(0), "A: b")
	f.Add("hello, this is a body of many chunks", uint8(3), uint8(7), uint8(2), uint8(40), "")
	f.Add("GET /evil HTTP/1.1\r\nHost: h\r\n\r\n", uint8(200), uint8(255), uint8(5), uint8(1), "X-Checksum: 1")
	f.Fuzz(func(t *testing.T, body string, chunk, piece, size, fields uint8, trailer string) {
		next := get + strings.Repeat("B: c\r\n", int(fields)%50) + end
		framed := ""
		for part := range slices.Chunk([]byte(body), int(chunk)+1) {
			framed += fmt.Sprintf("%x;a=b\r\n%s\r\n", len(part), part)
		}
		framed += "0\r\n"
		if trailer != "" && !strings.ContainsFunc(trailer, func(r rune) bool { return r < ' ' || r > '~' || r == ':' }) {
			framed += "X-" + strings.ReplaceAll(trailer, " ", "-") + ": 1\r\n"
		}
		head := strings.TrimSuffix(chunkedHead, end) + strings.Repeat("A: b\r\n", int(fields)%60) + end
		in := head + framed + end + next + post + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) + next
		var pieces []string
		for part := range slices.Chunk([]byte(in), int(piece)+1) {
			pieces = append(pieces, string(part))
		}
		got := verdictOn(t, int(size)+1, pieces...)
		if got.reason != "" { // of a trailer or the waste of chunks
			return
		}
		if want, _ := naively(in, 4); got != want || got.count != 4 {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// TestCloseEndsATunnel closes a connection from elsewhere while its tunnel waits.
func TestCloseEndsATunnel(t *testing.T) {
	t.Parallel()
	conns, ended := make(chan *listen.Conn, 1), make(chan error, 1)
	s := serve(t, listen.Config{}, func(c *listen.Conn) {
		c.ReadRequest(new(message.Request))
		_, _ = c.WriteResponse(&message.Response{Status: 101, Upgrade: "websocket"})
		c.Upgrade()
		conns <- c
		_, err := c.Read(make([]byte, 1))
		ended <- err
	})
	conn := dial(t, s)
	say(t, conn, get+end)
	c := <-conns
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v for the second Close", err)
	}
	if err := <-ended; err == nil {
		t.Error("Read went on")
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("got %v, want an orderly end", err)
	}
	eventually(t, func() bool { return s.Stats().Open == 0 })
}

// TestATunnelGoesOnWhileItsListenerEnds: the deadlines of a tunnel are its owner's, whatever connections are woken for.
func TestATunnelGoesOnWhileItsListenerEnds(t *testing.T) {
	t.Parallel()
	nobody := func(net.Conn, []byte) error { return errors.New("nobody is there") }
	for name, end := range map[string]func(context.Context, *server) error{
		"drain":     func(ctx context.Context, s *server) error { return s.Drain(ctx) },
		"hand-over": func(ctx context.Context, s *server) error { return errors.Join(s.HandOver(nobody), s.WaitLeft(ctx)) },
	} {
		s := serve(t, listen.Config{NextRequest: time.Millisecond}, upgrading)
		conn := dial(t, s)
		say(t, conn, "GET /ws HTTP/1.1\r\nHost: h\r\n\r\nearly")
		expect(t, conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
		ended := make(chan error, 1)
		go func() { ended <- end(t.Context(), s) }()
		tick := time.NewTicker(15 * time.Millisecond)
		defer tick.Stop()
		for range 20 { // many wake-ups
			<-tick.C
			say(t, conn, "late")
			expect(t, conn, "late")
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil {
			t.Errorf("%s: got %q, %v at the end", name, rest, err)
		}
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAbortEndsEveryConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, upgrading)
	for _, in := range []string{"", "GET / HT", get + end, post + "Content-Length: 5\r\n\r\nhel", "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n"} {
		say(t, dial(t, s), in)
	}
	eventually(t, func() bool { return s.Stats().Open == 5 })
	_ = s.Close()
	done := make(chan struct{})
	go func() { s.Abort(); s.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(long):
		t.Fatal("Abort still waits")
	}
	if got := s.Stats().Open; got != 0 {
		t.Errorf("%d connections are open", got)
	}
}

// TestAClientThatIsLingeredForReadsItsAnswerInADrain is refused while it uploads, when the drain begins to wake
// connections.
func TestAClientThatIsLingeredForReadsItsAnswerInADrain(t *testing.T) {
	t.Parallel()
	refused := make(chan struct{})
	s := serve(t, listen.Config{NextRequest: time.Millisecond, Linger: 30 * time.Second}, func(c *listen.Conn) {
		c.ReadRequest(new(message.Request))
		answer(c, 413, "too large")
		close(refused)
	})
	conn := dial(t, s)
	say(t, conn, post+"Content-Length: 100000000\r\n\r\n")
	<-refused
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 30 { // many wake-ups
		<-tick.C
		if _, err := conn.Write(make([]byte, 1000)); err != nil {
			t.Fatalf("the upload ended with %v before the client has looked", err)
		}
	}
	if got := exchange(t, conn, "", true); !strings.HasPrefix(got, "HTTP/1.1 413 ") || !strings.HasSuffix(got, "too large") {
		t.Errorf("got %q, want 413", got)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestServeEndsWithCloseAndNotWithTheHandOver(t *testing.T) {
	t.Parallel()
	ln, err := listen.Listen("tcp", "127.0.0.1:0", listen.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- ln.Serve(handler(ok)) }()
	if err := ln.HandOver(func(net.Conn, []byte) error { return nil }); err != nil {
		t.Error(err)
	}
	select {
	case err := <-served:
		t.Errorf("Serve ended with %v while clients are handed over", err)
	case <-time.After(short):
	}
	if err := errors.Join(ln.Close(), <-served); err != nil {
		t.Error(err)
	}
}

// TestARequestIsGivenAwayWithWhatFollows gives a request away that was read and not answered, from a connection on which
// the next ones have arrived in part.
func TestARequestIsGivenAwayWithWhatFollows(t *testing.T) {
	t.Parallel()
	begun := make(chan string, 10)
	var s *server
	var serving atomic.Bool
	s = serve(t, listen.Config{}, func(c *listen.Conn) {
		req, body, err := read(c)
		if !serving.Swap(true) {
			answer(c, 200, "first")
			return
		}
		partial := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", req.Method, req.Target, len(body), body)
		if err := errors.Join(err, s.HandOver(func(_ net.Conn, all []byte) error { begun <- string(all); return nil }), c.Give([]byte(partial))); err != nil {
			t.Error(err)
		}
	})
	conn := dial(t, s)
	say(t, conn, get+end+post+"Content-Length: 5\r\n\r\nhello"+get+end+"GET / HT")
	if got := <-begun; got != "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"+get+end+"GET / HT" {
		t.Errorf("got %q", got)
	}
	readAnswer(t, conn)
	if rest, _ := io.ReadAll(conn); len(rest) > 0 { // our descriptor was the only one
		t.Errorf("got %q from a connection that was given away", rest)
	}
}

// TestARefusalBehindAHeadRequestHasItsBody: what is known of the last request is not known of the next.
func TestARefusalBehindAHeadRequestHasItsBody(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, ok)
	got := exchange(t, dial(t, s), "HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET  / HTTP/1.1\r\n\r\n", false)
	if !strings.HasSuffix(got, "\r\n\r\nbad request line") || !strings.Contains(got, "Connection: close") {
		t.Errorf("got %q, want the refusal with its text", got)
	}
}

// TestManyRequestsOnManyConnections mixes requests of all kinds, pipelined, on connections that share their buffers.
func TestManyRequestsOnManyConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, whole(func(_ *listen.Conn, req *message.Request, body string) string {
		return string(req.Fields.Get("X-Number")) + " " + string(req.Target) + " " + body
	}))
	done := make(chan error)
	const conns, rounds = 8, 60
	for n := range conns {
		go func() { done <- pipeline(s.Addr().String(), n, rounds) }()
	}
	for range conns {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// pipeline sends requests in random company, and checks each answer.
func pipeline(address string, client, rounds int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	defer transport.CloseIdleConnections()
	for i := range rounds {
		body := strings.Repeat(fmt.Sprintf("%d-%d ", client, i), i*i)
		var reader io.Reader = strings.NewReader(body)
		if i%3 == 0 {
			reader = io.MultiReader(reader) // of unknown length
		}
		req, err := http.NewRequest(http.MethodPost, fmt.Sprintf("http://h/%d/%d", client, i), reader)
		if err != nil {
			return err
		}
		number := fmt.Sprint(client, "of", i, strings.Repeat("x", i*100))
		req.Header.Set("X-Number", number)
		if i%4 == 0 {
			req.Header.Set("Expect", "100-continue")
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return fmt.Errorf("request %d of %d: %w", i, client, err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if want := fmt.Sprintf("%s /%d/%d %s", number, client, i, body); err != nil || string(got) != want {
			return fmt.Errorf("request %d of %d: got %d bytes, %w, want %d", i, client, len(got), err, len(want))
		}
	}
	return nil
}
