package listen_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/message"
)

// heirs are two servers, of which the first gives its connections to the second.
type heirs struct {
	first, second *listen.Listener
	servers       sync.WaitGroup
}

func newHeirs(t *testing.T, cfg listen.Config, handle handler) *heirs {
	t.Helper()
	h := new(heirs)
	for _, ln := range []**listen.Listener{&h.first, &h.second} {
		made, err := listen.Listen("tcp", "127.0.0.1:0", cfg.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		*ln = made
		h.servers.Go(func() { _ = made.Serve(handle) })
	}
	t.Cleanup(func() {
		_, _ = h.first.Close(), h.second.Close()
		h.servers.Wait()
		h.first.Abort()
		h.first.Wait()
		h.second.Abort()
		h.second.Wait()
	})
	return h
}

// give passes a socket within the process as another process would get it: by a descriptor of its own.
func (h *heirs) give(handle handler) listen.Give {
	return func(client net.Conn, begun []byte) error {
		tcp, ok := client.(*net.TCPConn)
		if !ok {
			return errors.New("no TCP")
		}
		file, err := tcp.File()
		if err != nil {
			return err
		}
		defer file.Close()
		again, err := net.FileConn(file)
		if err != nil {
			return err
		}
		h.second.Adopt(again, bytes.Clone(begun), handle)
		return nil
	}
}

func (h *heirs) dial(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", h.first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, bufio.NewReader(conn)
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, br *bufio.Reader) string {
	t.Helper()
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Close {
		t.Fatalf("got %v, %d %q, Connection: close is %v", err, resp.StatusCode, body, resp.Close)
	}
	return string(body)
}

// TestConnectionsGoOnInAnotherProcess gives away connections in every state between two requests and within one.
func TestConnectionsGoOnInAnotherProcess(t *testing.T) {
	t.Parallel()
	arrived, finish := make(chan struct{}), make(chan struct{})
	old := whole(func(_ *listen.Conn, req *message.Request, body string) string {
		if string(req.Target) == "/slow" {
			close(arrived)
			<-finish
		}
		return "old " + body
	})
	heir := whole(func(_ *listen.Conn, req *message.Request, _ string) string { return "new " + string(req.Target) })
	h := newHeirs(t, listen.DefaultConfig(), old)
	release := sync.OnceFunc(func() { close(finish) })
	t.Cleanup(release)
	idle, fromIdle := h.dial(t)
	say(t, idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	hear(t, fromIdle)
	silent, fromSilent := h.dial(t)
	begun, fromBegun := h.dial(t)
	say(t, begun, "GET / HTTP/1.1\r\nHo")
	slow, fromSlow := h.dial(t)
	say(t, slow, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
	<-arrived
	upload, fromUpload := h.dial(t)
	say(t, upload, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n")
	if line, err := fromUpload.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" { // so its head was read
		t.Fatalf("got %q and %v", line, err)
	}
	_, _ = fromUpload.ReadString('\n')
	say(t, upload, "01234")
	eventually(t, func() bool { return h.first.Stats().Open == 5 })
	ended := make(chan error, 1)
	go func() {
		err := h.first.HandOver(h.give(heir))
		ended <- errors.Join(err, h.first.WaitLeft(t.Context()))
	}()
	eventually(t, func() bool { return h.second.Stats().Open == 3 })
	say(t, idle, "GET /idle HTTP/1.1\r\nHost: a\r\n\r\n")
	say(t, silent, "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n")
	say(t, begun, "st: a\r\n\r\n")
	for name, br := range map[string]*bufio.Reader{"new /idle": fromIdle, "new /silent": fromSilent, "new /": fromBegun} {
		if got := hear(t, br); got != name {
			t.Errorf("got %q, want %q", got, name)
		}
	}
	say(t, upload, "56789")
	if got := hear(t, fromUpload); got != "old 0123456789" {
		t.Errorf("the upload got %q", got)
	}
	release()
	if one, two := hear(t, fromSlow), hear(t, fromSlow); one != "old " || two != "old " { // it was read already
		t.Errorf("the slow request and the one behind it got %q and %q", one, two)
	}
	if err := <-ended; err != nil {
		t.Errorf("handing over ended with %v", err)
	}
	if _, err := net.DialTimeout("tcp", h.first.Addr().String(), time.Second); err == nil {
		t.Error("the listener still takes connections")
	}
}

func TestAConnectionThatNobodyTakesStays(t *testing.T) {
	t.Parallel()
	h := newHeirs(t, listen.DefaultConfig(), whole(func(*listen.Conn, *message.Request, string) string { return "old" }))
	conn, br := h.dial(t)
	say(t, conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	hear(t, br)
	ctx, cancel := context.WithCancel(t.Context())
	tried := make(chan struct{}, 1000)
	ended := make(chan error, 1)
	go func() {
		err := h.first.HandOver(func(net.Conn, []byte) error { tried <- struct{}{}; return errors.New("nobody is there") })
		ended <- errors.Join(err, h.first.WaitLeft(ctx))
	}()
	<-tried
	<-tried
	say(t, conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := hear(t, br); !strings.HasPrefix(got, "old") {
		t.Errorf("got %q", got)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the time was up", err)
	}
}

// TestTheClientBehindAProxyKeepsItsAddress gives away a connection whose PROXY header was read, one that said nothing,
// and one that stopped within the header.
func TestTheClientBehindAProxyKeepsItsAddress(t *testing.T) {
	t.Parallel()
	cfg := listen.DefaultConfig()
	cfg.Proxied = func(netip.Addr) bool { return true }
	address := whole(func(c *listen.Conn, _ *message.Request, _ string) string { return c.RemoteAddr().String() })
	h := newHeirs(t, cfg, address)
	const header = "PROXY TCP4 203.0.113.7 192.0.2.1 4000 80\r\n"
	nobody, fromNobody := h.dial(t)
	say(t, nobody, "PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	itself, fromItself := h.dial(t)
	say(t, itself, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if before := hear(t, fromNobody) + " " + hear(t, fromItself); before != ":0 "+itself.LocalAddr().String() {
		t.Fatalf("nobody and the proxy itself are %q", before)
	}
	used, fromUsed := h.dial(t)
	say(t, used, header+"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := hear(t, fromUsed); got != "203.0.113.7:4000" {
		t.Fatalf("got %q", got)
	}
	silent, fromSilent := h.dial(t)
	begun, fromBegun := h.dial(t)
	say(t, begun, header[:20])
	eventually(t, func() bool { return h.first.Stats().Open == 5 })
	ended := make(chan error, 1)
	go func() {
		err := h.first.HandOver(h.give(address))
		ended <- errors.Join(err, h.first.WaitLeft(t.Context()))
	}()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	say(t, used, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	say(t, silent, header+"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	say(t, begun, header[20:]+"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	for _, br := range []*bufio.Reader{fromUsed, fromSilent, fromBegun} {
		if got := hear(t, br); got != "203.0.113.7:4000" {
			t.Errorf("elsewhere the client is %q", got)
		}
	}
	say(t, nobody, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	say(t, itself, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if after := hear(t, fromNobody) + " " + hear(t, fromItself); after != ":0 "+itself.LocalAddr().String() {
		t.Errorf("elsewhere nobody and the proxy itself are %q", after)
	}
}
