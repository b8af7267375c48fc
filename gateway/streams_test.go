package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"wxgate/gateway/certificate/certificatetest"
	"wxgate/gateway/listen"
	"wxgate/gateway/stream/streamtest"
	"wxgate/upstream/upstreamtest"
)

// testTLS is of a server called api.test.
func testTLS(tb testing.TB) *tls.Config {
	tb.Helper()
	authority, err := certificatetest.NewAuthority()
	if err != nil {
		tb.Fatal(err)
	}
	secure, err := authority.Server(certificatetest.Leaf{Names: []string{"api.test"}})
	if err != nil {
		tb.Fatal(err)
	}
	secure.NextProtos = protocols()
	return secure
}

// overTLS opens a listener of TLS beside the plain one, and returns its address.
func (e *edge) overTLS(tb testing.TB) string {
	tb.Helper()
	cfg := e.ListenConfig()
	cfg.TLS = testTLS(tb)
	ln, err := listen.Listen("tcp", "127.0.0.1:0", cfg)
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- ln.Serve(e.server) }()
	tb.Cleanup(func() {
		_ = ln.Close()
		ln.Abort()
		if err := <-served; err != nil {
			tb.Error(err)
		}
		ln.Wait()
	})
	return ln.Addr().String()
}

// overUDP opens a socket of HTTP/3, and returns its address.
func (e *edge) overUDP(tb testing.TB) string {
	tb.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		served <- e.streams.ServePackets(socket, testTLS(tb), [32]byte{}, func(net.Addr) (func(), bool) { return func() {}, true })
	}()
	tb.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := errors.Join(e.streams.Shutdown(ctx), <-served); err != nil {
			tb.Error(err)
		}
	})
	return socket.LocalAddr().String()
}

// streams is a client of HTTP/2 or HTTP/3.
type streams interface {
	Do(fields []streamtest.Field, body string) (streamtest.Answer, error)
	Close() error
}

// streamVersion is HTTP/2 or HTTP/3 in tests.
type streamVersion struct {
	name, via string
	address   string
	dial      func(address string) (streams, error)
}

// versions are both, each served.
func (e *edge) versions(tb testing.TB) []streamVersion {
	tb.Helper()
	return []streamVersion{
		{"HTTP/2", "2.0", e.overTLS(tb), func(address string) (streams, error) { return streamtest.Dial(address) }},
		{"HTTP/3", "3.0", e.overUDP(tb), func(address string) (streams, error) { return streamtest.DialQUIC(address) }},
	}
}

// send sends a request of HTTP/1.1 as the version has it, on a connection of its own.
func (v streamVersion) send(tb testing.TB, raw string) streamtest.Answer {
	tb.Helper()
	conn, err := v.dial(v.address)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	answer, err := conn.Do(streamtest.FieldsOf(raw))
	if err != nil {
		tb.Fatalf("%q: %v", raw, err)
	}
	return answer
}

// canSay reports whether HTTP/2 has a way to say what a case is about.
func (c conformanceCase) canSay() bool {
	chunks := func(field string) bool { return strings.HasPrefix(field, "Transfer-Encoding: ") }
	return strings.HasSuffix(c.line, " HTTP/1.1") && strings.Count(c.line, " ") == 2 && !strings.Contains(c.line, "\t") &&
		!strings.HasPrefix(c.line, "CONNECT") && c.name != "absolute-form" && c.name != "two Hosts" && c.name != "a folded line" && c.name != "no colon" && c.name != "a space before the colon" &&
		!(c.ownBody && slices.ContainsFunc(c.fields, chunks))
}

// isAboutConnection reports whether the case has a field that HTTP/2 forbids (RFC 9113 §8.2.2).
func (c conformanceCase) isAboutConnection() bool {
	return slices.ContainsFunc(c.fields, func(field string) bool {
		name, _, _ := strings.Cut(strings.ToLower(field), ":")
		return slices.Contains([]string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}, name)
	})
}

