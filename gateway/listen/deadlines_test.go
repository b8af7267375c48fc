package listen_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/gateway/wire"
	"wxgate/message"
)

const (
	short = 80 * time.Millisecond
	long  = 10 * time.Second
)

// answerTo sends in, keeps its side open and silent, and returns what came until the server closed, with the time
// taken.
func answerTo(t *testing.T, cfg listen.Config, in string) (answer string, took time.Duration) {
	t.Helper()
	conn := dial(t, serve(t, cfg, ok))
	start := time.Now()
	return exchange(t, conn, in, false), time.Since(start)
}

func TestASilentConnectionIsClosedSilently(t *testing.T) {
	t.Parallel()
	if got, took := answerTo(t, listen.Config{ReadHeader: short, Idle: long}, ""); got != "" || took > long {
		t.Errorf("got %q after %v, want nothing after %v", got, took, short)
	}
}

func TestAnIdleConnectionIsClosedSilently(t *testing.T) {
	t.Parallel()
	for _, in := range []string{get + end, get + end + "\r\n"} {
		got, took := answerTo(t, listen.Config{ReadHeader: long, Idle: short}, in)
		if strings.Count(got, "HTTP/1.1 ") != 1 || took > long {
			t.Errorf("got %q after %v, want one answer; input %q", got, took, in)
		}
	}
}

func TestASlowHeadIsAnswered408(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"G", get, get + end + "G", get + end + get} {
		got, took := answerTo(t, listen.Config{ReadHeader: short, Idle: long}, in)
		if !strings.HasSuffix(got, string(wire.ReasonSlowHead)) || !strings.Contains(got, "HTTP/1.1 408 ") || took > long {
			t.Errorf("got %q after %v, want 408 slow head; input %q", got, took, in)
		}
	}
}

func TestAStalledBodyIsAnswered408(t *testing.T) {
	t.Parallel()
	for _, in := range []string{post + "Content-Length: 5\r\n\r\nh", chunkedHead + "5\r\nh", chunkedHead + "0\r\nA: b"} {
		got, took := answerTo(t, listen.Config{ReadHeader: long, Idle: long, BodyStall: short}, in)
		if !strings.HasSuffix(got, string(wire.ReasonSlowBody)) || !strings.Contains(got, "HTTP/1.1 408 ") || took > long {
			t.Errorf("got %q after %v, want 408 slow body; input %q", got, took, in)
		}
	}
}

// trickle sends one byte of in every pause until the server closes or in has ended, and returns how far it came.
func trickle(t *testing.T, conn net.Conn, in string, pause time.Duration) (sent int) {
	t.Helper()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for sent < len(in) {
		<-tick.C
		if _, err := io.WriteString(conn, in[sent:sent+1]); err != nil {
			return sent
		}
		sent++
	}
	return sent
}

func TestSlowlorisIsCut(t *testing.T) {
	t.Parallel()
	cfg := listen.Config{ReadHeader: short, Linger: time.Millisecond}
	const endless = 1000
	if sent := trickle(t, dial(t, serve(t, cfg, ok)), get+"A: "+strings.Repeat("a", endless), short/8); sent > endless {
		t.Errorf("got %d bytes of a head through, want the end after %v", sent, short)
	}
}

func TestASlowBodyIsCutByItsRate(t *testing.T) {
	t.Parallel()
	cfg := listen.Config{BodyStall: long, BodyGrace: short, BodyRate: 1 << 20, Linger: time.Millisecond}
	conn := dial(t, serve(t, cfg, ok))
	if _, err := io.WriteString(conn, post+"Content-Length: 1000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if sent := trickle(t, conn, strings.Repeat("a", 1000), short/8); sent == 1000 {
		t.Errorf("got the whole body through at %d bytes a second, want at least %d", 1000/8, cfg.BodyRate)
	}
}

func TestAnHonestSlowBodyLives(t *testing.T) {
	t.Parallel()
	cfg := listen.Config{ReadHeader: 5 * short, BodyStall: long, BodyGrace: long}
	conn := dial(t, serve(t, cfg, ok))
	if _, err := io.WriteString(conn, post+"Content-Length: 20\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	trickle(t, conn, strings.Repeat("a", 20), short/2)
	if got := exchange(t, conn, "", true); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q, want 200 for an upload that took longer than ReadHeader", got)
	}
}

func TestAnUpgradeLiftsTheDeadlines(t *testing.T) {
	t.Parallel()
	client, inner := net.Pipe()
	defer client.Close()
	type result struct {
		n   int
		err error
	}
	got := make(chan result, 1)
	cfg := listen.Config{ReadHeader: 2 * short, Idle: 2 * short}.WithDefaults()
	go listen.ServeConn(inner, cfg, handler(func(c *listen.Conn) {
		c.ReadRequest(new(message.Request))
		c.Upgrade()
		go trickle(t, client, "\x00", 3*short)
		n, err := c.Read(make([]byte, 1024))
		got <- result{n, err}
	}))
	trickle(t, client, get+end, time.Microsecond)
	if r := <-got; r.err != nil || r.n != 1 {
		t.Errorf("got %d bytes, %v after %v, want the byte that came later than ReadHeader", r.n, r.err, 3*short)
	}
}

