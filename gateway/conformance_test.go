package gateway

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxgate/upstream/upstreamtest"
)

// conformanceCase is a request and what becomes of it: refused with a status, or forwarded with the target and the
// fields that are written here. ROOT in line is /public or /private. Sections are of RFC 9112 unless they name another.
type conformanceCase struct {
	name, rule string
	line       string   // the request line
	fields     []string // behind it
	ownBody    bool     // the case is about framing: it comes with its body, if any, at the end of fields
	status     int      // of our own answer; 0: forwarded
	closes     bool     // the refusal ends the connection: nobody knows where the next request would begin
	target     string   // as it arrives; "": as in line
	arrives    []string // the fields that arrive; nil: all
}

const goodLine, goodHost = "GET ROOT/x HTTP/1.1", "Host: h"

// good is a case of a request that is forwarded with the given fields.
func good(name, rule string, fields ...string) conformanceCase {
	return conformanceCase{name: name, rule: rule, line: goodLine, fields: append([]string{goodHost}, fields...), arrives: fields}
}

// without is a case of a request that is forwarded without its fields.
func without(name, rule string, fields ...string) conformanceCase {
	return conformanceCase{name: name, rule: rule, line: goodLine, fields: append([]string{goodHost}, fields...), arrives: []string{}}
}

// bad is a case of a request that is refused because of the given fields.
func bad(name, rule string, fields ...string) conformanceCase {
	return conformanceCase{name: name, rule: rule, line: goodLine, fields: append([]string{goodHost}, fields...), status: 400, closes: true}
}

// aim is a case of a target, which is forwarded as it is, or refused.
func aim(name, rule, target string, status int) conformanceCase {
	return conformanceCase{name: name, rule: rule, line: "GET " + target + " HTTP/1.1", fields: []string{goodHost}, arrives: []string{}, status: status}
}

// framed is a case of framing, with the body behind an empty field.
func framed(name, rule string, fields ...string) conformanceCase {
	return conformanceCase{name: name, rule: rule, line: "POST ROOT/x HTTP/1.1", fields: append([]string{goodHost}, fields...), ownBody: true, status: 400, closes: true}
}

func lineCase(name, rule, line string, status int) conformanceCase {
	return conformanceCase{name: name, rule: rule, line: line, fields: []string{goodHost}, status: status}
}

