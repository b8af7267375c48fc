package gateway

import (
	"net"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/upstream/upstreamtest"
)

// repeating is a client that sends the same request again, as often as told.
type repeating struct {
	net.Conn
	text string
	at   int
	left int
}

func (r *repeating) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, net.ErrClosed
	}
	n := copy(p, r.text[r.at:])
	if r.at += n; r.at == len(r.text) {
		r.at = 0
		r.left--
	}
	return n, nil
}
func (*repeating) Write(p []byte) (int, error)      { return len(p), nil }
func (*repeating) SetReadDeadline(time.Time) error  { return nil }
func (*repeating) SetWriteDeadline(time.Time) error { return nil }
func (*repeating) SetDeadline(time.Time) error      { return nil }
func (*repeating) Close() error                     { return nil }
func (*repeating) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4000} }

// BenchmarkChain is what the gateway itself adds to a request: no socket and no service.
func BenchmarkChain(b *testing.B) {
	e := newEdge(b, upstreamtest.Echo(b).URL, func(cfg *Config) {
		cfg.Log.Access = true
		cfg.Routes = append(cfg.Routes, RouteConfig{Path: "/fixed/**", Auth: AuthRequired, Respond: fixedAnswer{Status: 200, Body: strings.Repeat("x", 1000)}})
	})
	request := head("GET /fixed/x?page=2", e.token(b, "alice"), "Accept: */*", "Accept-Encoding: gzip,compress,br,deflate", "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) MicroMessenger/8.0.49", "Referer: https://servicewechat.com/wx0123456789abcdef/42/page-frame.html", "Content-Type: application/json", "X-User-Id: attacker")
	conn := &repeating{text: request, left: b.N}
	b.ReportAllocs()
	b.ResetTimer()
	listen.ServeConn(conn, e.ListenConfig(), e.server)
}
