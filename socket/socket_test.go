package socket_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wxgate/socket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plainPair is the two ends of a connection as package net makes them.
func plainPair(t testing.TB) (here, there *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialled.Close(); _ = accepted.Close() })
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}

// pair is the two ends of a connection, both wrapped.
func pair(t testing.TB) (here, there *socket.Conn) {
	t.Helper()
	a, b := plainPair(t)
	return socket.New(a), socket.New(b)
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*i>>3 + i)
	}
	return b
}

// soon is a deadline that nothing comes near which does what it should.
func soon() time.Time { return time.Now().Add(30 * time.Second) }

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 2, 4096, 65536, 300_000, 5 << 20} {
		here, there := pair(t)
		want := pattern(size)
		var sending sync.WaitGroup
		sending.Go(func() {
			if n, err := here.Write(want); n != size || err != nil {
				t.Errorf("wrote %d, %v, want %d", n, err, size)
			}
			_ = here.CloseWrite()
		})
		got, err := io.ReadAll(there)
		if sending.Wait(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("of %d bytes %d arrived, %v", size, len(got), err)
		}
	}
}

func TestPartsAreWrittenOneBehindTheOther(t *testing.T) {
	t.Parallel()
	big := pattern(3 << 20)
	for says, parts := range map[string][][]byte{
		"none":                      {},
		"empty ones":                {nil, {}, nil},
		"a head and a body":         {[]byte("head"), pattern(1000)},
		"empty ones among others":   {nil, []byte("a"), {}, []byte("b"), nil},
		"more than one call takes":  {{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}, {9}, {10}, {11}, {12}, {13}, {14}, {15}, {16}, {17}},
		"more than the kernel does": {big, []byte("x"), big, nil, big},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			here, there := pair(t)
			want := bytes.Join(parts, nil)
			var sending sync.WaitGroup
			sending.Go(func() {
				if n, err := here.Writev(parts...); n != len(want) || err != nil {
					t.Errorf("wrote %d, %v, want %d", n, err, len(want))
				}
				_ = here.CloseWrite()
			})
			got, err := io.ReadAll(there)
			if sending.Wait(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("of %d bytes %d arrived, %v", len(want), len(got), err)
			}
		})
	}
}

// A reader that is slow makes every write a short one.
func TestShortWritesGoOn(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	_ = here.SetWriteBuffer(4096)
	want := pattern(1 << 20)
	var sending sync.WaitGroup
	sending.Go(func() {
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 100_000)
			var err error
			if n%2 == 0 {
				_, err = here.Write(rest[:n])
			} else {
				_, err = here.Writev(rest[:n/3], rest[n/3:n/2], rest[n/2:n])
			}
			if err != nil {
				t.Error(err)
			}
			rest = rest[n:]
		}
		_ = here.CloseWrite()
	})
	var got []byte
	for {
		p := make([]byte, 1+rand.IntN(3000))
		n, err := there.Read(p)
		got = append(got, p[:n]...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if sending.Wait(); !bytes.Equal(got, want) {
		t.Errorf("%d bytes arrived, want the %d that were sent", len(got), len(want))
	}
}

// TestATryWritesWhatGoesWithoutWaiting fills the buffers of the kernel, however long ago the deadline was.
func TestATryWritesWhatGoesWithoutWaiting(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	if err := here.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	var sent int64
	block := make([]byte, 1<<20)
	for {
		n, err := here.TryWrite(block)
		if err != nil {
			t.Fatal(err)
		}
		if sent += int64(n); n < len(block) {
			break
		}
	}
	if err := here.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.Copy(io.Discard, there); err != nil || got != sent {
		t.Errorf("%d bytes came, %v; want %d", got, err, sent)
	}
	_ = here.Close()
	if _, err := here.TryWrite(block); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want %v", err, net.ErrClosed)
	}
}

func TestAnEndIsEOFAgainAndAgain(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	_ = there.CloseWrite()
	for range 2 {
		if n, err := here.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // as package net has it
			t.Errorf("read %d, %v, want io.EOF itself", n, err)
		}
	}
	if _, err := here.Write([]byte("hi")); err != nil {
		t.Errorf("writing to a peer that only reads: %v", err)
	}
}

