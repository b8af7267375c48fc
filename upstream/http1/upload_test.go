package http1_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

const tooLarge = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig"

// readHead reads a request up to its body.
func readHead(conn net.Conn) *bufio.Reader {
	br := bufio.NewReader(conn)
	for line := "-"; line != "\r\n"; {
		var err error
		if line, err = br.ReadString('\n'); err != nil {
			break
		}
	}
	return br
}

// A service that refuses an upload by its head answers before the body is there. It may then close, keep reading or
// just stop; the client gets the answer each time, and the connection is not used again.
func TestAnEarlyAnswerIsDelivered(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]func(c *net.TCPConn, stop <-chan struct{}){
		"and the service closes":         func(c *net.TCPConn, _ <-chan struct{}) { _ = c.Close() },
		"and the service stops reading":  func(_ *net.TCPConn, stop <-chan struct{}) { <-stop },
		"and the service keeps reading":  func(c *net.TCPConn, _ <-chan struct{}) { _, _ = io.Copy(io.Discard, c) },
		"and the service half-closes":    func(c *net.TCPConn, stop <-chan struct{}) { _ = c.CloseWrite(); <-stop },
		"and the service closes reading": func(c *net.TCPConn, stop <-chan struct{}) { _ = c.CloseRead(); <-stop },
	} {
		for _, size := range []int{32 << 20, -1} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				t.Parallel()
				stop := make(chan struct{})
				service := upstreamtest.Raw(t, func(conn net.Conn, n int) {
					readHead(conn)
					if n == 1 {
						_, _ = io.WriteString(conn, tooLarge)
						then(conn.(*net.TCPConn), stop)
						return
					}
					_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "hi"))
				})
				t.Cleanup(func() { close(stop) })
				u := newClient(t, service.URL)
				req := newRequest("POST", "/")
				setBody(req, io.LimitReader(zeros{}, 32<<20), size)
				var resp message.Response
				ex, err := u.Do(req, &resp, soon())
				if err != nil || resp.Status != 413 || string(resp.Body) != "big" || ex.Attempts != 1 {
					t.Fatalf("answer is %d %q, %v, want the 413", resp.Status, resp.Body, err)
				}
				get(t, u, "/")
				if got := service.Conns(); got != 2 {
					t.Errorf("the service has seen %d connections, want 2", got)
				}
			})
		}
	}
}

func TestAServiceThatDropsAnUploadIsAReset(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		readHead(conn)
		upstreamtest.Reset(conn)
	})
	req := newRequest("POST", "/")
	setBody(req, io.LimitReader(zeros{}, 32<<20), 32<<20)
	_, err := newClient(t, service.URL).Do(req, new(message.Response), soon())
	wantError(t, err, http1.ErrReset)
}

func TestAServiceThatAnswersNonsenseToAnUploadIsInvalid(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		br := readHead(conn)
		_, _ = io.WriteString(conn, "nonsense")
		_, _ = io.Copy(io.Discard, br)
	})
	req := newRequest("POST", "/")
	setBody(req, zeros{}, -1)
	_, err := newClient(t, service.URL).Do(req, new(message.Response), soon())
	wantError(t, err, http1.ErrInvalid)
}

func TestInterimAnswersDoNotStopAnUpload(t *testing.T) {
	t.Parallel()
	var arrived []byte
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		br := readHead(conn)
		_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
		arrived, _ = io.ReadAll(io.LimitReader(br, 4<<20))
		_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "done"))
	})
	req := newRequest("PUT", "/")
	setBody(req, content(4<<20), 4<<20)
	var resp message.Response
	if _, err := newClient(t, service.URL).Do(req, &resp, soon()); err != nil || string(resp.Body) != "done" {
		t.Fatalf("answer is %q, %v, want %q", resp.Body, err, "done")
	}
	if !bytes.Equal(arrived, contentBytes(4<<20)) {
		t.Errorf("%d bytes arrived, want the 4 MiB that were sent", len(arrived))
	}
}

// A service may answer 200 at once and still read: the whole body is sent before the answer is passed on.
func TestAGoodEarlyAnswerDoesNotStopAnUpload(t *testing.T) {
	t.Parallel()
	arrived := make(chan int64, 1)
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		br := readHead(conn)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		n, _ := io.Copy(io.Discard, io.LimitReader(br, 4<<20))
		arrived <- n
		_, _ = io.WriteString(conn, "4\r\ndone\r\n0\r\n\r\n")
		_, _ = io.Copy(io.Discard, br)
	})
	req := newRequest("PUT", "/")
	setBody(req, content(4<<20), 4<<20)
	var resp message.Response
	if _, err := newClient(t, service.URL).Do(req, &resp, soon()); err != nil {
		t.Fatal(err)
	}
	if body, err := readBody(&resp); string(body) != "done" || err != nil {
		t.Errorf("the answer is %q, %v, want %q", body, err, "done")
	}
	if n := <-arrived; n != 4<<20 {
		t.Errorf("%d bytes arrived, want 4 MiB", n)
	}
}

// The service sees the head and each part of a body as soon as the client has sent it.
func TestABodyIsPassedOnAsItComes(t *testing.T) {
	t.Parallel()
	arrived := make(chan string)
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		br := readHead(conn)
		arrived <- "head"
		for range 2 {
			chunk := make([]byte, len("0004\r\npart\r\n"))
			_, _ = io.ReadFull(br, chunk)
			arrived <- string(chunk)
		}
		_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "done"))
	})
	body, client := io.Pipe()
	req := newRequest("POST", "/")
	setBody(req, body, -1)
	done := make(chan error)
	u := newClient(t, service.URL)
	go func() {
		_, err := u.Do(req, new(message.Response), soon())
		done <- err
	}()
	if got := <-arrived; got != "head" {
		t.Errorf("first came %q, want the head", got)
	}
	for range 2 {
		_, _ = client.Write([]byte("part"))
		if got := <-arrived; got != "0004\r\npart\r\n" {
			t.Errorf("then came %q, want the part as a chunk", got)
		}
	}
	_ = client.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAGoodEarlyAnswerAndAClosedConnectionEndAnUpload(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		readHead(conn)
		_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "enough"))
	})
	req := newRequest("POST", "/")
	setBody(req, zeros{}, -1)
	var resp message.Response
	if _, err := newClient(t, service.URL).Do(req, &resp, soon()); err != nil || string(resp.Body) != "enough" {
		t.Errorf("the answer is %q, %v, want %q", resp.Body, err, "enough")
	}
}

// drip is a body that comes a few bytes at a time, for a minute.
type drip struct{ parts int }

func (d *drip) Read(p []byte) (int, error) {
	if d.parts++; d.parts > 3000 {
		return 0, io.EOF
	}
	upstreamtest.Dawdle(20 * time.Millisecond)
	return copy(p, "drip"), nil
}

func TestARefusalIsNoticedWhileTheBodyDrips(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1 << 20, -1} {
		service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
			br := readHead(conn)
			_, _ = br.ReadByte()
			_, _ = io.WriteString(conn, tooLarge)
			_, _ = io.Copy(io.Discard, br)
		})
		req, body := newRequest("POST", "/"), new(drip)
		setBody(req, body, size)
		var resp message.Response
		if _, err := newClient(t, service.URL).Do(req, &resp, soon()); err != nil || resp.Status != 413 {
			t.Errorf("the answer is %d, %v, want the 413", resp.Status, err)
		}
		if body.parts > 1000 {
			t.Errorf("it was noticed after %d parts", body.parts)
		}
	}
}
