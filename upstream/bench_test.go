package upstream_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/upstream/upstreamtest"
)

// cannedService answers everything that ends like a head with a kilobyte of JSON and allocates nothing for it.
func cannedService(b *testing.B) *upstreamtest.Service {
	answer := []byte(upstreamtest.OK("application/json", strings.Repeat("x", 1024)))
	return upstreamtest.Raw(b, func(conn net.Conn, _ int) {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			for range bytes.Count(buf[:n], []byte("\r\n\r\n")) {
				if _, err := conn.Write(answer); err != nil {
					return
				}
			}
		}
	})
}

func benchRequest() *message.Request {
	req := newRequest("GET", "/api/v1/recipes/42")
	req.Host = []byte("api.example")
	for _, name := range []string{"Accept", "Accept-Encoding", "Authorization", "X-Request-Id", "X-User-Id", "X-Forwarded-For"} {
		req.Fields.Add(name, "some value of a usual length")
	}
	return req
}

func BenchmarkDo(b *testing.B) {
	u := newUpstream(b, cannedService(b).URL)
	req, resp := benchRequest(), new(message.Response)
	ctx := within(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := u.Do(ctx, req, resp, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpload1MiB(b *testing.B) {
	service := upstreamtest.Raw(b, func(conn net.Conn, _ int) {
		for {
			br := bufio.NewReader(conn)
			for line := "-"; line != "\r\n"; {
				var err error
				if line, err = br.ReadString('\n'); err != nil {
					return
				}
			}
			if _, err := io.CopyN(io.Discard, br, 1<<20); err != nil {
				return
			}
			_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "hi"))
		}
	})
	u := newUpstream(b, service.URL)
	resp, body := new(message.Response), make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		req := newRequest("POST", "/")
		setBody(req, struct{ io.Reader }{bytes.NewReader(body)}, len(body))
		if _, err := u.Do(soon(), req, resp, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAnswer100KB(b *testing.B) {
	answer := []byte(upstreamtest.OK("application/json", strings.Repeat("x", 100<<10)))
	service := upstreamtest.Raw(b, func(conn net.Conn, _ int) {
		buf := make([]byte, 4096)
		for {
			if _, err := conn.Read(buf); err != nil {
				return
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
		}
	})
	u := newUpstream(b, service.URL)
	req, resp := benchRequest(), new(message.Response)
	ctx := within(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := u.Do(ctx, req, resp, 0); err != nil {
			b.Fatal(err)
		}
		n, err := 0, error(nil)
		for part := []byte(nil); err == nil; part, err = resp.Stream.Next() {
			n += len(part)
		}
		if n != 100<<10 {
			b.Fatal(n, err)
		}
	}
}