func TestReadingNothingWaitsForNothing(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	if n, err := here.Read(nil); n != 0 || err != nil {
		t.Errorf("read %d, %v, want neither bytes nor an error", n, err)
	}
	_ = there.Close()
	if n, err := here.Read(nil); n != 0 || err != nil {
		t.Errorf("at the end: read %d, %v, want neither bytes nor an error", n, err)
	}
	if n, err := here.Write(nil); n != 0 || err != nil {
		t.Errorf("wrote %d, %v, want neither bytes nor an error", n, err)
	}
	_ = here.Close()
	if _, err := here.Read(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v, want net.ErrClosed", err)
	}
}

// wantOpError fails the test unless err is what package net would say.
func wantOpError(t *testing.T, err error, op string, want error, c net.Conn) {
	t.Helper()
	var as *net.OpError
	if !errors.As(err, &as) || !errors.Is(err, want) {
		t.Fatalf("%s: got %v, want a *net.OpError of %v", op, err, want)
	}
	if as.Op != op || as.Net != "tcp" || as.Source != c.LocalAddr() || as.Addr != c.RemoteAddr() {
		t.Errorf("%s: got %+v, want its operation and addresses", op, as)
	}
	if timeout := errors.Is(want, os.ErrDeadlineExceeded); as.Timeout() != timeout {
		t.Errorf("%s: %v is a timeout: %v, want %v", op, err, as.Timeout(), timeout)
	}
}

func TestErrorsAreThoseOfPackageNet(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	_ = there.SetLinger(0)
	_ = there.Close()
	_, err := here.Read(make([]byte, 1))
	wantOpError(t, err, "read", syscall.ECONNRESET, here)
	_, err = here.Write([]byte("hi"))
	wantOpError(t, err, "write", syscall.EPIPE, here)
	_, err = here.Writev([]byte("h"), []byte("i"))
	wantOpError(t, err, "write", syscall.EPIPE, here)
	_ = here.Close()
	_, err = here.Read(make([]byte, 1))
	wantOpError(t, err, "read", net.ErrClosed, here)
	_, err = here.Write([]byte("hi"))
	wantOpError(t, err, "write", net.ErrClosed, here)
	_, err = here.Writev([]byte("h"), []byte("i"))
	wantOpError(t, err, "write", net.ErrClosed, here)
}

func TestDeadlinesEndWaits(t *testing.T) {
	t.Parallel()
	here, _ := pair(t)
	long := pattern(16 << 20)
	for says, deadline := range map[string]time.Duration{"that has passed": -time.Second, "that passes": 50 * time.Millisecond} {
		began := time.Now()
		_ = here.SetDeadline(began.Add(deadline))
		_, err := here.Read(make([]byte, 1))
		wantOpError(t, err, "read", os.ErrDeadlineExceeded, here)
		n, err := here.Write(long)
		wantOpError(t, err, "write", os.ErrDeadlineExceeded, here)
		if n == len(long) || deadline < 0 && n != 0 {
			t.Errorf("with a deadline %s %d bytes were written", says, n)
		}
		_, err = here.Writev(long, long)
		wantOpError(t, err, "write", os.ErrDeadlineExceeded, here)
		if took := time.Since(began); took < deadline || took > 10*time.Second {
			t.Errorf("a deadline %s in %v ended the wait after %v", says, deadline, took)
		}
	}
}

func TestADeadlineThatIsMovedEndsAWaitThatHasBegun(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	time.AfterFunc(20*time.Millisecond, func() { _ = here.SetReadDeadline(time.Now()) })
	_, err := here.Read(make([]byte, 1))
	wantOpError(t, err, "read", os.ErrDeadlineExceeded, here)
	_ = here.SetReadDeadline(time.Time{})
	_, _ = there.Write([]byte("x"))
	if n, err := here.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("after the deadline was lifted: read %d, %v, want the byte", n, err)
	}
}

