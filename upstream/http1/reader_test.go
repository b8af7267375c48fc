package http1

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"wxgate/message"
	"wxgate/socket"
	"wxgate/upstream/upstreamtest"
)

// readAnswer reads an answer and says what it found.
func readAnswer(src io.Reader) string {
	r, resp := reader{src: src, buffers: new(buffers)}, new(message.Response)
	defer r.release()
	h, err := readHead(&r, resp)
	found := fmt.Sprintf("%d %q %q %v", h.status, resp.Reason, resp.Fields.AppendTo(nil), kindOf(err))
	if err != nil {
		return found
	}
	body, framing := []byte(nil), h.bodyFraming()
	for {
		part, err := framing.next(&r)
		if err != nil {
			return fmt.Sprintf("%s %d %q %v", found, framing.kind, body, kindOf(err))
		}
		body = append(body, part...)
	}
}

func kindOf(err error) error {
	for _, kind := range []error{ErrInvalid, ErrReset, ErrTimeout} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return err
}

func sampleAnswers() []string {
	const ok, chunks = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	return []string{
		"", "H", "H0", "garbage", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 \r\n\r\n", "HTTP/1.1 2", "\r\n\r\n",
		ok + "Content-Length: 5\r\n\r\nhello", ok + "Content-Length: 5\r\n\r\nhel", ok + "\r\nhello",
		ok + "A: b\r\nConnection: a, close\r\nContent-Length: 0\r\n\r\nrest", ok + "A : b\r\n\r\n", ok + "A: b\r\n c\r\n\r\n",
		ok + "A: " + strings.Repeat("x", 20_000) + "\r\nContent-Length: 1\r\n\r\nx", ok + "A: " + strings.Repeat("x", 70_000) + "\r\n\r\n",
		ok + "Content-Length: 70000\r\n\r\n" + strings.Repeat("y", 70_000), ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		ok + "Content-Type: a\r\ncontent-type: a\r\n\r\n", ok + "Content-Type: a\r\ncontent-type: b\r\n\r\n",
		chunks + "5\r\nhello\r\n0\r\n\r\n", chunks + "5;a=b\r\nhello\r\n00\r\nX: y\r\n\r\nrest", chunks + "5\r\nhello\r\n", chunks + "5\r\nhellox0\r\n\r\n",
		chunks + "5\r\nhello\n0\r\n\r\n", chunks + "xyz\r\n", chunks + "11170\r\n" + strings.Repeat("z", 70_000) + "\r\n0\r\n\r\n",
		chunks + "1;" + strings.Repeat("e", 20_000) + "\r\nx\r\n0\r\n\r\n", chunks + "0\r\n" + strings.Repeat("A: b\r\n", 300) + "\r\n",
	}
}

// in pieces of a size.
type pieces struct {
	io.Reader
	size int
}

func (p pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }

func wantSameInAnyPieces(t *testing.T, answer string, sizes ...int) {
	t.Helper()
	want := readAnswer(strings.NewReader(answer))
	for _, size := range sizes {
		if got := readAnswer(pieces{strings.NewReader(answer), size}); got != want {
			t.Errorf("%.100q in pieces of %d is\n%.300s, want\n%.300s", answer, size, got, want)
		}
	}
	if got := readAnswer(iotest.DataErrReader(strings.NewReader(answer))); got != want {
		t.Errorf("%.100q with its end is\n%.300s, want\n%.300s", answer, got, want)
	}
}

func TestAnswersReadTheSameInAnyPieces(t *testing.T) {
	t.Parallel()
	for _, answer := range sampleAnswers() {
		wantSameInAnyPieces(t, answer, 1, 2, 3, 7, 100, smallBuffer-1, smallBuffer, smallBuffer+1)
	}
}

func FuzzAnswersReadTheSameInAnyPieces(f *testing.F) {
	for _, answer := range sampleAnswers() {
		f.Add(answer, 1)
	}
	f.Fuzz(func(t *testing.T, answer string, size int) {
		if size > 0 {
			wantSameInAnyPieces(t, answer, 1, size)
		}
	})
}

func TestALineThatDoesNotFitIsReadAllTheSame(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, smallBuffer - 3, smallBuffer - 2, smallBuffer - 1, smallBuffer, 3 * smallBuffer, maxHeadBytes - 2} {
		want := bytes.Repeat([]byte("x"), size)
		r := reader{src: bytes.NewReader(append(append([]byte("first\r\n"), want...), "\r\nnext"...)), buffers: new(buffers)}
		if line, err := r.line(maxHeadBytes, ""); string(line) != "first" || err != nil {
			t.Fatalf("got %q, %v, want the first line", line, err)
		}
		if line, err := r.line(maxHeadBytes, ""); !bytes.Equal(line, want) || err != nil {
			t.Errorf("a line of %d bytes has %d, %v", size, len(line), err)
		}
		if rest, _ := r.some(4, false); string(rest) != "next"[:len(rest)] || len(rest) == 0 {
			t.Errorf("then comes %q, want next", rest)
		}
	}
}

func TestLargeBuffersAreBounded(t *testing.T) {
	t.Parallel()
	var b buffers
	var lent []*[]byte
	for range largeBuffers {
		lent = append(lent, b.exchangeForLarge(b.getSmall()))
	}
	if got := len(*lent[largeBuffers-1]); got != largeBuffer {
		t.Errorf("the last one has %d bytes, want %d", got, largeBuffer)
	}
	if got := len(*b.exchangeForLarge(b.getSmall())); got != smallBuffer {
		t.Errorf("one more has %d bytes, want a small one", got)
	}
	for _, p := range lent {
		b.put(p)
	}
	if got := len(*b.exchangeForLarge(b.getSmall())); got != largeBuffer {
		t.Errorf("when all are back there is one of %d bytes, want %d", got, largeBuffer)
	}
}

