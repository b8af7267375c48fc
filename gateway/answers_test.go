package gateway

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wxgate/upstream/upstreamtest"
)

// answerCase is what a service says to a GET, to the byte, and what its client gets. Sections are of RFC 9112 unless they
// name another. What is not said here holds for all: Date, unless the service has one, and X-Request-Id are ours, the client's connection goes on unless
// the answer is cut or the client is one of HTTP/1.0, and nobody but a case that says so ends the service's connection.
type answerCase struct {
	rule   string
	says   string // by the service
	end    string // of the service's connection behind it: "" stays, "fin", "rst"
	status int
	fields string // the fields that the client gets, framing apart, one a line
	body   string
	cut    bool // the answer breaks off, for all to see
	reused bool // the service's connection serves the next request; after HEAD it need not
	head   int  // the status of the answer to HEAD; 0: as for GET

	again   bool // on a used connection a GET or HEAD goes once more, on a new one
	poisons bool // bytes follow that nobody asked for: behind content they mark the upstream
}

const (
	answerOK    = "HTTP/1.1 200 OK\r\n"
	answerOld   = "HTTP/1.0 200 OK\r\n"
	hi          = "Content-Length: 2\r\n\r\nhi"
	poison      = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	answerChunk = answerOK + "Transfer-Encoding: chunked\r\n\r\n"
)

// passes is a case of an answer whose fields are lines, and of which the client gets fields.
func passes(rule, lines, fields string) answerCase {
	return answerCase{rule: rule, says: answerOK + lines + hi, status: 200, fields: fields, body: "hi", reused: true}
}

// refuses is a case of an answer that becomes 502.
func refuses(rule, says string) answerCase { return answerCase{rule: rule, says: says, status: 502} }

// breaks is a case of a body of which the client gets a part.
func breaks(rule, says, end, body string) answerCase {
	return answerCase{rule: rule, says: says, end: end, status: 200, body: body, cut: true}
}

