package stream_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"

	"wxgate/gateway/certificate/certificatetest"
	"wxgate/gateway/listen"
	"wxgate/gateway/stream"
	"wxgate/gateway/stream/streamtest"
	"wxgate/gateway/wire"
	"wxgate/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// handler serves streams; connections of HTTP/1.1 are not expected.
type handler func(s *stream.Stream)

func (h handler) ServeStream(s *stream.Stream) { h(s) }

func (h handler) RefuseStream(s *stream.Stream, fault *wire.MalformedError) {
	_, _ = s.WriteResponse(&message.Response{Status: fault.Status(), Length: -1, Body: []byte(fault.Reason)})
}

func (h handler) Serve(*listen.Conn)                        {}
func (h handler) Refuse(*listen.Conn, *wire.MalformedError) {}

// serve serves streams, and returns the address and what lets the connections end.
func serve(t *testing.T, cfg listen.Config, h handler) (addr string, goAway func()) {
	t.Helper()
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	secure, err := authority.Server(certificatetest.Leaf{Names: []string{"api.test"}})
	if err != nil {
		t.Fatal(err)
	}
	server, err := stream.NewServer(cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	secure.NextProtos = []string{"h2"}
	cfg.TLS, cfg.HTTP2 = secure, server
	ln, err := listen.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { _ = ln.Serve(h); close(served) }()
	t.Cleanup(func() { _ = ln.Close(); <-served; ln.Abort(); ln.Wait() })
	return ln.Addr().String(), server.GoAway
}

func dial(t *testing.T, addr string) *streamtest.Conn {
	t.Helper()
	conn, err := streamtest.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// get is a request without a body, post one whose body follows.
func get() []streamtest.Field  { return request("GET") }
func post() []streamtest.Field { return request("POST") }

func request(method string) []streamtest.Field {
	return []streamtest.Field{{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "h"}}
}

// TestAClientThatOpensNoWindowIsCut: neither a long answer nor one that is whole in memory waits for it.
func TestAClientThatOpensNoWindowIsCut(t *testing.T) {
	t.Parallel()
	cfg := listen.DefaultConfig()
	cfg.WriteStall = 200 * time.Millisecond
	ended := make(chan error, 1)
	addr, _ := serve(t, cfg, func(s *stream.Stream) {
		var req message.Request
		s.ReadRequest(&req)
		_, err := s.WriteResponse(&message.Response{Status: 200, Length: -1, Body: []byte(strings.Repeat("x", map[string]int{"GET": 1 << 20, "POST": 100}[req.Method]))})
		ended <- err
	})
	for _, method := range []string{"GET", "POST"} {
		conn := dial(t, addr)
		if err := conn.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
			t.Fatal(err)
		}
		got, err := conn.Do(request(method), "")
		if err != nil || !got.Broken {
			t.Errorf("%s: %+v and %v, want a reset", method, got, err)
		}
		if err := <-ended; method == "GET" && !errors.Is(err, listen.ErrClientLeft) {
			t.Errorf("%s: WriteResponse returned %v", method, err)
		}
	}
}

// TestASlowUploadIsRefused, also when it began well.
func TestASlowUploadIsRefused(t *testing.T) {
	t.Parallel()
	cfg := listen.DefaultConfig()
	cfg.BodyStall = 200 * time.Millisecond
	addr, _ := serve(t, cfg, func(s *stream.Stream) {
		var req message.Request
		s.ReadRequest(&req)
		_, err := io.Copy(io.Discard, req.Body)
		var fault *wire.MalformedError
		if !errors.As(err, &fault) || !s.BodyRemaining() {
			t.Errorf("the body ended with %v", err)
			return
		}
		_, _ = s.WriteResponse(&message.Response{Status: fault.Status(), Length: -1})
	})
	conn := dial(t, addr)
	id, err := conn.Open(post(), false)
	if err := errors.Join(err, conn.WriteData(id, false, []byte("hello"))); err != nil {
		t.Fatal(err)
	}
	if got, err := conn.Answer(id); err != nil || got.Status != 408 {
		t.Errorf("%+v, %v, want 408", got, err)
	}
}

// parts is a body that arrives in parts, and then ends as it says.
type parts struct {
	next chan string
	end  error
	last []byte
}

func (p *parts) Next() ([]byte, error) {
	part, more := <-p.next
	if p.last = []byte(part); !more {
		return nil, p.end
	}
	return p.last, nil
}

func (p *parts) Ready() bool  { return len(p.next) > 0 }
func (p *parts) Close() error { return nil }

// TestAnAnswerArrivesAsItComes, part by part, and one that breaks off does not look whole.
func TestAnAnswerArrivesAsItComes(t *testing.T) {
	t.Parallel()
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF} {
		body := &parts{next: make(chan string, 1), end: end}
		addr, _ := serve(t, listen.DefaultConfig(), func(s *stream.Stream) {
			var req message.Request
			s.ReadRequest(&req)
			if bytes, err := s.WriteResponse(&message.Response{Status: 200, Length: -1, Stream: body}); bytes != 4 || (err != nil) != (end != io.EOF) { //nolint:errorlint // it is that one
				t.Errorf("%d bytes, %v", bytes, err)
			}
		})
		conn := dial(t, addr)
		id, err := conn.Open(get(), true)
		if err != nil {
			t.Fatal(err)
		}
		for got, said := "", false; ; {
			f, err := conn.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch f := f.(type) {
			case *http2.MetaHeadersFrame:
				body.next <- "on"
			case *http2.DataFrame:
				got += string(f.Data())
			case *http2.RSTStreamFrame:
				if end == io.EOF || got != "onto" { //nolint:errorlint // likewise
					t.Errorf("%v: reset after %q", end, got)
				}
			}
			if got == "on" && !said { // before the rest exists
				said = true
				body.next <- "to"
				close(body.next)
			}
			if h := f.Header(); h.StreamID == id && (h.Type == http2.FrameRSTStream || h.Type == http2.FrameData && h.Flags.Has(http2.FlagDataEndStream)) {
				if h.Type == http2.FrameData && (end != io.EOF || got != "onto") { //nolint:errorlint // likewise
					t.Errorf("%v: a whole answer of %q", end, got)
				}
				break
			}
		}
	}
}

