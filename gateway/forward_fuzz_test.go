package gateway

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/header"
	"wxgate/gateway/listen"
)

// spoken is a client that said one thing.
type spoken struct {
	net.Conn
	text io.Reader
}

func (s *spoken) Read(p []byte) (int, error)     { return s.text.Read(p) }
func (*spoken) SetReadDeadline(time.Time) error  { return nil }
func (*spoken) SetWriteDeadline(time.Time) error { return nil }
func (s *spoken) Write(p []byte) (int, error)    { return len(p), nil }
func (*spoken) Close() error                     { return nil }

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
	rules := &snapshot{cfg: cfg, reserved: newReservedHeaders(cfg.Identity)}
	f.Fuzz(func(t *testing.T, text string) {
		conn := listen.NewConn(&spoken{text: strings.NewReader(text)}, listen.DefaultConfig())
		var in, out fasthttp.RequestHeader
		if in.Read(bufio.NewReaderSize(conn, headBuffer)) != nil || listen.Fault(conn, nil) != nil {
			return
		}
		out.DisableNormalizing()
		out.DisableSpecialHeader()
		ex := &Exchange{snapshot: rules, route: new(routeEntry)}
		ex.copyEndToEnd(&in, &out)
		out.Set("X-User-Id", "1")
		came := linesOf(&in)
		for _, line := range linesOf(&out) {
			name, _, _ := strings.Cut(line, ": ")
			key := []byte(name)
			switch {
			case line == "X-User-Id: 1", strings.EqualFold(name, "cookie"):
			case header.HopByHop(key), header.Owned(key), rules.reserved.claims.Of(key) != header.NoClaim, rules.reserved.contains(key), header.ConnectionOptions(&in).Contain(key):
				t.Errorf("%q goes to the service", line)
			case !slices.Contains(came, line):
				t.Errorf("%q goes to the service, and the client said %q", line, came)
			}
		}
		if got := bytes.Count(bytes.ToLower(out.Header()), []byte("\r\nx-user-id:")); got != 1 {
			t.Errorf("%d lines of X-User-Id go to the service", got)
		}
	})
}

// linesOf are the field lines of a head as they are, or will be, on the wire.
func linesOf(h *fasthttp.RequestHeader) (lines []string) {
	if raw := h.RawHeaders(); len(raw) > 0 {
		for name, value := range header.Lines(h) {
			lines = append(lines, string(name)+": "+string(value))
		}
		return lines
	}
	_, rest, _ := strings.Cut(string(h.Header()), "\r\n")
	for line := range strings.SplitSeq(strings.TrimSuffix(rest, "\r\n\r\n"), "\r\n") {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
