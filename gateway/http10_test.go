package gateway

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"wxgate/upstream/upstreamtest"
)

func TestAnOldClientGetsNoChunks(t *testing.T) {
	t.Parallel()
	const chunks = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Own: 1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
	for _, c := range []struct{ says, answer string }{
		{"chunks", chunks},
		{"until close", "HTTP/1.1 200 OK\r\nX-Own: 1\r\nConnection: close\r\n\r\nhello world"},
		{"an old service", "HTTP/1.0 200 OK\r\nX-Own: 1\r\n\r\nhello world"},
	} {
		e := newEdge(t, upstreamtest.Fixed(t, c.answer).URL, nil)
		for _, connection := range []string{"", "Connection: keep-alive\r\n"} {
			l := e.dial(t)
			l.say(t, "GET /public/x HTTP/1.0\r\nHost: a\r\n"+connection+"\r\n")
			all, err := io.ReadAll(l)
			head, body, _ := strings.Cut(string(all), "\r\n\r\n")
			if err != nil || body != "hello world" || !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") {
				t.Errorf("%s: got %q and %v, want the plain body and the end", c.says, all, err)
			}
			lower := strings.ToLower(head)
			if strings.Contains(lower, "transfer-encoding") || strings.Contains(lower, "content-length") || strings.Contains(lower, "keep-alive") ||
				!strings.Contains(lower, "connection: close") || !strings.Contains(lower, "x-request-id: ") || !strings.Contains(lower, "x-own: 1") {
				t.Errorf("%s: the head is %q", c.says, head)
			}
		}
	}
}

func TestAnOldClientSeesThatAnAnswerBrokeOff(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Fixed(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").URL, nil)
	l := e.dial(t)
	l.say(t, "GET /public/x HTTP/1.0\r\nHost: a\r\n\r\n")
	if all, err := io.ReadAll(l); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %q and %v, want a reset", all, err)
	}
}

func TestAnOldClientKeepsItsConnectionIfItAsks(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Echo(t).URL, nil)
	l := e.dial(t)
	for range 3 {
		l.say(t, "GET /public/x HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
		resp, _ := l.answer(t)
		if resp.StatusCode != 200 || resp.Header.Get("Connection") != "keep-alive" {
			t.Fatalf("got %d, Connection %q, want 200 and keep-alive (RFC 9112 §9.3)", resp.StatusCode, resp.Header.Get("Connection"))
		}
	}
	l.say(t, "GET /public/x HTTP/1.0\r\nHost: a\r\n\r\n")
	if resp, _ := l.answer(t); !resp.Close {
		t.Error("without keep-alive the connection stays open")
	}
	if _, err := l.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("then came %v, want the end", err)
	}
}

func TestAnOldClientThatLeavesFreesTheService(t *testing.T) {
	t.Parallel()
	service, ended := mute(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	e := newEdge(t, service.URL, nil)
	l := e.dial(t)
	l.say(t, "GET /public/x HTTP/1.0\r\nHost: a\r\n\r\n")
	if _, err := l.ReadString('h'); err != nil {
		t.Fatal(err)
	}
	_ = l.Conn.(*net.TCPConn).Close()
	<-ended
}

// TestAnOldClientWithoutAHostAsksTheServicesOwn is about HTTP/1.0, where Host may be missing (RFC 9112 §3.2): an empty one
// makes nginx answer 400.
func TestAnOldClientWithoutAHostAsksTheServicesOwn(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	if resp, body := e.send(t, "GET /public/x HTTP/1.0\r\n\r\n"); resp.StatusCode != 200 {
		t.Fatalf("got %d %s, want 200", resp.StatusCode, body)
	}
	req := service.Requests()[0]
	if got, want := req.Values("Host"), strings.TrimPrefix(service.URL, "http://"); len(got) != 1 || got[0] != want {
		t.Errorf("Host is %q, want %q alone", got, want)
	}
	if got := req.Values("X-Forwarded-Host"); len(got) > 0 {
		t.Errorf("X-Forwarded-Host is %q, want none: nobody named a host", got)
	}
}