// TestGoAwayLetsStreamsEnd: what was begun is answered, and then the connection ends.
func TestGoAwayLetsStreamsEnd(t *testing.T) {
	t.Parallel()
	arrived, finish := make(chan struct{}), make(chan struct{})
	addr, goAway := serve(t, listen.DefaultConfig(), func(s *stream.Stream) {
		var req message.Request
		s.ReadRequest(&req)
		close(arrived)
		<-finish
		_, _ = s.WriteResponse(&message.Response{Status: 200, Length: -1, Body: []byte("whole")})
	})
	idle, conn := dial(t, addr), dial(t, addr)
	id, err := conn.Open(get(), true)
	if err != nil {
		t.Fatal(err)
	}
	<-arrived
	goAway()
	for {
		if f, err := idle.ReadFrame(); err != nil {
			t.Fatalf("the idle connection: %v", err)
		} else if away, ok := f.(*http2.GoAwayFrame); ok && away.ErrCode == http2.ErrCodeNo {
			break
		}
	}
	close(finish)
	if got, err := conn.Answer(id); err != nil || got.Body != "whole" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, c := range []*streamtest.Conn{idle, conn} {
		for err := error(nil); !errors.Is(err, io.EOF); {
			if _, err = c.ReadFrame(); err != nil && !errors.Is(err, io.EOF) {
				t.Fatalf("the connection ended with %v", err)
			}
		}
	}
}

// TestUploadsThatNobodyReadsTakeLittleMemory: no more than the window of a connection, however many streams there are.
func TestUploadsThatNobodyReadsTakeLittleMemory(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	addr, _ := serve(t, listen.DefaultConfig(), func(s *stream.Stream) {
		var req message.Request
		s.ReadRequest(&req)
		<-finish
		_, _ = s.WriteResponse(&message.Response{Status: 200, Length: -1})
	})
	conn := dial(t, addr)
	sent := 0
	for part := make([]byte, 8<<10); sent < 4<<20; {
		id, err := conn.Open(post(), false)
		for range 15 {
			if err == nil {
				err = conn.WriteData(id, false, part)
				sent += len(part)
			}
		}
		if err != nil {
			break
		}
	}
	// The server ends the streams that send more than their windows and that of the connection.
	refused := 0
	for refused == 0 {
		f, err := conn.ReadFrame()
		if err != nil {
			break
		}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			if f.ErrCode == http2.ErrCodeFlowControl {
				refused++
			}
		case *http2.GoAwayFrame:
			refused++
		}
	}
	if refused == 0 {
		t.Errorf("%d bytes were taken", sent)
	}
	close(finish)
}

