package gateway

import (
	"testing"

	"wxgate/gateway/listen"
	"wxgate/upstream/upstreamtest"
)

// BenchmarkRefusal is what a refused request costs: no socket and no service.
func BenchmarkRefusal(b *testing.B) {
	for _, c := range []struct{ reason, token string }{{"token_missing", ""}, {"token_malformed", "nonsense"}, {"token_invalid", "changed"}} {
		b.Run(c.reason, func(b *testing.B) {
			e := newEdge(b, upstreamtest.Echo(b).URL, func(cfg *Config) { cfg.Log.Access = true })
			token := c.token
			if token == "changed" {
				token = e.token(b, "alice")
				token = token[:len(token)-6] + "AAAAAA"
			}
			request := head("GET /private/x?page=2", token, "Accept: */*", "Accept-Encoding: gzip,compress,br,deflate", "User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) MicroMessenger/8.0.49", "Content-Type: application/json")
			conn := &repeating{text: request, left: b.N}
			b.ReportAllocs()
			b.ResetTimer()
			listen.ServeConn(conn, e.ListenConfig(), e.server)
		})
	}
}
