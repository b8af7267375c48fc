package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/upstream/upstreamtest"
)

// eventually polls until ok or half a minute has passed, and says how long it took. It polls less often the longer it takes.
func eventually(t testing.TB, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !ok() {
		elapsed := time.Since(start)
		if elapsed > 30*time.Second {
			t.Fatalf("never happened: %s", what)
		}
		<-time.After(max(5*time.Millisecond, min(elapsed/10, 50*time.Millisecond)))
	}
	return time.Since(start)
}

// mute runs a service that says the given text to each request and then waits until its connection ends.
func mute(t *testing.T, text string) (service *upstreamtest.Service, ended chan struct{}) {
	ended = make(chan struct{}, 16)
	service = upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		br := bufio.NewReader(conn)
		if _, err := upstreamtest.ReadRequest(br); err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		_, _ = br.ReadByte()
		ended <- struct{}{}
	})
	return service, ended
}

func TestAClientThatLeavesEndsTheWorkOfTheService(t *testing.T) {
	t.Parallel()
	leaves := map[string]func(net.Conn){
		"closes":           func(c net.Conn) { _ = c.Close() },
		"resets":           func(c net.Conn) { upstreamtest.Reset(c); _ = c.Close() },
		"asks for more":    func(c net.Conn) { _, _ = io.WriteString(c, head("GET /public/y", "")); _ = c.Close() },
		"ends its sending": func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() },
	}
	for _, c := range []struct{ says, answer string }{
		{"nothing", ""},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-"},
		{"events", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n"},
		{"events until close", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata:"},
		{"half a download", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc"},
	} {
		for how, leave := range leaves {
			t.Run(c.says+", "+how, func(t *testing.T) {
				t.Parallel()
				service, ended := mute(t, c.answer)
				e := newEdge(t, service.URL, nil)
				l := e.dial(t)
				l.say(t, head("GET /public/x", ""))
				eventually(t, "the request arrives", func() bool { return service.OpenConns() == 1 })
				if strings.HasPrefix(c.answer, "HTTP/1.1 200 OK\r\nContent-T") {
					if _, err := l.ReadString(':'); err != nil {
						t.Fatal(err)
					}
				}
				left := time.Now()
				leave(l.Conn)
				select {
				case <-ended:
				case <-time.After(30 * time.Second):
					t.Fatal("the service still works after 30 s")
				}
				t.Logf("ended after %v", time.Since(left))
				eventually(t, "nobody is watched any more", func() bool {
					e.watcher.mu.Lock()
					defer e.watcher.mu.Unlock()
					return e.watcher.watched == nil && !e.watcher.running
				})
			})
		}
	}
}

func TestAClientThatLeftIsCountedAsGone(t *testing.T) {
	t.Parallel()
	service, ended := mute(t, "")
	e := newEdge(t, service.URL, nil)
	l := e.dial(t)
	l.say(t, head("GET /public/x", ""))
	eventually(t, "the request arrives", func() bool { return service.OpenConns() == 1 })
	_ = l.Close()
	<-ended
	eventually(t, "it is counted", func() bool {
		return e.count(t, "wxgate_requests_total", `code="499"`, `reason="client_gone"`, `source="gateway"`) == 1
	})
}

// TestAHalfClosedClientIsNotAnsweredWithAStatusThatHTTPHasNot: it received "HTTP/1.1 499 Unknown Status Code".
func TestAHalfClosedClientIsNotAnsweredWithAStatusThatHTTPHasNot(t *testing.T) {
	t.Parallel()
	for _, request := range []string{head("GET /public/x", ""), head("POST /public/x", "", "Content-Length: 2") + "{}", "GET /public/x HTTP/1.0\r\n\r\n"} {
		service, ended := mute(t, "")
		e := newEdge(t, service.URL, nil)
		l := e.dial(t)
		l.say(t, request)
		eventually(t, "the request arrives", func() bool { return service.OpenConns() == 1 })
		_ = l.Conn.(*net.TCPConn).CloseWrite()
		<-ended
		if heard, err := io.ReadAll(l); len(heard) > 0 || err != nil {
			t.Errorf("%.20q: heard %q, %v; want the end of the connection", request, heard, err)
		}
		if got := e.count(t, "wxgate_requests_total", `code="499"`, `reason="client_gone"`); got != 1 {
			t.Errorf("%.20q: counted %v times", request, got)
		}
	}
}

func TestAClientThatOnlyEndsItsSendingGetsAPromptAnswer(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, nil)
	for range 20 {
		l := e.dial(t)
		l.say(t, head("POST /public/x", "", "Content-Length: 2")+"{}")
		_ = l.Conn.(*net.TCPConn).CloseWrite()
		if resp, body := l.answer(t); resp.StatusCode != 200 {
			t.Fatalf("got %d %s, want 200", resp.StatusCode, body)
		}
	}
}

func TestAClientThatStaysIsServedHoweverLongItTakes(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { <-release; return upstreamtest.OK("text/plain", "late") })
	e := newEdge(t, service.URL, nil)
	l := e.dial(t)
	l.say(t, head("GET /public/x", "")+head("GET /public/y", "")) // what is pipelined is no leaving
	eventually(t, "it is looked at", func() bool { return len(service.Requests()) == 1 })
	timer := time.NewTimer(3 * pollInterval)
	<-timer.C
	close(release)
	for range 2 {
		if resp, body := l.answer(t); resp.StatusCode != 200 || body != "late" {
			t.Fatalf("got %d %s, want 200 late", resp.StatusCode, body)
		}
	}
}

