package gateway

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"wxgate/gateway/header"
	"wxgate/gateway/listen"
	"wxgate/gateway/wire"
	"wxgate/message"
)

// FuzzForward rewrites the head of every request that the strict reader lets through, and looks at the lines that would
// go to the service.
func FuzzForward(f *testing.F) {
	for _, lines := range []string{
		"Connection: X-User-Id, close\r\nX-User-Id: 9\r\nX_User.Id: 9\r\n", "Cookie: a=1\r\ncookie: b=2\r\n", "Te: trailers\r\nTrailer: X-User-Id\r\n",
		"X-Forwarded-For: 1\r\nForwarded: x\r\nVia: 1.0 a\r\nX-Forwarded.Host: h\r\n", "Accept: a\r\nX-A: 1\r\nAccept: b\r\nProxy: x\r\nProxy-A: y\r\n",
		"Authorization: Bearer x\r\nX-Wx-Openid: o\r\nX-User: 1\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n", "Expect: 100-continue\r\nKeep-Alive: 5\r\nX-Identity: forged\r\n",
	} {
		f.Add("GET /x HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n")
	}
	cfg := DefaultConfig()
	cfg.Identity.Signed.Header = "X-Identity"
	rules := &snapshot{cfg: cfg, reserved: newReservedHeaders(cfg)}
	f.Fuzz(func(t *testing.T, text string) {
		cfg := listen.DefaultConfig()
		judge := wire.NewJudge(&cfg.Limits)
		n, refused := judge.Head([]byte(text))
		if n == 0 || refused != "" {
			return
		}
		var req message.Request
		judge.Request([]byte(text[:n]), &req)
		in, out := &req.Fields, new(message.Fields)
		ex := &Exchange{snapshot: rules, route: new(routeEntry), method: req.Method}
		ex.classes = in.Classify(rules.reserved.classOf)
		ex.copyEndToEnd(in, out)
		out.Set("X-User-Id", "1")
		came := linesOf(in)
		for _, line := range linesOf(out) {
			name, _, _ := strings.Cut(line, ": ")
			key := []byte(name)
			switch {
			case line == "X-User-Id: 1", strings.EqualFold(name, "cookie"):
			case header.HopByHop(key), header.Owned(key), rules.reserved.claims.Of(key) != header.NoClaim, rules.reserved.contains(key), header.AppendConnectionOptions(nil, in).Contain(key):
				t.Errorf("%q goes to the service", line)
			case !slices.Contains(came, line):
				t.Errorf("%q goes to the service, and the client said %q", line, came)
			}
		}
		if got := bytes.Count(bytes.ToLower(out.AppendTo([]byte("\r\n"))), []byte("\r\nx-user-id:")); got != 1 {
			t.Errorf("%d lines of X-User-Id go to the service", got)
		}
	})
}

// linesOf are the field lines of a head as they are, or will be, on the wire.
func linesOf(h *message.Fields) (lines []string) {
	for name, value := range h.All() {
		lines = append(lines, string(name)+": "+string(value))
	}
	return lines
}