// newPool makes the pool of a service, without any bound but its own.
func newPool(t *testing.T, url string) (*Pool, Origin) {
	t.Helper()
	o, err := ParseOrigin(url)
	if err != nil {
		t.Fatal(err)
	}
	security, _ := TLS{}.Load()
	p := NewPool(o, o.Address, Config{
		Timeouts:  Timeouts{Connect: 30 * time.Second, Response: 30 * time.Second, Stream: 30 * time.Second},
		Keepalive: Keepalive{MaxConns: 4096, Idle: time.Minute, ReuseAfterBody: true}, Dials: 64, Security: security,
	}, Owner{
		Wait: func(_ context.Context, _ Limit, slots chan struct{}, _ <-chan struct{}, _ time.Time) error {
			slots <- struct{}{}
			return nil
		},
		Permits: func() chan struct{} { return nil }, Dialed: func(string) {}, Undrained: func() {}, Cohort: new(socket.Cohort), Now: time.Now,
	})
	t.Cleanup(p.Close)
	return p, o
}

type noPolicy struct{}

func (noPolicy) ReuseAfterBody() bool { return true }
func (noPolicy) RetryElsewhere() bool { return false }
func (noPolicy) Renewed()             {}

// ask exchanges a request for an answer.
func ask(p *Pool, o Origin, req *message.Request, resp *message.Response) error {
	var r Request
	r.Reset(req, resp, time.Now().Add(30*time.Second), 0)
	if err := r.Prepare("", o.Name, true); err != nil {
		return err
	}
	return p.Exchange(context.Background(), &r, noPolicy{})
}

// However a long body ends, in either direction, its buffer comes back.
func TestBuffersComeBack(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Raw(t, func(conn net.Conn, n int) {
		defer conn.Close()
		buf := make([]byte, 64<<10)
		_, _ = conn.Read(buf)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n")
		_, _ = conn.Write(make([]byte, 300_000-n%2))
	})
	p, o := newPool(t, service.URL)
	for i := range 12 {
		req, resp := &message.Request{Method: "GET", Target: []byte("/")}, new(message.Response)
		if i%3 == 0 {
			req = &message.Request{Method: "POST", Target: []byte("/"), Body: io.LimitReader(zero{}, 1<<20), Length: 1 << 20}
		}
		if err := ask(p, o, req, resp); err == nil {
			for err == nil && (i%4 != 0 || len(resp.Body) == 0) {
				if _, err = resp.Stream.Next(); i%4 == 0 {
					break
				}
			}
		}
		resp.Reset()
	}
	if got := p.buffers.lent.Load(); got != 0 {
		t.Errorf("%d large buffers are lent when nothing is under way, want 0", got)
	}
}

// zero is an endless body.
type zero struct{}

func (zero) Read(p []byte) (int, error) { return len(p), nil }

func TestAnIdleConnectionHoldsLittleMemory(t *testing.T) {
	const conns = 400
	release := make(chan struct{})
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		buf := make([]byte, 1024)
		_, _ = conn.Read(buf)
		<-release
		_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "hi"))
		_, _ = conn.Read(buf)
	})
	p, o := newPool(t, service.URL)
	errs := make(chan error, conns)
	for range conns {
		go func() {
			errs <- ask(p, o, &message.Request{Method: "GET", Target: []byte("/")}, new(message.Response))
		}()
	}
	for deadline := time.Now().Add(20 * time.Second); service.OpenConns() < conns && time.Now().Before(deadline); {
		upstreamtest.Dawdle(time.Millisecond)
	}
	close(release)
	for range conns {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range p.idle.ready {
		if c.in.buf != nil {
			t.Fatal("an idle connection holds a buffer")
		}
	}
	if len(p.idle.ready) != conns {
		t.Errorf("%d connections are idle, want %d", len(p.idle.ready), conns)
	}
	var with, without runtime.MemStats
	runtime.GC()
	runtime.GC() // what the pools had
	runtime.ReadMemStats(&with)
	closeAll(p.idle.remove(func(*conn) bool { return true }))
	service.CloseConns()
	for deadline := time.Now().Add(20 * time.Second); service.OpenConns() > 0 && time.Now().Before(deadline); {
		upstreamtest.Dawdle(time.Millisecond)
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&without)
	each := (int64(with.HeapAlloc) - int64(without.HeapAlloc)) / conns
	t.Logf("%d bytes each, with the service's end", each)
	if each > 6<<10 {
		t.Errorf("an idle connection takes %d bytes at both ends, want less than 6 KB", each)
	}
}

// The reaper wakes nobody up while there is nothing to reap.
func TestNoReaperComesForNothing(t *testing.T) {
	t.Parallel()
	p, o := newPool(t, upstreamtest.Echo(t).URL)
	armed := func() bool {
		p.idle.mu.Lock()
		defer p.idle.mu.Unlock()
		return p.idle.armed
	}
	if armed() {
		t.Error("it comes before there was a connection")
	}
	if err := ask(p, o, &message.Request{Method: "GET", Target: []byte("/")}, new(message.Response)); err != nil {
		t.Fatal(err)
	}
	if !armed() {
		t.Error("it does not come for an idle connection")
	}
	p.reap()
	if !armed() {
		t.Error("it does not come again while a connection is idle")
	}
	if gone := p.idle.expired(0); len(gone) != 1 || armed() {
		t.Errorf("%d connections were idle for too long, and it comes again: %v, want 1 and never", len(gone), armed())
	} else {
		closeAll(gone)
	}
}
