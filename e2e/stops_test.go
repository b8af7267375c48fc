package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// stopLoad is clients that send one request after the other, each on a connection of its own for as long as the gateway
// keeps it, and count how it ends.
type stopLoad struct {
	w          *world
	token      string
	all        sync.WaitGroup
	over       context.Context
	answered   atomic.Int64
	reset      atomic.Int64 // connections that broke
	unanswered atomic.Int64 // requests on a connection that ended in order, without an answer
	idle       []net.Conn
}

// load sends from as many clients, beside as many connections that are idle.
func (w *world) load(clients int) *stopLoad {
	w.t.Helper()
	over, end := context.WithCancel(w.t.Context())
	w.t.Cleanup(end)
	l := &stopLoad{w: w, token: w.login("alice"), over: over}
	for range clients {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { _ = conn.Close() })
		l.idle = append(l.idle, conn)
		_, _, _ = l.request(conn, bufio.NewReader(conn))
		l.all.Go(func() {
			for l.over.Err() == nil && l.connection() {
			}
		})
	}
	return l
}

// connection sends requests on one connection until it ends. It is false when nobody listens any more.
func (l *stopLoad) connection() bool {
	conn, err := net.Dial("tcp", strings.TrimPrefix(l.w.url, "http://"))
	if err != nil {
		return false // refused: there is no connection that could be reset
	}
	defer conn.Close()
	for reader := bufio.NewReader(conn); l.over.Err() == nil; {
		closes, status, err := l.request(conn, reader)
		switch {
		case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
			l.reset.Add(1)
			return true
		case err != nil:
			l.unanswered.Add(1)
			return true
		case status != http.StatusOK:
			l.w.t.Errorf("got %d", status)
		}
		l.answered.Add(1)
		if closes {
			return true
		}
	}
	return true
}

func (l *stopLoad) request(conn net.Conn, reader *bufio.Reader) (closes bool, status int, err error) {
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, err = fmt.Fprintf(conn, "GET /api/v1/recipes HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n\r\n", l.token)
	if err != nil {
		return false, 0, err
	}
	resp, err := http.ReadResponse(reader, nil)
	if err != nil {
		return false, 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Close, resp.StatusCode, err
}

// idleEnds checks that the idle connections end in order.
func (l *stopLoad) idleEnds() {
	for _, conn := range l.idle {
		if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
			l.w.t.Errorf("an idle connection ended with %d bytes, %v; want an orderly end", n, err)
		}
		_ = conn.Close()
	}
}

// TestAStopUnderLoadResetsNoConnection stops a gateway that 40 clients keep busy, beside 40 idle connections: twice, and
// 100 times with WXGATE_STOPS=100.
func TestAStopUnderLoadResetsNoConnection(t *testing.T) {
	t.Parallel()
	stops, err := strconv.Atoi(os.Getenv("WXGATE_STOPS"))
	long := err == nil
	if !long {
		stops = 2
	}
	w := newWorld(t)
	answered := int64(0)
	for stop := range stops {
		w.serve()
		l := w.load(40)
		eventually(t, 60*time.Second, func() bool { return l.answered.Load() > 200 })
		w.signal(syscall.SIGTERM)
		l.idleEnds()
		if code := w.stop(t); code != 0 {
			t.Errorf("exit code %d:\n%s", code, w.output)
		}
		l.all.Wait()
		// A client that needs more than half a second for its next request meets an orderly end (RFC 9112 §9.6).
		if l.reset.Load() > 0 || long && l.unanswered.Load() > 0 {
			t.Errorf("stop %d: %d connections were reset, %d requests were not answered", stop, l.reset.Load(), l.unanswered.Load())
		}
		answered += l.answered.Load()
	}
	t.Logf("%d stops, %d requests answered", stops, answered)
}

// TestReadinessTurnsBeforeTheListenerCloses has a balancer that needs time to notice, and clients that come meanwhile.
func TestReadinessTurnsBeforeTheListenerCloses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rewrite(`admin: "127.0.0.1:0"`, `admin: "127.0.0.1:0", timeouts: { pre_drain: 1h }`)
	got, code := w.command("check", "-c", w.config)
	if code == 0 || !strings.Contains(got, "server.timeouts.pre_drain: 1h is not between 0s and 10m") {
		t.Errorf("an hour of pre_drain: exit %d, %s", code, got)
	}
	w.rewrite("pre_drain: 1h", "pre_drain: 10m")
	w.serve()
	token := w.login("alice")
	w.signal(syscall.SIGTERM)
	eventually(t, 60*time.Second, func() bool { status, _ := w.readyz(); return status == http.StatusServiceUnavailable })
	fresh := *w.client
	fresh.Transport = &http.Transport{DisableKeepAlives: true}
	w.client = &fresh
	answer := w.call("GET", "/api/v1/recipes", token, "")
	w.want("a request on a new connection while readiness says no", answer, http.StatusOK, "")
	w.login("bob")
	if !answer.closes {
		t.Error("the answer does not say that the connection ends")
	}
	w.kill()
	w.rewrite("pre_drain: 10m", "pre_drain: 50ms")
	w.serve()
	if code := w.stop(t); code != 0 {
		t.Errorf("exit code %d:\n%s", code, w.output)
	}
}