func TestAWaitIsAContextThatEndsWhenItsClientLeaves(t *testing.T) {
	t.Parallel()
	x := &clientContext{Context: t.Context(), deadline: time.Now().Add(time.Hour)}
	if at, bounded := x.Deadline(); !bounded || !at.Equal(x.deadline) || x.Err() != nil {
		t.Errorf("its deadline is %v and its error %v, want those of one that goes on", at, x.Err())
	}
	early, late := make(closeNotifier, 1), make(closeNotifier, 1)
	x.Attach(early)
	if !x.Detach() {
		t.Error("what is attached while the client waits is detached in time")
	}
	x.Attach(late)
	derived, cancel := context.WithCancel(x)
	defer cancel()
	before := x.Done()
	x.cancel()
	x.cancel()
	<-before
	<-x.Done()
	<-derived.Done()
	<-late
	if !errors.Is(x.Err(), context.Canceled) || !errors.Is(derived.Err(), context.Canceled) {
		t.Errorf("it ends with %v, and what was derived from it with %v, want %v", x.Err(), derived.Err(), context.Canceled)
	}
	if x.Detach() {
		t.Error("what was closed is detached in time")
	}
	if x.Attach(early); <-early != struct{}{} || x.Detach() {
		t.Error("what is attached after the end is not closed")
	}
}

// closeNotifier receives a value when it is closed.
type closeNotifier chan struct{}

func (c closeNotifier) Close() error { c <- struct{}{}; return nil }

// openStream is a body that is still arriving.
type openStream struct{}

func (openStream) Next() ([]byte, error) { select {} }
func (openStream) Ready() bool           { return false }
func (openStream) Close() error          { return nil }

// TestAPanicBehindTheServiceLeavesTheWatcherWhole is a panic between the answer of the service, which is a stream, and the
// writing of it: recoverPanic makes a 500 of it, which discards the stream, and the exchange is used again.
func TestAPanicBehindTheServiceLeavesTheWatcherWhole(t *testing.T) {
	t.Parallel()
	w := newWatcher()
	ex, _ := newExchange().(*Exchange)
	serve := func() {
		ex.ctx, ex.start, ex.route = context.Background(), time.Now(), new(routeEntry)
		w.watch(ex)
		ex.response.Stream = message.Stream(openStream{})
		ex.response.Reset() // a step above forward panics: respondError
		w.unwatch(ex)       // the end of Serve
		ex.reset()
	}
	serve()
	serve() // with the exchange from the pool
	listed := make(chan int, 1)
	go func() {
		old, _ := w.watchedSince(time.Now().Add(time.Hour))
		listed <- len(old)
	}()
	select {
	case n := <-listed:
		if n != 0 {
			t.Errorf("%d are watched, want none", n)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the watcher turns in a circle, with its lock")
	}
}