// writing serves requests with a body of these bytes, and returns how writing them ended.
func writing(body []byte) (serve handler, ended <-chan error) {
	ends := make(chan error, 1)
	return func(c *listen.Conn) {
		c.ReadRequest(new(message.Request))
		_, err := c.WriteResponse(&message.Response{Status: 200, Body: body, Close: true})
		ends <- err
	}, ends
}

// wantTimeout checks that an answer ended because its client was too slow.
func wantTimeout(t *testing.T, err error) {
	t.Helper()
	if e := net.Error(nil); !errors.As(err, &e) || !e.Timeout() || !errors.Is(err, listen.ErrClientLeft) {
		t.Errorf("WriteResponse returned %v, want a timeout", err)
	}
}

func TestAClientThatDoesNotReadIsCut(t *testing.T) {
	t.Parallel()
	h, ended := writing(bytes.Repeat([]byte("x"), 32<<20))
	conn := dial(t, serve(t, listen.Config{WriteStall: short}, h))
	if _, err := io.WriteString(conn, get+end); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		wantTimeout(t, err)
	case <-time.After(long):
		t.Errorf("WriteResponse still waits after %v, want the end after %v", long, short)
	}
}

func TestAClientThatReadsSlowlyLives(t *testing.T) {
	t.Parallel()
	client, inner := net.Pipe()
	defer client.Close()
	sent := make(chan int64, 1)
	body := bytes.Repeat([]byte("x"), 128)
	h, ended := writing(body)
	go listen.ServeConn(inner, listen.Config{WriteStall: time.Second, WriteRate: 1}.WithDefaults(), handler(func(c *listen.Conn) {
		h(c)
		sent <- c.BytesSent()
	}))
	trickle(t, client, get+end, time.Microsecond)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	got := int64(0)
	for { // several times as long as WriteStall in all
		<-tick.C
		n, err := io.CopyN(io.Discard, client, 8)
		if got += n; err != nil {
			break
		}
	}
	if err, n := <-ended, <-sent; err != nil || n != got || got < int64(len(body)) {
		t.Errorf("WriteResponse: %v after %d bytes of which %d came, want all", err, n, got)
	}
}

// download reads an answer of many megabytes, piece bytes every 10 ms, for as long as it comes or until three of
// cfg.WriteStall and a second have passed. It returns how WriteResponse ended, or nil while it still writes.
func download(t *testing.T, cfg listen.Config, piece int64) error {
	t.Helper()
	h, ended := writing(bytes.Repeat([]byte("x"), 64<<20))
	conn := dial(t, serve(t, cfg, h))
	if _, err := io.WriteString(conn, get+end); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	enough := time.NewTimer(3*cfg.WriteStall + time.Second)
	for {
		select {
		case err := <-ended:
			return err
		case <-enough.C:
			return nil
		case <-tick.C:
			if _, err := io.CopyN(io.Discard, conn, piece); err != nil {
				return <-ended
			}
		}
	}
}

func TestAClientThatReadsTooSlowlyIsCut(t *testing.T) {
	t.Parallel()
	// It takes something all the time, 400 KB a second of the 4 MB that it should.
	err := download(t, listen.Config{WriteStall: 3 * short, WriteRate: 4 << 20}, 4<<10)
	wantTimeout(t, err)
}

func TestAClientThatReadsFastEnoughLivesHoweverLongItTakes(t *testing.T) {
	t.Parallel()
	// It takes 800 KB a second, less in 10*short than the kernel's buffers hold.
	if err := download(t, listen.Config{WriteStall: 10 * short, WriteRate: 50 << 10}, 8<<10); err != nil {
		t.Errorf("WriteResponse returned %v, want no end while it is read", err)
	}
}

// TestASlowClientOverTLSLives: a write over TLS that was too late cannot be resumed, so none may be.
func TestASlowClientOverTLSLives(t *testing.T) {
	t.Parallel()
	cfg := listen.Config{WriteStall: 10 * short, WriteRate: 50 << 10}.WithDefaults()
	tcp := loopback(t)
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	ln := listen.NewListener(tcp, cfg)
	body := bytes.Repeat([]byte("x"), 24<<20)
	h, ended := writing(body)
	served := make(chan struct{})
	go func() { _ = ln.Serve(h); close(served) }()
	t.Cleanup(func() { _ = ln.Close(); <-served; ln.Abort() })
	below, ok := connected(t, tcp.Addr().String()).(*net.TCPConn)
	if !ok || below.SetReadBuffer(256<<10) != nil { // else its window opens megabytes at a time, and rests for seconds
		t.Fatal("no small window")
	}
	conn := tls.Client(below, &tls.Config{InsecureSkipVerify: true})
	say(t, conn, get+end)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	got, start := 0, time.Now()
	for buf := make([]byte, 32<<10); got < len(body); <-tick.C { // 6 MB a second
		n, err := io.ReadFull(conn, buf)
		if got += n; err != nil {
			break
		}
	}
	if err := <-ended; err != nil {
		t.Errorf("WriteResponse: %v after %v and %d bytes, want no end while it is read", err, time.Since(start), got)
	}
}