func TestAWriteThatTimedOutSaysWhatHasLeft(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	want := pattern(16 << 20)
	_ = here.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	n, err := here.Write(want)
	wantOpError(t, err, "write", os.ErrDeadlineExceeded, here)
	_ = here.SetWriteDeadline(time.Time{})
	var reading sync.WaitGroup
	reading.Go(func() {
		if got, err := io.ReadAll(there); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes arrived, %v, want all of them once", len(got), err)
		}
	})
	if _, err := here.Writev(want[n:n+1000], want[n+1000:]); err != nil {
		t.Error(err)
	}
	_ = here.CloseWrite()
	reading.Wait()
}

func TestCloseEndsReadsAndWritesThatWait(t *testing.T) {
	t.Parallel()
	here, _ := pair(t)
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() {
			if _, err := here.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("read: %v, want net.ErrClosed", err)
			}
		})
		waiting.Go(func() {
			if _, err := here.Writev(pattern(16<<20), []byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("write: %v, want net.ErrClosed", err)
			}
		})
	}
	time.AfterFunc(20*time.Millisecond, func() { _ = here.Close() })
	waiting.Wait()
}

// Descriptors are numbers that the next connection gets: what is read and written while others close must stay its own.
func TestConnectionsThatCloseAtAnyMomentNeverCross(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving, asking sync.WaitGroup
	serving.Go(func() {
		for {
			accepted, err := ln.Accept()
			if err != nil {
				return
			}
			c := socket.Wrap(accepted)
			serving.Go(func() {
				defer c.Close()
				_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
			})
		}
	})
	for asker := range 8 {
		asking.Go(func() {
			for i := range 150 {
				dialled, err := net.Dial("tcp", ln.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				c, probe := socket.Wrap(dialled), socket.NewProbe(dialled)
				time.AfterFunc(time.Duration(rand.IntN(400))*time.Microsecond, func() { _ = c.Close() })
				want := []byte{byte(asker), byte(i)}
				for err == nil {
					got := make([]byte, 2)
					if _, err = c.Write(want); err == nil {
						_, err = io.ReadFull(c, got)
					}
					if err == nil && !bytes.Equal(got, want) {
						t.Errorf("got %v back, want %v", got, want)
					}
					probe.Quiet()
					probe.Gone()
					probe.Unsent()
				}
			}
		})
	}
	asking.Wait()
	_ = ln.Close()
	serving.Wait()
}

// What one goroutine writes in one call is not torn apart by another's.
func TestWritesOfSeveralGoroutinesStayWhole(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	const size = 100_000
	var writing sync.WaitGroup
	for writer := range byte(4) {
		writing.Go(func() {
			block := bytes.Repeat([]byte{writer}, size)
			for i := range 10 {
				var err error
				if i%2 == 0 {
					_, err = here.Write(block)
				} else {
					_, err = here.Writev(block[:10], block[10:])
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	block := make([]byte, size)
	for range 40 {
		if _, err := io.ReadFull(there, block); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(block, block[:1]); n != size {
			t.Fatalf("a block of %d has %d of its first byte", size, n)
		}
	}
	writing.Wait()
}

func TestNothingIsAllocated(t *testing.T) {
	here, there := pair(t)
	probe, in, out := socket.NewProbe(there), make([]byte, 100), pattern(60)
	allocated := testing.AllocsPerRun(200, func() {
		_, _ = here.Write(out)
		_, _ = here.Writev(out[:20], out[20:])
		if n, err := io.ReadFull(there, in); n != 100 && err != nil {
			t.Error(err)
		}
		probe.Quiet()
		probe.Gone()
		probe.Unsent()
		_, _ = io.ReadFull(there, in[:20])
	})
	if allocated != 0 {
		t.Errorf("%v allocations, want 0", allocated)
	}
}

func TestAnExchangeWritesAndReadsTheAnswer(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	var echoing sync.WaitGroup
	echoing.Go(func() { _, _ = io.Copy(struct{ io.Writer }{there}, struct{ io.Reader }{there}) })
	answer := make([]byte, 100)
	for i := range 2000 {
		request := pattern(1 + i%100)
		written, read, err := here.Exchange(request, answer)
		if written != len(request) || err != nil {
			t.Fatalf("wrote %d, %v, want %d", written, err, len(request))
		}
		if _, err := io.ReadFull(here, answer[read:len(request)]); err != nil || !bytes.Equal(answer[:len(request)], request) {
			t.Fatalf("exchange %d: got %x, %v, want %x", i, answer[:len(request)], err, request)
		}
	}
	_ = here.CloseWrite()
	echoing.Wait()
}

func TestAnExchangeWritesNothingWhenSomethingIsThere(t *testing.T) {
	t.Parallel()
	for says, c := range map[string]struct {
		before func(*socket.Conn)
		read   string
		err    error
	}{
		"bytes":   {func(c *socket.Conn) { _, _ = c.Write([]byte("stale")) }, "stale", nil},
		"an end":  {func(c *socket.Conn) { _ = c.CloseWrite() }, "", io.EOF},
		"a reset": {func(c *socket.Conn) { _ = c.SetLinger(0); _ = c.Close() }, "", syscall.ECONNRESET},
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			here, there := pair(t)
			probe := socket.NewProbe(here)
			c.before(there)
			eventually(t, says, func() bool { return !probe.Quiet() })
			answer := make([]byte, 100)
			written, read, err := here.Exchange([]byte("request"), answer)
			if written != 0 || string(answer[:read]) != c.read || !errors.Is(err, c.err) {
				t.Errorf("wrote %d, read %q, %v, want none, %q and %v", written, answer[:read], err, c.read, c.err)
			}
			if c.err == nil && err != nil {
				t.Errorf("got %v", err)
			}
			_ = there.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			if n, _ := there.Read(answer); n != 0 {
				t.Errorf("the peer got %q", answer[:n])
			}
		})
	}
}

func TestAnExchangeSaysHowItEnded(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	answer := make([]byte, 100)
	_ = here.SetDeadline(time.Now().Add(-time.Second))
	written, _, err := here.Exchange([]byte("x"), answer)
	wantOpError(t, err, "read", os.ErrDeadlineExceeded, here)
	if written != 0 {
		t.Errorf("%d bytes were written after the deadline", written)
	}
	_ = here.SetDeadline(time.Now().Add(30 * time.Millisecond))
	written, _, err = here.Exchange([]byte("x"), answer)
	wantOpError(t, err, "read", os.ErrDeadlineExceeded, here)
	if written != 1 {
		t.Errorf("%d bytes were written before the deadline, want 1", written)
	}
	_ = here.SetDeadline(time.Time{})
	long := pattern(64 << 20)
	if written, read, err := here.Exchange(long, answer); written == 0 || written == len(long) || read != 0 || err != nil {
		t.Errorf("of what the kernel does not take at once %d bytes were written and %d read, %v, want a part", written, read, err)
	}
	_ = there.Close()
	small, other := pair(t)
	time.AfterFunc(20*time.Millisecond, func() { _ = other.CloseWrite() })
	if written, read, err := small.Exchange([]byte("x"), answer); written != 1 || read != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("wrote %d, read %d, %v, want the end behind 1 byte", written, read, err)
	}
	_ = other.Close()
	_ = small.Close()
	_, _, err = small.Exchange([]byte("x"), answer)
	wantOpError(t, err, "read", net.ErrClosed, small)
}

func TestCloseEndsAnExchange(t *testing.T) {
	t.Parallel()
	here, _ := pair(t)
	time.AfterFunc(20*time.Millisecond, func() { _ = here.Close() })
	if written, _, err := here.Exchange([]byte("x"), make([]byte, 10)); written != 1 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("wrote %d, %v, want net.ErrClosed behind 1 byte", written, err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := soon(); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func TestAProbeKnowsWhatWaits(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	probe := socket.NewProbe(here)
	if !probe.Quiet() || probe.Gone() {
		t.Errorf("at first: quiet %v, gone %v, want quiet and there", probe.Quiet(), probe.Gone())
	}
	_, _ = there.Write([]byte("x"))
	eventually(t, "a byte waits", func() bool { return !probe.Quiet() })
	if probe.Gone() {
		t.Error("a peer that has written is gone")
	}
	_, _ = here.Read(make([]byte, 1))
	if !probe.Quiet() {
		t.Error("nothing waits, and it is not quiet")
	}
	_, _ = there.Write([]byte("unread"))
	_ = there.CloseWrite()
	eventually(t, "the end is seen behind unread bytes", probe.Gone)
	_ = here.Close()
	if probe.Quiet() || !probe.Gone() || probe.Unsent() != 0 {
		t.Errorf("closed here: quiet %v, gone %v, %d unsent, want neither quiet nor there", probe.Quiet(), probe.Gone(), probe.Unsent())
	}
}

func TestAResetIsSeen(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	probe := socket.NewProbe(here)
	_ = there.SetLinger(0)
	_ = there.Close()
	eventually(t, "it is gone", probe.Gone)
	if probe.Quiet() {
		t.Error("a connection that was reset is quiet")
	}
}

func TestUnsentIsWhatThePeerHasNotTaken(t *testing.T) {
	t.Parallel()
	here, there := pair(t)
	probe := socket.NewProbe(here)
	long := pattern(64 << 20)
	_ = here.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	n, _ := here.Write(long)
	if got := probe.Unsent(); got <= 0 || got > n {
		t.Errorf("%d bytes are unsent of %d, want some", got, n)
	}
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, there) })
	eventually(t, "all is taken", func() bool { return probe.Unsent() == 0 })
	_ = here.Close()
	reading.Wait()
}

func TestAProbeFindsTheSocketBelowTLS(t *testing.T) {
	t.Parallel()
	certified := httptest.NewTLSServer(nil)
	certificate := certified.TLS.Certificates
	certified.Close()
	here, there := pair(t)
	client := tls.Client(here, &tls.Config{InsecureSkipVerify: true})
	server := tls.Server(there, &tls.Config{Certificates: certificate})
	var shaking sync.WaitGroup
	shaking.Go(func() { _ = server.Handshake(); _, _ = server.Write([]byte("x")) })
	if n, err := client.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Fatalf("read %d, %v, want the byte", n, err)
	}
	shaking.Wait()
	probe := socket.NewProbe(struct{ inner }{inner{client}})
	if !probe.Quiet() || probe.Gone() {
		t.Errorf("quiet %v, gone %v, want quiet and there", probe.Quiet(), probe.Gone())
	}
	_ = there.Close()
	eventually(t, "it is gone", probe.Gone)
}

// inner is a connection around one.
type inner struct{ net.Conn }

func (i inner) NetConn() net.Conn { return i.Conn }

func TestWhatHasNoSocketStaysAsItIs(t *testing.T) {
	t.Parallel()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	if got := socket.Wrap(here); got != here {
		t.Errorf("got %T, want the pipe itself", got)
	}
	if probe := socket.NewProbe(here); !probe.Quiet() || probe.Gone() || probe.Unsent() != 0 {
		t.Error("a pipe is not quiet, or gone, or has something unsent")
	}
}

func TestASocketIsConnectedWhenItHasAPeer(t *testing.T) {
	t.Parallel()
	_, there := plainPair(t)
	raw, err := there.SyscallConn()
	if err != nil || !socket.Connected(raw) {
		t.Errorf("an open connection is not connected: %v", err)
	}
	ln, err := net.ListenTCP("tcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if raw, err = ln.SyscallConn(); err != nil || socket.Connected(raw) {
		t.Errorf("a listener is connected, %v", err)
	}
}

func BenchmarkEcho(b *testing.B) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"net":    func(c net.Conn) net.Conn { return c },
		"socket": socket.Wrap,
	} {
		b.Run(name, func(b *testing.B) {
			h, t := plainPair(b)
			here, there := wrap(h), wrap(t)
			var echoing sync.WaitGroup
			echoing.Go(func() {
				p := make([]byte, 1024)
				for {
					n, err := there.Read(p)
					if err != nil {
						return
					}
					_, _ = there.Write(p[:n])
				}
			})
			p := make([]byte, 1024)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = here.Write(p)
				_, _ = io.ReadFull(here, p)
			}
			_ = here.Close()
			echoing.Wait()
		})
	}
}
