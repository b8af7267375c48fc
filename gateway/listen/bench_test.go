package listen_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/message"
)

// typical is what wx.request sends: twelve fields, a token of 500 bytes.
func typical() string {
	return "GET /api/v1/recipes/7?page=2&size=20 HTTP/1.1\r\n" +
		"Host: api.example.com\r\n" +
		"Connection: keep-alive\r\n" +
		"Authorization: Bearer " + strings.Repeat("abcdefghij", 50) + "\r\n" +
		"content-type: application/json\r\n" +
		"Accept: */*\r\n" +
		"Accept-Encoding: gzip,compress,br,deflate\r\n" +
		"Accept-Language: zh-CN,zh;q=0.9\r\n" +
		"User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 MicroMessenger/8.0.49\r\n" +
		"Referer: https://servicewechat.com/wx0123456789abcdef/42/page-frame.html\r\n" +
		"X-Request-Id: 0192f3a4-7b6c-7d8e-9fa0-b1c2d3e4f5a6\r\n" +
		"Cache-Control: no-cache\r\n" +
		"Pragma: no-cache\r\n\r\n"
}

// endless is a client that sends the same bytes again and again, so many times.
type endless struct {
	script

	in, rest []byte
	times    int
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.times--; e.times < 0 {
			return 0, io.EOF
		}
		e.rest = e.in
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func (e *endless) Write(p []byte) (int, error) { return len(p), nil }

// replies is a handler that reads bodies and gives a small answer, without allocating.
func replies() handler {
	var req message.Request
	resp := message.Response{Status: 200, Body: []byte(`{"id":7,"title":"mapo tofu"}`), Length: -1}
	resp.Fields.Add("Content-Type", "application/json")
	buf := make([]byte, 4096)
	return func(c *listen.Conn) {
		c.ReadRequest(&req)
		for req.Body != nil {
			if _, err := req.Body.Read(buf); err != nil {
				break
			}
		}
		_, _ = c.WriteResponse(&resp)
	}
}

// benchmarkLoop serves requests that come with one read, as many as there are in it.
func benchmarkLoop(b *testing.B, in string, each int) {
	b.Helper()
	b.SetBytes(int64(len(in) / each))
	b.ReportAllocs()
	b.ResetTimer()
	listen.ServeConn(&endless{in: []byte(in), times: max(1, b.N/each)}, listen.DefaultConfig(), replies())
}

func BenchmarkRequest(b *testing.B) { benchmarkLoop(b, typical(), 1) }

func BenchmarkRequestWithBody(b *testing.B) {
	benchmarkLoop(b, post+"Content-Length: 1000\r\n\r\n"+strings.Repeat("x", 1000), 1)
}

func BenchmarkRequestWithChunks(b *testing.B) {
	benchmarkLoop(b, chunkedHead+strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 10)+"0\r\n\r\n", 1)
}

func BenchmarkTenPipelinedRequests(b *testing.B) { benchmarkLoop(b, strings.Repeat(get+end, 10), 10) }

// BenchmarkUnjudged is what the same reads cost without this package.
func BenchmarkUnjudged(b *testing.B) {
	conn := &endless{in: []byte(typical()), times: 1 << 62}
	buf := make([]byte, 16<<10)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = conn.Read(buf)
	}
}

// BenchmarkLoopback asks a server again and again.
func BenchmarkLoopback(b *testing.B) {
	ln, err := listen.Listen("tcp", "127.0.0.1:0", listen.DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = ln.Serve(replies()) }()
	defer func() { ln.Abort(); ln.Wait() }()
	ln.Wait()
	defer ln.Close()
	askAgain(b, ln.Addr().String())
}

func askAgain(b *testing.B, addr string) {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in, buf := []byte(typical()), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(in); err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadDeadline(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	b.ReportAllocs()
	for b.Loop() {
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	}
}

func BenchmarkPeerGone(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	peer, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte(get + end)); err != nil {
		b.Fatal(err)
	}
	listen.ServeConn(peer, listen.DefaultConfig(), handler(func(c *listen.Conn) {
		b.ReportAllocs()
		for b.Loop() {
			if c.PeerGone() {
				b.Fatal("the client is here, PeerGone says true")
			}
		}
	}))
}

// BenchmarkIdleConnections measures the memory of connections that wait for their second request.
func BenchmarkIdleConnections(b *testing.B) {
	const conns = 1000
	ln, err := listen.Listen("tcp", "127.0.0.1:0", listen.DefaultConfig())
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = ln.Serve(replies()) }()
	defer ln.Abort()
	defer ln.Close()
	for b.Loop() {
		before := inUse()
		clients := make([]net.Conn, conns)
		for i := range clients {
			clients[i] = askOnce(b, ln.Addr().String())
		}
		b.ReportMetric(float64(inUse()-before)/conns, "B/connection") // that of the client, less than 1 KB, is in it
		for _, client := range clients {
			_ = client.Close()
		}
		for ln.Stats().Open > 0 {
			runtime.Gosched()
		}
	}
}

// askOnce is a connection that has its first answer.
func askOnce(b *testing.B, address string) net.Conn {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Write([]byte(typical())); err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 4096)); err != nil {
		b.Fatal(err)
	}
	return conn
}

// inUse is the memory of heap and stacks that is in use.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