func answerCases() []answerCase {
	long := strings.Repeat("0123456789abcdef", 5000)
	return []answerCase{
		// Framing.
		passes("a length delimits the body (§6.2)", "", ""),
		{rule: "a length of zero is an empty body (§6.2)", says: answerOK + "Content-Length: 0\r\n\r\n", status: 200, reused: true},
		{rule: "a long body streams (§6.2)", says: answerOK + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(long)) + long, status: 200, body: long, reused: true},
		{rule: "chunks delimit the body (§7.1)", says: answerChunk + "2\r\nhi\r\n1\r\n!\r\n0\r\n\r\n", status: 200, body: "hi!", reused: true},
		{rule: "no chunk but the last is an empty body (§7.1)", says: answerChunk + "0\r\n\r\n", status: 200, reused: true},
		{rule: "extensions are not passed on (§7.1.1)", says: answerChunk + "2;a=\"b\"\r\nhi\r\n0;c\r\n\r\n", status: 200, body: "hi", reused: true},
		{rule: "trailers are not passed on (RFC 9110 §6.5.1)", says: answerOK + "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n", status: 200, body: "hi", reused: true},
		{rule: "codings have no case (§7)", says: answerOK + "transfer-encoding: CHUNKED\r\n\r\n2\r\nhi\r\n0\r\n\r\n", status: 200, body: "hi", reused: true},
		{rule: "the end of the connection ends the body (§6.3)", says: answerOK + "\r\nhi", end: "fin", status: 200, body: "hi"},
		{rule: "an empty body that ends with the connection (§6.3)", says: answerOK + "\r\n", end: "fin", status: 200},
		{rule: "close ends the connection, not the client's (§9.6)", says: answerOK + "Connection: close\r\n" + hi, status: 200, body: "hi"},
		{rule: "close in a list (RFC 9110 §7.6.1)", says: answerOK + "Connection: foo, Close\r\n" + hi, status: 200, body: "hi"},
		{rule: "close with chunks (§9.6)", says: answerOK + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", status: 200, body: "hi"},
		{rule: "HTTP/1.0 closes (§9.3)", says: answerOld + hi, status: 200, body: "hi"},
		{rule: "HTTP/1.0 with keep-alive stays (§9.3)", says: answerOld + "Connection: keep-alive\r\n" + hi, status: 200, body: "hi", reused: true},
		{rule: "HTTP/1.0 until close (§6.3)", says: answerOld + "\r\nhi", end: "fin", status: 200, body: "hi"},
		{rule: "a 204 has no body (§6.3)", says: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, reused: true},
		{rule: "a 204 has no length (RFC 9110 §8.6)", says: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", status: 204, reused: true},
		{rule: "a 304 has no body (§6.3)", says: "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", status: 304, fields: "ETag: \"a\"", reused: true},

		// What must not poison the next answer.
		{rule: "bytes behind a body (§9.2)", says: answerOK + hi + poison, status: 200, body: "hi", poisons: true},
		{rule: "bytes behind the last chunk (§9.2)", says: answerChunk + "2\r\nhi\r\n0\r\n\r\n" + poison, status: 200, body: "hi", poisons: true},
		{rule: "a body behind a 204 (§6.3)", says: "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi", status: 204},
		{rule: "an answer behind a 204 (§9.2)", says: "HTTP/1.1 204 No Content\r\n\r\n" + poison, status: 204, poisons: true},
		{rule: "chunks behind a 304 (§6.3)", says: "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", status: 304},
		{rule: "a length of an empty body that comes all the same (§9.2)", says: answerOK + "Content-Length: 0\r\n\r\nhi", status: 200, poisons: true},

		// Interim answers.
		{rule: "a 100 is not the answer (RFC 9110 §15.2)", says: "HTTP/1.1 100 Continue\r\n\r\n" + answerOK + hi, status: 200, body: "hi", reused: true},
		{rule: "a 103 is not the answer (RFC 8297)", says: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answerOK + hi, status: 200, body: "hi", reused: true},
		refuses("a 101 that nobody asked for (RFC 9110 §15.2.2)", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
		refuses("interim answers without an end", strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 20)+answerOK+hi),

		// The status line.
		{rule: "a reason phrase of the service's own (§4)", says: "HTTP/1.1 200 Fine\r\n" + hi, status: 200, body: "hi", reused: true},
		{rule: "an empty reason phrase (§4)", says: "HTTP/1.1 200 \r\n" + hi, status: 200, body: "hi", reused: true},
		{rule: "an error of the service is its answer (RFC 9110 §15)", says: "HTTP/1.1 500 Oops\r\n" + hi, status: 500, body: "hi", reused: true},
		{rule: "a 401 of the service is its answer (RFC 9110 §15)", says: "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\n" + hi, status: 401, fields: "WWW-Authenticate: Basic", body: "hi", reused: true},
		{rule: "a status of nobody (RFC 9110 §15)", says: "HTTP/1.1 299 Odd\r\n" + hi, status: 299, body: "hi", reused: true},
		{rule: "a redirect is not followed (RFC 9110 §15.4)", says: "HTTP/1.1 302 Found\r\nLocation: /b\r\n" + hi, status: 302, fields: "Location: /b", body: "hi", reused: true},
		refuses("a status of two digits (§4)", "HTTP/1.1 20 OK\r\n"+hi),
		refuses("a status of four digits (§4)", "HTTP/1.1 2000 OK\r\n"+hi),
		refuses("a status above 599 (RFC 9110 §15)", "HTTP/1.1 600 OK\r\n"+hi),
		refuses("a status below 100 (RFC 9110 §15)", "HTTP/1.1 099 OK\r\n"+hi),
		refuses("HTTP/2.0 (§2.3)", "HTTP/2.0 200 OK\r\n"+hi),
		refuses("HTTP/1.2 (§2.3)", "HTTP/1.2 200 OK\r\n"+hi),
		refuses("a version in small letters (§2.3)", "http/1.1 200 OK\r\n"+hi),
		refuses("no status line (§4)", "hi there\r\n\r\n"),
		refuses("a NUL in the reason (§4)", "HTTP/1.1 200 O\x00K\r\n"+hi),
		refuses("a status line ended by LF (§2.2)", "HTTP/1.1 200 OK\n"+hi),

		// Fields.
		passes("an end-to-end field keeps its case (RFC 9110 §5.1)", "x-oWn: 1\r\n", "x-oWn: 1"),
		passes("several Set-Cookie stay apart (RFC 6265 §3)", "Set-Cookie: a=1\r\nSet-Cookie: a=2; Path=/\r\nSet-Cookie: b=3\r\n", "Set-Cookie: a=1\nSet-Cookie: a=2; Path=/\nSet-Cookie: b=3"),
		passes("lines of one name keep their order (RFC 9110 §5.3)", "Vary: a\r\nLink: </1>\r\nVary: b\r\nLink: </2>\r\n", "Vary: a\nLink: </1>\nVary: b\nLink: </2>"),
		passes("the service's Via stays (RFC 9110 §7.6.3)", "Via: 1.1 a\r\nVia: 1.0 b\r\n", "Via: 1.1 a\nVia: 1.0 b"),
		passes("several challenges (RFC 9110 §11.6.1)", "WWW-Authenticate: Basic\r\nWWW-Authenticate: Bearer\r\n", "WWW-Authenticate: Basic\nWWW-Authenticate: Bearer"),
		passes("Content-Type passes (RFC 9110 §8.3)", "Content-Type: text/html; charset=gbk\r\n", "Content-Type: text/html; charset=gbk"),
		passes("no Content-Type is invented (RFC 9110 §8.3)", "", ""),
		passes("two Content-Types that agree (RFC 9110 §8.3)", "Content-Type: a/b\r\nContent-Type: a/b\r\n", "Content-Type: a/b"),
		refuses("two Content-Types that do not (RFC 9110 §8.3)", answerOK+"Content-Type: a/b\r\ncontent-type: c/d\r\n"+hi),
		passes("two Content-Encodings are a list (RFC 9110 §5.3)", "Content-Encoding: gzip\r\nContent-Encoding: br\r\n", "Content-Encoding: gzip\nContent-Encoding: br"),
		passes("the service's Server passes (RFC 9110 §10.2.4)", "Server: nginx\r\n", "Server: nginx"),
		passes("two Servers are both heard (RFC 9110 §10.2.4)", "Server: a/1\r\nServer: b/2\r\n", "Server: a/1\nServer: b/2"),
		passes("a body of nothing known is not changed", "Content-Encoding: odd\r\nCache-Control: no-transform\r\n", "Content-Encoding: odd\nCache-Control: no-transform"),
		passes("fields of the connection end here (RFC 9110 §7.6.1)", "Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nTE: a\r\nUpgrade: h2c\r\nX-A: 1\r\n", "X-A: 1"),
		passes("a service's request id is not ours", "X-Request-Id: theirs\r\nx-request-id: theirs\r\n", ""),
		passes("a service's reason is not ours", "X-Wxgate-Reason: token_missing\r\nx-wxgate-reason: theirs\r\n", ""),
		passes("a service's Date passes (RFC 9110 §6.6.1)", "Date: Mon, 01 Jan 2001 00:00:00 GMT\r\n", "Date: Mon, 01 Jan 2001 00:00:00 GMT"),
		passes("obs-text in a value (RFC 9110 §5.5)", "X-A: \xe5\x80\r\n", "X-A: \xe5\x80"),
		passes("white space around a value (RFC 9110 §5.5)", "X-A: \t b \t\r\n", "X-A: b"),
		refuses("a folded line (§5.2)", answerOK+"X-A: b\r\n c\r\n"+hi),
		passes("white space before the colon goes (§5.1)", "X-A : b\r\nX-B\t \t: c\r\n", "X-A: b\nX-B: c"),
		refuses("a space before the colon of a length (§6.3)", answerOK+"Content-Length : 2\r\n\r\nhi"),
		refuses("a space before the colon of a coding (§6.1)", answerOK+"Transfer-Encoding : chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
		refuses("a space within a name (§5.1)", answerOK+"X A: b\r\n"+hi),
		refuses("a blank before the first name (§2.2)", answerOK+" X-A: b\r\n"+hi),
		refuses("an empty name (§5)", answerOK+": b\r\n"+hi),
		refuses("no colon (§5)", answerOK+"X-A\r\n"+hi),
		refuses("a NUL in a value (RFC 9110 §5.5)", answerOK+"X-A: b\x00c\r\n"+hi),
		refuses("a bare CR in a value (§2.2)", answerOK+"X-A: b\rSet-Cookie: c\r\n"+hi),
		refuses("a line ended by LF (§2.2)", answerOK+"X-A: b\nSet-Cookie: c=1\r\n"+hi),
		passes("a line of 16,384 bytes", "X-A: "+strings.Repeat("b", 16_379)+"\r\n", "X-A: "+strings.Repeat("b", 16_379)),
		passes("a line of 60,000 bytes", "X-A: "+strings.Repeat("b", 59_995)+"\r\n", "X-A: "+strings.Repeat("b", 59_995)),
		refuses("a line of 66,000 bytes", answerOK+"X-A: "+strings.Repeat("b", 66_000)+"\r\n"+hi),
		refuses("a head of a megabyte", answerOK+strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 1000)+"\r\n"),
		refuses("20,000 fields", answerOK+strings.Repeat("X-A: b\r\n", 20_000)+"\r\n"),

		// Framing that can be read in two ways (§6.3).
		refuses("two lengths (§6.3)", answerOK+"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!"),
		refuses("two equal lengths (§6.3)", answerOK+"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi"),
		refuses("a list of lengths (§6.3)", answerOK+"Content-Length: 2, 2\r\n\r\nhi"),
		refuses("a signed length (§6.2)", answerOK+"Content-Length: +2\r\n\r\nhi"),
		refuses("a length that is none (§6.2)", answerOK+"Content-Length: two\r\n\r\nhi"),
		refuses("a length that overflows (§6.2)", answerOK+"Content-Length: 18446744073709551618\r\n\r\nhi"),
		refuses("length and chunks (§6.3)", answerOK+"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
		refuses("another coding (§7)", answerOK+"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
		refuses("identity (§7)", answerOK+"Transfer-Encoding: identity\r\n\r\nhi"),
		refuses("chunked twice (§6.1)", answerOK+"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
		refuses("chunks in HTTP/1.0 (§6.1)", answerOld+"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),

		// Bodies that are cut, and chunks that are none: never a whole 200.
		{rule: "a short body that is cut", says: answerOK + "Content-Length: 5\r\n\r\nhi", end: "fin", status: 502, head: 200},
		{rule: "a short body that is reset", says: answerOK + "Content-Length: 5\r\n\r\nhi", end: "rst", status: 502, head: 200},
		{rule: "a chunk size that is none, at once (§7.1)", says: answerChunk + "xyz\r\nhi\r\n0\r\n\r\n", status: 502, head: 200},
		breaks("a long body that is cut (§8)", answerOK+"Content-Length: 70000\r\n\r\nhi", "fin", "hi"),
		breaks("a chunk that is cut (§8)", answerChunk+"5\r\nhi", "fin", "hi"),
		breaks("a cut between chunks (§8)", answerChunk+"2\r\nhi\r\n", "fin", "hi"),
		breaks("a cut before the last line (§8)", answerChunk+"2\r\nhi\r\n0\r\n", "fin", "hi"),
		breaks("a reset between chunks (§8)", answerChunk+"2\r\nhi\r\n", "rst", "hi"),
		breaks("a chunk that is longer (§7.1)", answerChunk+"2\r\nhi!\r\n0\r\n\r\n", "", "hi"),
		breaks("a later size that is none (§7.1)", answerChunk+"2\r\nhi\r\n0x2\r\nhi\r\n0\r\n\r\n", "", "hi"),
		breaks("a size that overflows (§7.1)", answerChunk+"2\r\nhi\r\nfffffffffffffffff\r\nhi\r\n", "", "hi"),
		breaks("a trailer that is none (§7.1.2)", answerChunk+"2\r\nhi\r\n0\r\nno field\r\n\r\n", "", "hi"),

		// No answer, or half of one.
		{rule: "no answer", says: "", end: "fin", status: 502, again: true},
		{rule: "a reset", says: "", end: "rst", status: 502, again: true},
		{rule: "half a status line", says: "HTTP/1.1 2", end: "fin", status: 502},
		{rule: "half a head", says: answerOK + "Content-", end: "fin", status: 502},
		{rule: "an interim answer alone", says: "HTTP/1.1 100 Continue\r\n\r\n", end: "fin", status: 502},
	}
}

// scripted runs a service that says the case whose number its path ends with, and "next" to every other request.
func scripted(t *testing.T, cases []answerCase) *upstreamtest.Service {
	t.Helper()
	var s *upstreamtest.Service
	ready := make(chan struct{})
	s = upstreamtest.Raw(t, func(conn net.Conn, n int) {
		<-ready
		br := bufio.NewReader(conn)
		for {
			req, err := s.Receive(br, n)
			if err != nil {
				return
			}
			i, err := strconv.Atoi(req.Target[strings.LastIndexByte(req.Target, '/')+1:])
			if err != nil {
				_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "next"))
				continue
			}
			_, _ = io.WriteString(conn, cases[i].says)
			switch cases[i].end {
			case "fin":
				return
			case "rst": // Linux still lets the gateway read what was said before it
				upstreamtest.Reset(conn)
				return
			}
		}
	})
	close(ready)
	return s
}

// way is how a case is asked for.
type way struct {
	method, version string
	used            bool // on a connection of the service that has served before
}

func (w way) String() string { return fmt.Sprintf("%s HTTP/%s, used %v", w.method, w.version, w.used) }

func ways() (all []way) {
	for _, method := range []string{"GET", "HEAD", "POST"} {
		for _, version := range []string{"1.1", "1.0"} {
			all = append(all, way{method, version, false}, way{method, version, true})
		}
	}
	return all
}

// got is an answer as it came to the client.
type got struct {
	status int
	fields []string // without Date, X-Request-Id and framing
	ours   int      // how many Date and X-Request-Id there were, whoever set the Date
	body   string
	framed string // "length", "chunked", "close" or "none"
	cut    bool
	open   bool // the connection took another request
}

func (g got) String() string {
	return fmt.Sprintf("%d %q %.100q, framed %q, cut %v, open %v, %d of ours", g.status, g.fields, g.body, g.framed, g.cut, g.open, g.ours)
}

// TestAnswersConform sends every case through the gateway in every way, and looks at every byte that the client gets.
func TestAnswersConform(t *testing.T) {
	t.Parallel()
	cases := answerCases()
	service := scripted(t, cases)
	e := newEdge(t, service.URL, nil)
	token := e.token(t, "alice") // a connection that has carried content goes on with the same user at once
	n := 0
	for i, c := range cases {
		to, as := e, token
		if c.poisons {
			to = newEdge(t, service.URL, nil)
			as = to.token(t, "alice")
		}
		for _, w := range ways() {
			n++
			to.conformAnswer(t, service, as, i, c, w)
		}
	}
	t.Logf("%d cases, %d answers", len(cases), n)
}

func (e *edge) conformAnswer(t *testing.T, service *upstreamtest.Service, token string, i int, c answerCase, w way) {
	t.Helper()
	service.CloseConns()
	eventually(t, "the service has no connections", func() bool { return service.OpenConns() == 0 })
	what := fmt.Sprintf("%s: %s", c.rule, w)
	before := e.next(t, token)
	if !w.used {
		service.CloseConns()
	}
	g := e.ask(t, token, w, i)
	after := e.next(t, token)
	requests := service.Requests()
	first, conn, next := requests[len(requests)-before-after-1].Conn, requests[len(requests)-after-1].Conn, requests[len(requests)-1].Conn
	if again := c.again && w.method != "POST"; (first == conn) != (w.used && !again) {
		t.Fatalf("%s: served by connection %d after %d", what, conn, first)
	}
	want := got{status: c.status, body: c.body, cut: c.cut, open: w.version == "1.1" && !c.cut}
	if c.fields != "" {
		want.fields = strings.Split(c.fields, "\n")
	}
	if w.method == "HEAD" {
		want.body, want.cut, want.open = "", false, w.version == "1.1"
		if c.head != 0 {
			want.status = c.head
		}
	}
	if want.status == 502 {
		if !strings.Contains(g.body, `"reason":"upstream_`) && w.method != "HEAD" {
			t.Errorf("%s: %q is no envelope", what, g.body)
		}
		g.body, g.fields = "", nil
	}
	if g.status != want.status || !slices.Equal(g.fields, want.fields) || g.body != want.body || g.cut != want.cut || g.open != want.open || g.ours != 2 {
		t.Errorf("%s:\n got %s\nwant %s", what, g, want)
	}
	if w.version == "1.0" && g.framed == "chunked" {
		t.Errorf("%s: chunks for HTTP/1.0", what)
	}
	if reused := conn == next; reused && !c.reused || !reused && c.reused && w.method != "HEAD" { // a body that was announced to HEAD might come
		t.Errorf("%s: the service's connection is reused %v, want %v", what, reused, c.reused)
	}
}

// next asks for an innocent answer and returns 1, the number of requests it took.
func (e *edge) next(t *testing.T, token string) int {
	t.Helper()
	if resp, body := e.send(t, head("GET /private/next", token)); resp.StatusCode != 200 || body != "next" {
		t.Errorf("an innocent request was answered %d %.100q", resp.StatusCode, body)
	}
	return 1
}

// ask asks for a case and reads its answer.
func (e *edge) ask(t *testing.T, token string, w way, i int) got {
	t.Helper()
	l := e.dial(t)
	defer l.Close()
	raw := fmt.Sprintf("%s /private/%d HTTP/%s\r\nHost: h\r\nAuthorization: Bearer %s\r\n", w.method, i, w.version, token)
	if w.method == "POST" {
		raw += "Content-Length: 2\r\n\r\n{}"
	} else {
		raw += "\r\n"
	}
	l.say(t, raw)
	var g got
	line, err := l.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 ") {
		t.Fatalf("case %d, %s: got %q, %v, want a status line of HTTP/1.1", i, w, line, err)
	}
	g.status, _ = strconv.Atoi(line[9:12])
	length := g.readFields(t, l)
	var body []byte
	switch {
	case w.method == "HEAD" || g.status == 204 || g.status == 304:
		g.framed = "none"
	case g.framed == "chunked":
		body, err = io.ReadAll(httputil.NewChunkedReader(l.Reader))
		if _, end := l.ReadString('\n'); err == nil && end != nil {
			err = end
		}
	case g.framed == "length":
		body = make([]byte, length)
		var n int
		n, err = io.ReadFull(l, body)
		body = body[:n]
	default:
		body, err = io.ReadAll(l)
	}
	g.body, g.cut = string(body), err != nil
	if g.framed == "close" {
		return g
	}
	_, _ = io.WriteString(l.Conn, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
	line, err = l.ReadString('\n')
	g.open = err == nil && line == "HTTP/1.1 200 OK\r\n"
	if line != "" && !g.open {
		t.Errorf("case %d, %s: behind the answer came %q", i, w, line)
	}
	return g
}

// readFields reads the fields of a head and finds its framing.
func (g *got) readFields(t *testing.T, l line) (length int) {
	t.Helper()
	g.framed = "close"
	for {
		text, err := l.ReadString('\n')
		if err != nil || !strings.HasSuffix(text, "\r\n") {
			t.Fatalf("in the head came %q and %v", text, err)
		}
		text = strings.TrimSuffix(text, "\r\n")
		name, value, _ := strings.Cut(text, ": ")
		switch strings.ToLower(name) {
		case "":
			return length
		case "date", "x-request-id":
			if value == "theirs" {
				t.Errorf("%s is the service's", text)
			}
			if strings.Contains(value, "2001") {
				g.fields = append(g.fields, text)
			}
			g.ours++
		case "content-length":
			g.framed = "length"
			if length, err = strconv.Atoi(value); err != nil {
				t.Fatal(err)
			}
		case "transfer-encoding":
			g.framed = "chunked"
		case "connection":
		default:
			g.fields = append(g.fields, text)
		}
	}
}

// TestACutAnswerIsSeenByOldClientsToo is about answers that only the end of the connection delimits: that end is a reset.
func TestACutAnswerIsSeenByOldClientsToo(t *testing.T) {
	t.Parallel()
	for _, c := range answerCases() {
		if !c.cut || !strings.HasPrefix(c.says, answerChunk) {
			continue
		}
		cases := []answerCase{c}
		e := newEdge(t, scripted(t, cases).URL, nil)
		l := e.dial(t)
		l.say(t, "GET /public/0 HTTP/1.0\r\nHost: h\r\n\r\n")
		if all, err := io.ReadAll(l); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: got %q and %v, want an error", c.rule, all, err)
		}
	}
}