// servePackets serves HTTP/3 on an address, as soon as that is free, and returns the server and the address.
func servePackets(t *testing.T, cfg listen.Config, address string, h handler) (*stream.Server, string) {
	t.Helper()
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	secure, err := authority.Server(certificatetest.Leaf{Names: []string{"api.test"}})
	if err != nil {
		t.Fatal(err)
	}
	server, err := stream.NewServer(cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- server.ServePackets(socket, secure, [32]byte{}, func(net.Addr) (func(), bool) { return func() {}, true })
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := errors.Join(server.Shutdown(ctx), <-served); err != nil {
			t.Error(err)
		}
	})
	return server, socket.LocalAddr().String()
}

// answers answers every request with a text.
func answers(text string) handler {
	return func(s *stream.Stream) {
		var req message.Request
		s.ReadRequest(&req)
		_, _ = s.WriteResponse(&message.Response{Status: 200, Length: -1, Body: []byte(text)})
	}
}

// TestASleepingClientOfHTTP3DoesNotKeepTheSocket: it does not hear that it is to go, and its connection ends all the same. A
// second Shutdown, as after a hand-over, has nothing to do.
func TestASleepingClientOfHTTP3DoesNotKeepTheSocket(t *testing.T) {
	t.Parallel()
	server, addr := servePackets(t, listen.DefaultConfig(), "127.0.0.1:0", answers("whole"))
	conn, err := streamtest.DialQUIC(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := conn.Do(get(), ""); err != nil || got.Body != "whole" {
		t.Fatalf("%+v, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 2 {
		if err := server.Shutdown(ctx); err != nil || ctx.Err() != nil {
			t.Fatalf("Shutdown: %v, %v, want an end without force", err, ctx.Err())
		}
	}
	if got, err := conn.Do(get(), ""); err != nil || !got.Broken {
		t.Errorf("after it: %+v, %v, want that the client knows of the end", got, err)
	}
}

// TestAHandshakeOfHTTP3DuringADrainIsTheSuccessors: it is not begun by who could not serve it.
func TestAHandshakeOfHTTP3DuringADrainIsTheSuccessors(t *testing.T) {
	t.Parallel()
	arrived, finish := make(chan struct{}), make(chan struct{})
	server, addr := servePackets(t, listen.DefaultConfig(), "127.0.0.1:0", func(s *stream.Stream) {
		close(arrived)
		<-finish
		answers("old")(s)
	})
	for server.Announcement() == "" {
		runtime.Gosched()
	}
	old := make(chan streamtest.Answer, 1)
	go func() {
		defer close(old)
		conn, err := streamtest.DialQUIC(addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		got, err := conn.Do(get(), "")
		if err != nil {
			t.Error(err)
		}
		old <- got
	}()
	<-arrived
	drained := make(chan error, 1)
	go func() { drained <- server.Shutdown(t.Context()) }()
	for server.Announcement() != "" {
		runtime.Gosched()
	}
	got := make(chan streamtest.Answer, 1)
	go func() {
		defer close(got)
		conn, err := streamtest.DialQUIC(addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		answer, err := conn.Do(get(), "")
		if err != nil {
			t.Error(err)
		}
		got <- answer
	}()
	close(finish)
	if a := <-old; a.Body != "old" {
		t.Errorf("what was begun: %+v", a)
	}
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	servePackets(t, listen.DefaultConfig(), addr, answers("new"))
	if a := <-got; a.Body != "new" {
		t.Errorf("what came during the drain: %+v", a)
	}
}

// TestTheLastAnswersOfADrainOverHTTP3AreWhole, although the connection ends with them and not by its client.
func TestTheLastAnswersOfADrainOverHTTP3AreWhole(t *testing.T) {
	t.Parallel()
	const clients = 20
	arrived, finish := make(chan struct{}, clients), make(chan struct{})
	text := strings.Repeat("x", 100<<10)
	server, addr := servePackets(t, listen.DefaultConfig(), "127.0.0.1:0", func(s *stream.Stream) {
		arrived <- struct{}{}
		<-finish
		answers(text)(s)
	})
	got := make(chan streamtest.Answer, clients)
	for range clients {
		conn := dialQUIC(t, addr)
		go func() {
			answer, err := conn.Do(get(), "")
			if err != nil {
				t.Error(err)
			}
			got <- answer
		}()
		<-arrived
	}
	time.AfterFunc(3*time.Second/2, func() { close(finish) }) // when clients that would leave have left
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	for range clients {
		if a := <-got; a.Broken || a.Body != text {
			t.Errorf("%d bytes, broken %v, want %d", len(a.Body), a.Broken, len(text))
		}
	}
}