// TestRequestsConformOnStreams sends every case that HTTP/2 and HTTP/3 have words for on a stream, with a token and without, with and
// without a body, and looks at the status and at every line that arrives.
func TestRequestsConformOnStreams(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Identity.Headers = map[string]identityField{"X-User-Id": fieldID}
		allowsGetBodies(cfg)
	})
	versions, token, said := e.versions(t), e.token(t, "alice"), 0
	for _, c := range conformanceCases() {
		if !c.canSay() {
			continue
		}
		bodies := []conformanceBody{
			{"no body", "", "", "\r\n"},
			{"a length", "Content-Length: 5", "hello", "Content-Length: 5\r\n\r\nhello"},
			{"no length", "", "hello", "Transfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n0\r\n\r\n"},
		}
		if c.ownBody {
			bodies = bodies[:1]
		}
		for _, body := range bodies {
			for _, root := range []string{"/public", "/private"} {
				for _, bearer := range []string{"", token} {
					for _, v := range versions {
						if v.name == "HTTP/3" && c.name == "two lengths" {
							continue // equal ones, which its library makes one (RFC 9110 §8.6)
						}
						said++
						what := fmt.Sprintf("%s: %s (%s), %s, %s, token %v", v.name, c.name, c.rule, body.name, root, bearer != "")
						v.conform(t, service, what, c, body, root, bearer)
					}
				}
			}
		}
	}
	t.Logf("%d requests", said)
}

func (v streamVersion) conform(t *testing.T, service *upstreamtest.Service, what string, c conformanceCase, body conformanceBody, root, token string) {
	t.Helper()
	before := len(service.Requests())
	got := v.send(t, c.sent(root, token, body))
	arrived := service.Requests()[before:]
	if c.status == 0 && !c.isAboutConnection() && (root == "/public" || token != "") {
		want := strings.NewReplacer("X-Forwarded-Proto: http\r\n", "X-Forwarded-Proto: https\r\n", "1.1 wxgate", v.via+" wxgate").Replace(c.forwarded(root, token, body))
		if body.sent != "" && body.field == "" && !strings.HasPrefix(want, "POST") { // see forwarded
			want = strings.Replace(want, "Transfer-Encoding", "Connection: close\r\nTransfer-Encoding", 1)
		}
		raw := ""
		if len(arrived) == 1 {
			raw = string(arrived[0].Raw)
		}
		if got.Status != 200 || !slices.Equal(sortedLines(raw), sortedLines(want)) {
			t.Errorf("%s: %d %v\narrived %q\nwant    %q", what, got.Status, got.Reset, sortedLines(raw), sortedLines(want))
		}
		return
	}
	if !got.Broken && got.Status != c.status && got.Status != 401 && got.Status != 400 {
		t.Errorf("%s: %d %s, want a refusal", what, got.Status, got.Body)
	}
	if len(arrived) > 0 {
		t.Errorf("%s: refused, yet this arrived: %q", what, arrived[0].Raw)
	}
}