func conformanceCases() []conformanceCase {
	return []conformanceCase{
		good("plain", "§3"),
		good("opaque values", "RFC 9110 §5.5", "X-A: b  c\td;e=\"f, g\""),
		good("obs-text", "RFC 9110 §5.5", "X-A: \x80\xff"),
		good("an empty value", "RFC 9110 §5.5", "X-A:"),
		good("duplicates", "RFC 9110 §5.3", "Accept: a", "Accept: b", "X-A: 1", "X-A: 2"),
		good("a cookie", "RFC 6265 §5.4", "Cookie: a=1; b=2"),
		good("conditions", "RFC 9110 §13", "If-None-Match: \"a\"", "If-Modified-Since: Sat, 21 Nov 2026 00:00:00 GMT"),
		good("a range", "RFC 9110 §14.2", "Range: bytes=0-1"),
		good("a referer of WeChat", "§5", "Referer: https://servicewechat.com/wx1/devtools/page-frame.html"),
		without("Connection", "RFC 9110 §7.6.1", "Connection: keep-alive"),
		without("a named field", "RFC 9110 §7.6.1", "Connection: X-Hop", "X-Hop: 1"),
		without("a named field in other case", "RFC 9110 §7.6.1", "connection: x-HOP", "X-Hop: 1"),
		without("two Connections", "RFC 9110 §7.6.1", "Connection: a-one", "Connection: b-two", "A-One: 1", "B-Two: 2"),
		without("Keep-Alive", "RFC 9110 §7.6.1", "Keep-Alive: timeout=5"),
		without("TE", "RFC 9110 §10.1.4", "TE: trailers"),
		without("Trailer", "RFC 9110 §6.6.2", "Trailer: X-User-Id"),
		without("Upgrade", "RFC 9110 §7.8", "Upgrade: h2c"),
		without("Proxy-Authorization", "RFC 9110 §11.7.1", "Proxy-Authorization: Basic eDp5"),
		without("Proxy-Connection", "§C.2.2", "Proxy-Connection: keep-alive"),
		without("a Connection that names ours", "RFC 9110 §7.6.1", "Connection: X-User-Id, X-Forwarded-For, Via"),
		without("forged identity", "DESIGN §7", "X-User-Id: 9", "x_user_id: 9", "X.User.Id: 9", "X!User+Id: 9", "X-WX-OPENID: o"),
		without("forged ways here in odd spellings", "DESIGN §7", "X_Forwarded_For: 6.6.6.6", "X+Forwarded+For: 6.6.6.6", "X.Real.IP: 6.6.6.6", "X~Request~Id: mine", "Transfer_Encoding: chunked", "Content+Length: 5"),
		{
			name: "order beside a forgery", rule: "RFC 9110 §5.3", line: goodLine,
			fields:  []string{goodHost, "X-User-Id: 9", "X-User-Name: 9", "X-User-Role: 9", "Accept: a", "Accept: b", "Accept: c", "X-A: 1", "X-A: 2"},
			arrives: []string{"Accept: a", "Accept: b", "Accept: c", "X-A: 1", "X-A: 2"},
		},
		without("a forged way here", "DESIGN §7", "X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6", "X-Real-IP: 6.6.6.6", "X-Forwarded-Prefix: /a"),
		without("a forged scheme", "DESIGN §7", "X-Forwarded-Proto: https", "X-Forwarded-Protocol: https", "X-Forwarded-Ssl: on", "X-Url-Scheme: https", "X-Scheme: https", "Front-End-Https: on"),
		without("a forged address", "DESIGN §7", "Client-IP: 6.6.6.6", "X-Client-IP: 6.6.6.6", "True-Client-IP: 6.6.6.6", "CF-Connecting-IP: 6.6.6.6", "X-Cluster-Client-IP: 6.6.6.6", "Fastly-Client-IP: 6.6.6.6", "Forwarded-For: 6.6.6.6"),
		without("a request id of a stranger", "DESIGN §7", "X-Request-Id: mine"),

		aim("percent-encoding", "RFC 3986 §2.1", "ROOT/%7Ea%e8%8f%9C", 0),
		aim("sub-delims", "RFC 3986 §3.3", "ROOT/!$&'()*+,=:@", 0),
		aim("an empty query", "RFC 3986 §3.4", "ROOT/x?", 0),
		aim("a query of all sorts", "RFC 3986 §3.4", "ROOT/x?a=b&&c=%2F..%2f/../?\"{}|", 0),
		aim("brackets in a query", "RFC 3986 §3.4", "ROOT/x?filter[a]=b", 0),
		aim("dots that are no segment", "RFC 3986 §5.2.4", "ROOT/..a/a...", 0),
		aim("a parameter", "decision 0005", "ROOT/x;v=1", 400),
		aim("three dots", "decision 0005", "ROOT/...", 400),
		{name: "absolute-form", rule: "§3.2.2", line: "GET http://h" + "ROOT/x?y HTTP/1.1", fields: []string{goodHost}, target: "ROOT/x?y", arrives: []string{}},
		aim("dot-dot", "DESIGN §7", "ROOT/../x", 400),
		aim("encoded dot-dot", "DESIGN §7", "ROOT/%2e%2E/x", 400),
		aim("doubly encoded dot", "DESIGN §7", "ROOT/%252e%252e/x", 400),
		aim("a dot", "DESIGN §7", "ROOT/./x", 400),
		aim("dot-dot with a parameter", "DESIGN §7", "ROOT/..;/x", 400),
		aim("an empty segment", "DESIGN §7", "ROOT//x", 400),
		aim("an encoded slash", "DESIGN §7", "ROOT/a%2fb", 400),
		aim("a backslash", "DESIGN §7", "ROOT/a\\b", 400),
		aim("an encoded backslash", "DESIGN §7", "ROOT/a%5Cb", 400),
		aim("an encoded NUL", "DESIGN §7", "ROOT/a%00", 400),
		aim("a cut escape", "RFC 3986 §2.1", "ROOT/a%2", 400),
		aim("no escape", "RFC 3986 §2.1", "ROOT/a%zz", 400),
		aim("a fragment", "§3.2.1", "ROOT/x#y", 400),
		aim("a raw byte", "§3.2.1", "ROOT/\xe8", 400),
		aim("an asterisk", "§3.2.4", "*", 400),
		aim("authority-form", "§3.2.3", "h:80", 400),
		aim("another host in the target", "§3.2.2", "http://evilROOT/x", 400),
		aim("userinfo before the path", "§3.2.2", "@evilROOT/x", 400),

		lineCase("OPTIONS *", "RFC 9110 §9.3.7", "OPTIONS * HTTP/1.1", 204),
		{name: "no forward left", rule: "RFC 9110 §7.6.2", line: "OPTIONS ROOT/x HTTP/1.1", fields: []string{goodHost, "Max-Forwards: 0"}, status: 204},
		{
			name: "a forward less", rule: "RFC 9110 §7.6.2", line: "OPTIONS ROOT/x HTTP/1.1",
			fields: []string{goodHost, "Max-Forwards: 10", "X-A: 1"}, arrives: []string{"Max-Forwards: 9", "X-A: 1"},
		},
		good("Max-Forwards of a GET", "RFC 9110 §7.6.2", "Max-Forwards: 0"),

		lineCase("two spaces", "§3", "GET  ROOT/x HTTP/1.1", 400),
		lineCase("a tab", "§3", "GET\tROOT/x HTTP/1.1", 400),
		lineCase("a space behind", "§3", "GET ROOT/x HTTP/1.1 ", 400),
		lineCase("HTTP/0.9", "§3", "GET ROOT/x", 400),
		{name: "HTTP/1.2", rule: "RFC 9110 §2.5", line: "GET ROOT/x HTTP/1.2", fields: []string{goodHost, "X-A: 1"}, arrives: []string{"X-A: 1"}},
		{name: "HTTP/1.9", rule: "RFC 9110 §2.5", line: "GET ROOT/x HTTP/1.9", fields: []string{goodHost, "X-A: 1"}, arrives: []string{"X-A: 1"}},
		lineCase("an overlong target", "§3", "GET ROOT/"+strings.Repeat("a", 17_000)+" HTTP/1.1", 414),
		lineCase("an overlong method", "§3", strings.Repeat("A", 17_000)+" ROOT/x HTTP/1.1", 501),
		lineCase("a method longer than any", "§3", strings.Repeat("A", 33)+" ROOT/x HTTP/1.1", 501),
		lineCase("HTTP/2.0", "RFC 9110 §15.6.6", "GET ROOT/x HTTP/2.0", 505),
		lineCase("http/1.1", "§2.3", "GET ROOT/x http/1.1", 400),
		lineCase("CONNECT", "RFC 9110 §9.3.6", "CONNECT h:443 HTTP/1.1", 405),
		lineCase("TRACE", "RFC 9110 §9.3.8", "TRACE ROOT/x HTTP/1.1", 405),
		lineCase("an unknown method", "RFC 9110 §9.1", "BREW ROOT/x HTTP/1.1", 400),
		lineCase("a method in small letters", "RFC 9110 §9.1", "get ROOT/x HTTP/1.1", 400),

		good("a list in two lines", "RFC 9110 §5.3", "If-None-Match: \"a\"", "If-None-Match: \"b\"", "Accept-Encoding: a", "Accept-Encoding: b"),
		without("a Connection of 100 names", "RFC 9110 §7.6.1", "Connection: x-hop"+strings.Repeat(",a", 99), "X-Hop: 1"),
		without("other names of the override", "decision 0013", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE", "X_HTTP_Method_Override: DELETE"),

		bad("two Hosts", "§3.2", "Host: h"),
		bad("a folded line", "§5.2", "X-A: b\r\n c"),
		bad("a space before the colon", "§5.1", "X-A : b"),
		bad("a space in a name", "§5.1", "X A: b"),
		bad("an empty name", "§5.1", ": b"),
		bad("no colon", "§5", "X-A"),
		bad("a NUL", "RFC 9110 §5.5", "X-A: b\x00c"),
		bad("a bare CR", "§2.2", "X-A: b\rc"),
		bad("a bare LF", "§2.2", "X-A: b\nX-User-Id: 9"),
		bad("a look-alike name", "RFC 9110 §5.6.2", "X-Usеr-Id: 9"),
		{name: "no Host", rule: "§3.2", line: goodLine, fields: []string{"X-A: b"}, status: 400},
		{name: "Host with a path", rule: "§3.2", line: goodLine, fields: []string{"Host: h/x"}, status: 400},
		{name: "Host with userinfo", rule: "§3.2", line: goodLine, fields: []string{"Host: a@h"}, status: 400},
		{name: "Host with a comma", rule: "§3.2", line: goodLine, fields: []string{"Host: h,i"}, status: 400},

		framed("two lengths", "§6.3", "Content-Length: 1", "Content-Length: 1", "", "a"),
		framed("a list of lengths", "§6.3", "Content-Length: 1, 1", "", "a"),
		framed("a signed length", "§6.2", "Content-Length: +1", "", "a"),
		framed("a length that overflows", "§6.3", "Content-Length: 18446744073709551617", "", "a"),
		framed("length and chunks", "§6.3", "Content-Length: 5", "Transfer-Encoding: chunked", "", "0\r\n\r\n"),
		framed("chunks and length", "§6.3", "Transfer-Encoding: chunked", "Content-Length: 5", "", "0\r\n\r\n"),
		framed("another coding", "§7", "Transfer-Encoding: gzip", "", "a"),
		framed("two codings", "§6.1", "Transfer-Encoding: gzip, chunked", "", "0\r\n\r\n"),
		framed("chunked twice", "§6.1", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "", "0\r\n\r\n"),
		framed("identity", "§6.1", "Transfer-Encoding: identity", "", "a"),
		framed("xchunked", "§6.1", "Transfer-Encoding: xchunked", "", "0\r\n\r\n"),
		framed("a chunk size in 0x", "§7.1", "Transfer-Encoding: chunked", "", "0x1\r\na\r\n0\r\n\r\n"),
		framed("a signed chunk size", "§7.1", "Transfer-Encoding: chunked", "", "+1\r\na\r\n0\r\n\r\n"),
		framed("a chunk size and a space", "§7.1", "Transfer-Encoding: chunked", "", "1 \r\na\r\n0\r\n\r\n"),
		framed("a chunk that is longer", "§7.1", "Transfer-Encoding: chunked", "", "1\r\nab\r\n0\r\n\r\n"),
		framed("a chunk line ended by LF", "§2.2", "Transfer-Encoding: chunked", "", "1\na\r\n0\r\n\r\n"),
		framed("a forbidden trailer", "RFC 9110 §6.5.1", "Transfer-Encoding: chunked", "", "0\r\nContent-Length: 5\r\n\r\n"),
	}
}

// conformanceBody is a body in the way that it comes and in the way that it arrives.
type conformanceBody struct{ name, field, sent, arrives string }

func conformanceBodies() []conformanceBody {
	return []conformanceBody{
		{"no body", "", "", "\r\n"},
		{"a length", "Content-Length: 5", "hello", "Content-Length: 5\r\n\r\nhello"},
		{"one byte", "Content-Length: 1", "h", "Content-Length: 1\r\n\r\nh"},
		{"chunks", "Transfer-Encoding: chunked", "5;a=b\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n0\r\n\r\n"},
	}
}

// sent is the case as a client sends it.
func (c conformanceCase) sent(root, token string, body conformanceBody) string {
	lines := append([]string{strings.Replace(c.line, "ROOT", root, 1)}, c.fields...)
	own := ""
	if c.ownBody {
		own = lines[len(lines)-1]
		lines = lines[:len(lines)-2]
	}
	if token != "" {
		lines = append(lines, "Authorization: Bearer "+token)
	}
	if body.field != "" {
		lines = append(lines, body.field)
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n" + own + body.sent
}

// forwarded is the case as the service receives it, apart from the request id.
func (c conformanceCase) forwarded(root, token string, body conformanceBody) string {
	line := strings.Split(c.line, " ")
	method, target := line[0], c.target
	if target == "" {
		target = line[1]
	}
	lines := append([]string{method + " " + strings.Replace(target, "ROOT", root, 1) + " HTTP/1.1", "Host: h"}, c.arrives...)
	if token != "" {
		lines = append(lines, "Authorization: Bearer "+token)
	}
	lines = append(lines, "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: h", "Via: 1.1 wxgate", "X-Request-Id: ID")
	if root == "/private" {
		lines = append(lines, "X-User-Id: 1")
	}
	if body.field != "" && !slices.Contains([]string{"POST", "PUT", "PATCH"}, method) {
		lines = append(lines, "Connection: close")
	}
	text := strings.Join(lines, "\r\n") + "\r\n" + body.arrives
	return strings.ReplaceAll(text, "X-A:\r\n", "X-A: \r\n")
}

// TestRequestsConform sends every case on a fresh and on a used connection, with a token and without, with and without
// a body, and looks at the status and at every byte that arrives.
func TestRequestsConform(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, func(cfg *Config) {
		cfg.Identity.Headers = map[string]identityField{"X-User-Id": fieldID}
		allowsGetBodies(cfg)
	})
	token := e.token(t, "alice")
	cases, sent := conformanceCases(), 0
	for _, c := range cases {
		bodies := conformanceBodies()
		if c.ownBody {
			bodies = bodies[:1]
		}
		for _, body := range bodies {
			for _, root := range []string{"/public", "/private"} {
				for _, bearer := range []string{"", token} {
					for _, used := range []bool{false, true} {
						sent++
						what := fmt.Sprintf("%s (%s), %s, %s, token %v, used connection %v", c.name, c.rule, body.name, root, bearer != "", used)
						e.conform(t, service, what, c, body, root, bearer, used)
					}
				}
			}
		}
	}
	t.Logf("%d cases, %d requests", len(cases), sent)
}

var requestIDLine = regexp.MustCompile(`X-Request-Id: [\w-]{16}\r\n`)

func (e *edge) conform(t *testing.T, service *upstreamtest.Service, what string, c conformanceCase, body conformanceBody, root, token string, used bool) {
	t.Helper()
	l := e.dial(t)
	defer l.Close()
	if used {
		l.say(t, head("GET /public/before", ""))
		if resp, _ := l.answer(t); resp.StatusCode != 200 || resp.Close {
			t.Fatalf("%s: the request before it was answered %d", what, resp.StatusCode)
		}
	}
	before := len(service.Requests())
	l.say(t, c.sent(root, token, body))
	resp, text := l.answer(t)
	arrived := service.Requests()[before:]
	want := c.status
	if want == 0 && root == "/private" && token == "" {
		want = 401
	}
	if want == 0 {
		got := ""
		if len(arrived) == 1 {
			got = requestIDLine.ReplaceAllString(string(arrived[0].Raw), "X-Request-Id: ID\r\n")
		}
		if should := c.forwarded(root, token, body); resp.StatusCode != 200 || got != should {
			t.Errorf("%s: %d\narrived %q\nwant    %q", what, resp.StatusCode, got, should)
		}
		return
	}
	// Chunks that turn out broken have the refusal of their route first, if it has one.
	if c.ownBody && root == "/private" && token == "" && resp.StatusCode == 401 {
		want = 401
	}
	if resp.StatusCode != want || want >= 400 && !strings.Contains(text, `"reason":"`) {
		t.Errorf("%s: got %d %s, want %d", what, resp.StatusCode, text, want)
	}
	for _, req := range arrived {
		if !c.ownBody || strings.HasSuffix(string(req.Raw), "0\r\n\r\n") {
			t.Errorf("%s: refused, yet this arrived: %q", what, req.Raw)
		}
	}
	if want == 401 || !resp.Close && !c.closes {
		return
	}
	if rest, err := io.ReadAll(l); err != nil || len(rest) > 0 {
		t.Errorf("%s: behind the refusal came %q, %v", what, rest, err)
	}
}
