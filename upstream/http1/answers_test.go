package http1_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"wxgate/message"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

// end is what the service does after its answer.
type end int

const (
	stays  end = iota // keeps the connection open and would take another request
	closes            // FIN
	resets            // RST
)

// answerCase is one answer of a service and what becomes of it.
type answerCase struct {
	says    string // the sentence, with its RFC section
	method  string // "": GET
	answer  string
	end     end
	status  int    // of the answer that is delivered
	body    string // of it
	broken  error  // how the body ends, nil: whole
	err     error  // what Do returns instead
	renewed bool   // the next request gets a new connection
}

const (
	ok       = "HTTP/1.1 200 OK\r\n"
	ok10     = "HTTP/1.0 200 OK\r\n"
	inChunks = ok + "Transfer-Encoding: chunked\r\n\r\n"
)

func answerCases() []answerCase {
	bad, lost := http1.ErrInvalid, http1.ErrReset
	return []answerCase{
		// Good ones.
		{says: "a length delimits the body (9112 §6.2)", answer: ok + "Content-Length: 5\r\n\r\nhello", status: 200, body: "hello"},
		{says: "a length of zero is an empty body", answer: ok + "Content-Length: 0\r\n\r\n", status: 200},
		{says: "chunks delimit the body (9112 §7.1)", answer: inChunks + "5\r\nhello\r\n0\r\n\r\n", status: 200, body: "hello"},
		{says: "chunk sizes are hex in either case, leading zeros allowed", answer: inChunks + "00A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", status: 200, body: "01234567890123456789"},
		{says: "chunk extensions are ignored (9112 §7.1.1)", answer: inChunks + "5;a=b;c=\"d\"\r\nhello\r\n0;x\r\n\r\n", status: 200, body: "hello"},
		{says: "trailers are read and dropped (9110 §6.5)", answer: inChunks + "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", status: 200, body: "hello"},
		{says: "codings are case-insensitive (9112 §7)", answer: ok + "transfer-encoding: Chunked\r\n\r\n0\r\n\r\n", status: 200},
		{says: "without framing the body ends with the connection (9112 §6.3)", answer: ok + "\r\nhello", end: closes, status: 200, body: "hello", renewed: true},
		{says: "HTTP/1.0 closes unless it says keep-alive (9112 §9.3)", answer: ok10 + "Content-Length: 2\r\n\r\nhi", status: 200, body: "hi", renewed: true},
		{says: "HTTP/1.0 with keep-alive stays", answer: ok10 + "Connection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{says: "HTTP/1.0 until close", answer: ok10 + "\r\nhello", end: closes, status: 200, body: "hello", renewed: true},
		{says: "Connection: close closes (9112 §9.6)", answer: ok + "Connection: close\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi", renewed: true},
		{says: "close counts within a list and in any case", answer: ok + "Connection: X-A, CLOSE\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi", renewed: true},
		{says: "close is heeded with chunks too", answer: ok + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", status: 200, body: "hi", renewed: true},
		{says: "a 204 has no body (9110 §15.3.5)", answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
		{says: "a 204 with a length has none either, and is not trusted further", answer: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", status: 204, renewed: true},
		{says: "a 304 has no body (9110 §15.4.5)", answer: "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", status: 304},
		{says: "a 304 with chunks has none, and is not trusted further", answer: "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", status: 304, renewed: true},
		{says: "the answer to HEAD has no body (9110 §9.3.2)", method: "HEAD", answer: ok + "\r\n", status: 200},
		{says: "the answer to HEAD tells the length that GET would have", method: "HEAD", answer: ok + "Content-Length: 5\r\n\r\n", status: 200, renewed: true},
		{says: "a body after HEAD is not taken for an answer", method: "HEAD", answer: ok + "Content-Length: 5\r\n\r\nhello", status: 200, renewed: true},
		{says: "a body after 204 is not taken for an answer", answer: "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", status: 204, renewed: true},
		{says: "bytes after the body are not taken for an answer", answer: ok + "Content-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", status: 200, body: "hi", renewed: true},
		{says: "bytes after the last chunk are not taken for an answer", answer: inChunks + "2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", status: 200, body: "hi", renewed: true},
		{says: "a 100 is skipped (9110 §15.2)", answer: "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{says: "a 103 with fields is skipped, its fields too (8297)", answer: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{says: "a reason phrase may be empty (9112 §4)", answer: "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{says: "the space before an empty reason may be missing, as in the wild", answer: "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{says: "an unknown status in range passes (9110 §15)", answer: "HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n\r\nhi", status: 599, body: "hi"},
		{says: "an error answer is an answer", answer: "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nhi", status: 500, body: "hi"},
		{says: "spaces around a value are not part of it (9110 §5.5)", answer: ok + "Content-Length: \t 2 \t\r\n\r\nhi", status: 200, body: "hi"},
		{says: "a value may be empty", answer: ok + "X-Empty:\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{says: "bytes above 0x7f in a value pass (obs-text, 9110 §5.5)", answer: ok + "X-Name: \xe5\xbc\xa0\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{says: "a 5 KB cookie passes", answer: ok + "Set-Cookie: a=" + strings.Repeat("x", 5000) + "\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{says: "a body of 64 KiB is whole", answer: ok + "Content-Length: 65536\r\n\r\n" + strings.Repeat("x", 65536), status: 200, body: strings.Repeat("x", 65536)},
		{says: "a longer one is streamed, and its connection reused", answer: ok + "Content-Length: 65537\r\n\r\n" + strings.Repeat("x", 65537), status: 200, body: strings.Repeat("x", 65537)},

		{says: "two Content-Types that agree are one (9110 §8.3)", answer: ok + "Content-Type: a/b\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nhi", status: 200, body: "hi"},
		{says: "two Content-Types that do not agree are refused (9110 §8.3)", answer: ok + "Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 2\r\n\r\nhi", err: bad},

		// Bodies that are cut.
		{says: "a small body cut by FIN is an error before the client sees anything", answer: ok + "Content-Length: 5\r\n\r\nhel", end: closes, err: lost},
		{says: "a small body cut by RST too", answer: ok + "Content-Length: 5\r\n\r\nhel", end: resets, err: lost},
		{says: "a large body cut by FIN breaks off", answer: ok + "Content-Length: 70000\r\n\r\nhel", end: closes, status: 200, body: "hel", broken: lost, renewed: true},
		{says: "a chunked body cut within a chunk breaks off", answer: inChunks + "5\r\nhel", end: closes, status: 200, body: "hel", broken: lost, renewed: true},
		{says: "a chunked body cut after a chunk's data breaks off", answer: inChunks + "5\r\nhello", end: closes, status: 200, body: "hello", broken: lost, renewed: true},
		{says: "a chunked body cut between chunks breaks off", answer: inChunks + "5\r\nhello\r\n", end: closes, status: 200, body: "hello", broken: lost, renewed: true},
		{says: "a chunked body cut within a size breaks off", answer: inChunks + "5\r\nhello\r\n1", end: closes, status: 200, body: "hello", broken: lost, renewed: true},
		{says: "a chunked body cut before the final CRLF breaks off", answer: inChunks + "5\r\nhello\r\n0\r\n", end: closes, status: 200, body: "hello", broken: lost, renewed: true},
		{says: "a chunked body cut within the trailers breaks off", answer: inChunks + "5\r\nhello\r\n0\r\nX-Su", end: closes, status: 200, body: "hello", broken: lost, renewed: true},

		// Bad chunks (9112 §7.1).
		{says: "a chunk size is hex", answer: inChunks + "xyz\r\nhello\r\n0\r\n\r\n", err: bad},
		{says: "a chunk size has no 0x", answer: inChunks + "0x5\r\nhello\r\n0\r\n\r\n", err: bad},
		{says: "a chunk size has no sign", answer: inChunks + "+5\r\nhello\r\n0\r\n\r\n", err: bad},
		{says: "a chunk size is not negative", answer: inChunks + "-5\r\nhello\r\n0\r\n\r\n", err: bad},
		{says: "a chunk size is not empty", answer: inChunks + "\r\nhello\r\n0\r\n\r\n", err: bad},
		{says: "a chunk size does not overflow", answer: inChunks + "ffffffffffffffff5\r\nhello\r\n0\r\n\r\n", err: bad},
		{says: "a chunk size ends with CRLF", answer: inChunks + "5\nhello\r\n0\r\n\r\n", err: bad},
		{says: "a chunk is as long as its size says", answer: inChunks + "3\r\nhello\r\n0\r\n\r\n", status: 200, body: "hel", broken: bad, renewed: true},
		{says: "a chunk ends with CRLF", answer: inChunks + "5\r\nhello\n0\r\n\r\n", status: 200, body: "hello", broken: bad, renewed: true},
		{says: "a chunk extension does not go on for ever", answer: inChunks + "5;" + strings.Repeat("x", 20000) + "\r\nhello\r\n0\r\n\r\n", err: bad},
		{says: "a trailer is a field", answer: inChunks + "0\r\nno field\r\n\r\n", err: bad},
		{says: "trailers do not go on for ever", answer: inChunks + "0\r\n" + strings.Repeat("A: b\r\n", 300) + "\r\n", err: bad},

		// Ambiguous framing (9112 §6).
		{says: "two lengths that differ are refused (9112 §6.3)", answer: ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", err: bad},
		{says: "two equal lengths are refused", answer: ok + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", err: bad},
		{says: "a list of lengths is refused", answer: ok + "Content-Length: 5, 5\r\n\r\nhello", err: bad},
		{says: "a length with a sign is refused (9110 §8.6)", answer: ok + "Content-Length: +5\r\n\r\nhello", err: bad},
		{says: "a negative length is refused", answer: ok + "Content-Length: -5\r\n\r\nhello", err: bad},
		{says: "a hex length is refused", answer: ok + "Content-Length: 0x5\r\n\r\nhello", err: bad},
		{says: "a length that overflows is refused", answer: ok + "Content-Length: 18446744073709551621\r\n\r\nhello", err: bad},
		{says: "an empty length is refused", answer: ok + "Content-Length:\r\n\r\nhello", err: bad},
		{says: "a length beside chunks is refused (9112 §6.3)", answer: ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", err: bad},
		{says: "chunks beside a length are refused", answer: ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", err: bad},
		{says: "a coding that is not known is refused (9112 §6.1)", answer: ok + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", err: bad},
		{says: "gzip as a transfer coding is refused", answer: ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", err: bad},
		{says: "identity is no coding any more (9112 §7)", answer: ok + "Transfer-Encoding: identity\r\n\r\nhello", err: bad},
		{says: "chunked twice is refused", answer: ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", err: bad},
		{says: "chunks in HTTP/1.0 are refused (9112 §6.1)", answer: ok10 + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", err: bad},

		// Heads that are none.
		{says: "garbage is refused, though the connection stays open", answer: "garbage", err: bad},
		{says: "HTML is refused", answer: "<html>no</html>", end: closes, err: bad},
		{says: "an HTTP/2 preface is refused", answer: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", err: bad},
		{says: "HTTP/2 frames are refused", answer: "\x00\x00\x12\x04\x00\x00\x00\x00\x00", err: bad},
		{says: "the name is HTTP in capitals (9112 §2.3)", answer: "http/1.1 200 OK\r\n\r\n", err: bad},
		{says: "HTTP/2.0 is refused", answer: "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "HTTP/1.2 is refused", answer: "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a status has three digits (9112 §4)", answer: "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a status has not four digits", answer: "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a status is a number", answer: "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a status is at least 100 (9110 §15)", answer: "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a status is below 600", answer: "HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "one space follows the version", answer: "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "an empty line before the status line is refused", answer: "\r\nHTTP/1.1 200 OK\r\n\r\n", err: bad},
		{says: "a control byte in the reason is refused", answer: "HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "lines that end with a bare LF are refused (9112 §2.2)", answer: "HTTP/1.1 200 OK\nContent-Length: 0\n\n", err: bad},
		{says: "one bare LF is refused", answer: ok + "X-A: b\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a bare CR in a value is refused (9112 §2.2)", answer: ok + "X-A: b\rc\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a NUL in a value is refused (9110 §5.5)", answer: ok + "X-A: b\x00c\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a DEL in a value is refused", answer: ok + "X-A: b\x7fc\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a folded line is refused (9112 §5.2)", answer: ok + "X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a folded first line is refused", answer: ok + " X-A: b\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a space before the colon is refused (9112 §5.1)", answer: ok + "Content-Length : 0\r\n\r\n", err: bad},
		{says: "a space in a name is refused", answer: ok + "X A: b\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "an empty name is refused", answer: ok + ": b\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a line without a colon is refused", answer: ok + "nonsense\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "a name above 0x7f is refused", answer: ok + "X-\xe5: b\r\nContent-Length: 0\r\n\r\n", err: bad},
		{says: "an endless line is refused", answer: ok + "X-A: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", err: bad},
		{says: "a head of a megabyte is refused", answer: ok + strings.Repeat("X-A: "+strings.Repeat("x", 8000)+"\r\n", 128) + "\r\n", err: bad},
		{says: "twenty thousand fields are refused", answer: ok + strings.Repeat("A: b\r\n", 20000) + "\r\n", err: bad},
		{says: "a 101 that nobody asked for is refused (9110 §15.2.2)", answer: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", err: bad},
		{says: "interim answers do not go on for ever", answer: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 50) + ok + "Content-Length: 0\r\n\r\n", err: bad},

		// No answer, or half of one.
		{says: "FIN instead of an answer is a lost connection", answer: "", end: closes, err: lost},
		{says: "RST instead of an answer is a lost connection", answer: "", end: resets, err: lost},
		{says: "half a status line is a lost connection", answer: "HTTP/1.1 2", end: closes, err: lost},
		{says: "half a head is a lost connection", answer: ok + "Content-Le", end: closes, err: lost},
		{says: "a head without its empty line is a lost connection", answer: ok + "Content-Length: 0\r\n", end: closes, err: lost},
		{says: "an interim answer alone is a lost connection", answer: "HTTP/1.1 100 Continue\r\n\r\n", end: closes, err: lost},
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range answerCases() {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

// TestABodyThatDoesNotBegin ends a connection right behind a head: that is an error when it is seen in time, and else a
// body that breaks off.
func TestABodyThatDoesNotBegin(t *testing.T) {
	t.Parallel()
	for _, head := range []string{inChunks, ok + "Content-Length: 70000\r\n\r\n"} {
		u := newClient(t, serveOnce(t, head, closes).URL)
		var resp message.Response
		_, err := u.Do(newRequest("GET", "/"), &resp, soon())
		if err == nil {
			_, err = readBody(&resp)
		}
		if !errors.Is(err, http1.ErrReset) {
			t.Errorf("%q: got %v, want a lost connection", head, err)
		}
	}
}

func (c answerCase) run(t *testing.T) {
	service := serveOnce(t, c.answer, c.end)
	u := newClient(t, service.URL)
	if c.method == "" {
		c.method = "GET"
	}
	var resp message.Response
	_, err := u.Do(newRequest(c.method, "/"), &resp, soon())
	if c.err != nil {
		wantError(t, err, c.err)
		wantEmpty(t, &resp)
		c.renewed = true
	} else if err != nil {
		t.Fatalf("answer %.200q: %v", c.answer, err)
	} else {
		c.wantAnswer(t, &resp)
	}
	if next := get(t, u, "/next"); string(next.Body) != "next" {
		t.Errorf("the next answer is %q, want %q", next.Body, "next")
	}
	if got, want := service.Conns(), map[bool]int{false: 1, true: 2}[c.renewed]; got != want {
		t.Errorf("after %.200q the service has %d connections, want %d", c.answer, got, want)
	}
}

func (c answerCase) wantAnswer(t *testing.T, resp *message.Response) {
	if got := resp.Status; got != c.status {
		t.Errorf("status is %d, want %d", got, c.status)
	}
	body, err := readBody(resp)
	if string(body) != c.body {
		t.Errorf("body is %.100q (%d bytes), want %.100q (%d bytes)", body, len(body), c.body, len(c.body))
	}
	if errors.Is(err, io.EOF) {
		t.Errorf("the body ends with %v, which passes for its end", err)
	}
	if c.broken == nil && err != nil || c.broken != nil && !errors.Is(err, c.broken) {
		t.Errorf("the body ends with %v, want %v", err, c.broken)
	}
}

// readBody reads a body to its end and closes it.
func readBody(resp *message.Response) ([]byte, error) {
	if resp.Stream == nil {
		return resp.Body, nil
	}
	defer func() { _ = resp.Stream.Close() }()
	return readStream(resp.Stream)
}

// readStream reads a body to its end; the error is nil when it was whole.
func readStream(s message.Stream) (body []byte, err error) {
	for {
		part, err := s.Next()
		if err == io.EOF { //nolint:errorlint // a wrapped one is no end
			return body, nil
		}
		if err != nil {
			return body, err
		}
		if len(part) == 0 {
			return body, errors.New("an empty part")
		}
		body = append(body, part...)
	}
}

type onlyReader struct{ io.Reader }

func wantEmpty(t *testing.T, resp *message.Response) {
	t.Helper()
	if resp.Status != 200 || len(resp.Reason) != 0 || len(resp.Body) != 0 || resp.Fields.Len() != 0 || resp.Stream != nil || resp.Bodiless {
		t.Errorf("after an error the answer is %+v, want an empty one", resp)
	}
}

// serveOnce answers the first request of all with the given bytes, and every later one with "next".
func serveOnce(t *testing.T, answer string, then end) *upstreamtest.Service {
	var service *upstreamtest.Service
	ready := make(chan struct{})
	service = upstreamtest.Raw(t, func(conn net.Conn, n int) {
		<-ready
		br := bufio.NewReader(conn)
		for first := n == 1; ; first = false {
			if _, err := service.Receive(br, n); err != nil {
				return
			}
			if !first {
				_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "next"))
				continue
			}
			_, _ = io.WriteString(conn, answer)
			switch then {
			case stays:
			case closes:
				return
			case resets:
				upstreamtest.Reset(conn)
				return
			}
		}
	})
	close(ready)
	return service
}