// sortedLines are the lines of a request without its id, since HTTP/2 keeps no order among fields of other names. Names
// are in the case that we write.
func sortedLines(raw string) []string {
	head, body, _ := strings.Cut(requestIDLine.ReplaceAllString(raw, "X-Request-Id: ID\r\n"), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	slices.SortStableFunc(lines[1:], func(a, b string) int {
		nameA, _, _ := strings.Cut(a, ":")
		nameB, _, _ := strings.Cut(b, ":")
		return strings.Compare(nameA, nameB)
	})
	return append(lines, body)
}

// TestWhatOnlyStreamsCanSayWrongly is refused, and reaches nobody.
func TestWhatOnlyStreamsCanSayWrongly(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) { allowsGetBodies(cfg) })
	versions, token := e.versions(t), e.token(t, "alice")
	type fields = []streamtest.Field
	start := func(method, path string, more ...streamtest.Field) fields {
		return append(fields{{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: path}, {Name: ":authority", Value: "h"}, {Name: "authorization", Value: "Bearer " + token}}, more...)
	}
	field := func(name, value string) streamtest.Field { return streamtest.Field{Name: name, Value: value} }
	for name, c := range map[string]struct {
		fields fields
		body   string
	}{
		"a name in capitals":               {start("GET", "/private/x", field("X-A", "1")), ""},
		"a line end in a value":            {start("GET", "/private/x", field("x-a", "1\r\nX-User-Id: 9")), ""},
		"a request in a value":             {start("GET", "/private/x", field("x-a", "1\r\n\r\nGET /admin HTTP/1.1\r\nHost: h\r\n\r\n")), ""},
		"a line end in a name":             {start("GET", "/private/x", field("x-a: 1\r\nx-user-id", "9")), ""},
		"a colon in a name":                {start("GET", "/private/x", field("x-user-id: 9\tx", "1")), ""},
		"a NUL in a value":                 {start("GET", "/private/x", field("x-a", "1\x002")), ""},
		"a byte of no token in a name":     {start("GET", "/private/x", field("x\xe9", "2")), ""},
		"a line end in the path":           {start("GET", "/private/x HTTP/1.1\r\nX-User-Id: 9\r\nX-A:"), ""},
		"a version in the path":            {start("GET", "/private/x HTTP/1.0"), ""},
		"a request in the method":          {start("GET /private/y HTTP/1.1\r\nX-User-Id: 9\r\n\r\nGET", "/private/x"), ""},
		"a space in the method":            {start("GET /private/y", "/private/x"), ""},
		"no path":                          {fields{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "h"}}, ""},
		"an empty path":                    {start("GET", ""), ""},
		"a path without its slash":         {start("GET", "private/x"), ""},
		"an absolute path":                 {start("GET", "https://h/private/x"), ""},
		"no scheme":                        {fields{{Name: ":method", Value: "GET"}, {Name: ":path", Value: "/private/x"}, {Name: ":authority", Value: "h"}}, ""},
		"a method alone":                   {start("GET", "/private/x")[:1:1], ""},
		"two methods":                      {append(fields{{Name: ":method", Value: "DELETE"}}, start("GET", "/private/x")...), ""},
		"two paths":                        {append(fields{{Name: ":path", Value: "/public/x"}}, start("GET", "/private/x")...), ""},
		"a pseudo-header behind a field":   {start("GET", "/private/x", field("x-a", "1"), field(":path", "/public/x")), ""},
		"an unknown pseudo-header":         {append(fields{{Name: ":user", Value: "9"}}, start("GET", "/private/x")...), ""},
		"an answer's pseudo-header":        {append(fields{{Name: ":status", Value: "200"}}, start("GET", "/private/x")...), ""},
		"no authority":                     {fields{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/private/x"}}, ""},
		"an authority with userinfo":       {fields{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/private/x"}, {Name: ":authority", Value: "a@h"}}, ""},
		"a host that is not the authority": {start("GET", "/private/x", field("host", "other")), ""},
		"two hosts":                        {start("GET", "/private/x", field("host", "h"), field("host", "h")), ""},
		"connection":                       {start("GET", "/private/x", field("connection", "x-user-id")), ""},
		"transfer-encoding":                {start("POST", "/private/x", field("transfer-encoding", "chunked")), "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: h\r\n\r\n"},
		"upgrade":                          {start("GET", "/private/x", field("upgrade", "websocket")), ""},
		"keep-alive":                       {start("GET", "/private/x", field("keep-alive", "timeout=5")), ""},
		"te":                               {start("GET", "/private/x", field("te", "gzip")), ""},
		"a length and nothing":             {start("POST", "/private/x", field("content-length", "5")), ""},
		"a length that is short":           {start("POST", "/private/x", field("content-length", "4")), "hello"},
		"a length that is long":            {start("POST", "/private/x", field("content-length", "6")), "hello"},
		"no length at all":                 {start("POST", "/private/x", field("content-length", "five")), "hello"},
		"two lengths":                      {start("POST", "/private/x", field("content-length", "5"), field("content-length", "6")), "hello"},
		"two equal lengths":                {start("POST", "/private/x", field("content-length", "5"), field("content-length", "5")), "hello"},
		"extended CONNECT":                 {append(fields{{Name: ":protocol", Value: "websocket"}}, start("CONNECT", "/private/x")...), ""},
		"CONNECT":                          {fields{{Name: ":method", Value: "CONNECT"}, {Name: ":authority", Value: "h:443"}}, ""},
		"an authority that ends its line":  {fields{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/private/x"}, {Name: ":authority", Value: "h\r\nX-User-Id: 9"}}, ""},
		"a hundred fields and one":         {start("GET", "/private/x", slices.Repeat(fields{{Name: "x-a", Value: "1"}}, 101)...), ""},
		"more than a head may have":        {start("GET", "/private/x", field("x-a", strings.Repeat("a", 17<<10))), ""},
		"far more than a head may have":    {start("GET", "/private/x", slices.Repeat(fields{{Name: "x-a", Value: strings.Repeat("a", 4000)}}, 20)...), ""},
	} {
		for _, v := range versions {
			if v.name == "HTTP/3" && name == "two equal lengths" {
				continue // its library makes them one (RFC 9110 §8.6)
			}
			before := len(service.Requests())
			conn, err := v.dial(v.address)
			if err != nil {
				t.Fatal(err)
			}
			got, err := conn.Do(c.fields, c.body)
			if err != nil || !got.Broken && (got.Status < 400 || got.Status >= 500) {
				t.Errorf("%s: %s: %d %v, %.100s, want a refusal", v.name, name, got.Status, err, got.Body)
			}
			for _, req := range service.Requests()[before:] {
				if raw := string(req.Raw); !strings.Contains(name, "length") || strings.HasSuffix(raw, "hello") {
					t.Errorf("%s: %s arrived: %.300q", v.name, name, raw)
				}
			}
			_ = conn.Close()
		}
	}
}
