package listen_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/listen"
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

// endless is a client that sends the same bytes at every read.
type endless struct {
	net.Conn
	in string
}

func (e *endless) Read(p []byte) (int, error)      { return copy(p, e.in), nil }
func (e *endless) SetReadDeadline(time.Time) error { return nil }

func benchmarkRead(b *testing.B, in string, reads int) {
	b.Helper()
	conn := listen.NewConn(&endless{in: in}, listen.DefaultConfig())
	buf := make([]byte, 16<<10)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		for range reads {
			if _, err := conn.Read(buf); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkHead(b *testing.B) { benchmarkRead(b, typical(), 1) }

func BenchmarkHeadAndBody(b *testing.B) {
	benchmarkRead(b, post+"Content-Length: 1000\r\n\r\n"+strings.Repeat("x", 1000), 1)
}

func BenchmarkHeadAndChunks(b *testing.B) {
	benchmarkRead(b, chunkedHead+strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 10)+"0\r\n\r\n", 1)
}

func BenchmarkTenPipelinedHeads(b *testing.B) { benchmarkRead(b, strings.Repeat(typical(), 10), 10) }

// BenchmarkUnjudged is what the same reads cost without this package.
func BenchmarkUnjudged(b *testing.B) {
	conn := &endless{in: typical()}
	buf := make([]byte, 16<<10)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = conn.Read(buf)
	}
}

// BenchmarkFasthttp asks a server again and again over loopback, with this package below it and without.
func BenchmarkFasthttp(b *testing.B) {
	for _, below := range []string{"tcp", "listen"} {
		b.Run(below, func(b *testing.B) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			addr := ln.Addr().String()
			if below == "listen" {
				ln = listen.NewListener(ln, listen.DefaultConfig())
			}
			fast := &fasthttp.Server{Handler: ok, ReadBufferSize: 16 << 10}
			go func() { _ = fast.Serve(ln) }()
			defer func() { _ = fast.Shutdown() }()
			askAgain(b, addr)
		})
	}
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
	conn := listen.NewConn(client, listen.DefaultConfig())
	defer conn.Close()
	b.ReportAllocs()
	for b.Loop() {
		if conn.PeerGone() {
			b.Fatal("the client is here, PeerGone says true")
		}
	}
}
