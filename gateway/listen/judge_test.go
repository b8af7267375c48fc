package listen_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/gateway/wire"
	"wxgate/gateway/wire/wiretest"
	"wxgate/message"
)

const (
	get  = "GET /a HTTP/1.1\r\nHost: h\r\n"
	post = "POST /a HTTP/1.1\r\nHost: h\r\n"
	end  = "\r\n"

	chunkedHead = post + "Transfer-Encoding: chunked\r\n\r\n"
)

// script is a client that sends its pieces, one a read, and then ends.
type script struct {
	net.Conn
	pieces []string
	answer strings.Builder
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; s.pieces[0] == "" {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *script) Write(p []byte) (int, error)      { return s.answer.Write(p) }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) Close() error                     { return nil }

// verdict is what a handler gets from a connection.
type verdict struct {
	requests string // all of them, with their bodies
	count    int
	reason   wire.Reason
	inBody   bool // the last of them was not complete
}

// recorder is a Handler that reads bodies with a buffer of size bytes, and notes what it gets. It answers a request once
// it is complete.
type recorder struct {
	verdict

	t    testing.TB
	size int
}

func (r *recorder) Serve(c *listen.Conn) {
	req := message.Request{Content: []byte("of an earlier one")}
	c.ReadRequest(&req)
	head := describe(&req)
	body, err := readBody(req.Body, r.size)
	if now := describe(&req); now != head {
		r.t.Errorf("reading the body made %q of the head %q", now, head)
	}
	r.count++
	r.requests += fmt.Sprintf("%s%q\n", head, body)
	var fault *wire.MalformedError
	switch {
	case err == nil:
		answer(c, 200, "fine")
		return
	case errors.As(err, &fault):
		r.reason = fault.Reason
	case !errors.Is(err, io.ErrUnexpectedEOF):
		r.t.Errorf("reading a body: %v, want an end or a verdict", err)
	}
	r.inBody = true
}

func (r *recorder) Refuse(_ *listen.Conn, fault *wire.MalformedError) { r.reason = fault.Reason }

// readBody reads a body, which may be nil, to its end.
func readBody(body io.Reader, size int) (got []byte, err error) {
	if body == nil {
		return nil, nil
	}
	for buf := make([]byte, size); ; {
		n, err := body.Read(buf)
		got = append(got, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
	}
}

// describe is the head of a request.
func describe(req *message.Request) string {
	text := fmt.Sprintf("%s %s, host %q, HTTP/1.0 %v, %d bytes, content %q\n", req.Method, req.Target, req.Host, req.Version == "1.0", req.Length, req.Content)
	for name, value := range req.Fields.All() {
		text += fmt.Sprintf("%q: %q\n", name, value)
	}
	return text
}

// naively reads what a judge lets pass, up to most requests, as a verdict. It believes every byte. ends are where the
// requests end. A request after which the connection ends is the last one.
func naively(in string, most int) (v verdict, ends []int) {
	for rest := in; rest != "" && rest != end && v.count < most && !v.inBody; {
		head, body, _ := strings.Cut(strings.TrimPrefix(rest, end), end+end)
		lines := strings.Split(head, end)
		first := strings.Split(lines[0], " ")
		req := message.Request{Method: first[0], Target: []byte(first[1]), Version: strings.TrimPrefix(first[2], "HTTP/")}
		stays := req.Version != "1.0"
		for _, line := range lines[1:] {
			name, value, _ := strings.Cut(line, ":")
			value = strings.Trim(value, " \t")
			req.Fields.Add(name, value)
			switch strings.ToLower(name) {
			case "host":
				req.Host = []byte(value)
			case "content-length":
				req.Length, _ = strconv.ParseInt(value, 10, 64)
			case "transfer-encoding":
				req.Length = -1
			}
		}
		var options []string
		for value := range req.Fields.Values("Connection") {
			for option := range strings.SplitSeq(string(value), ",") {
				options = append(options, strings.ToLower(strings.Trim(option, " \t")))
			}
		}
		stays = contains(options, "keep-alive") || stays
		stays = stays && !contains(options, "close")
		content, after, whole := contentOf(body, req.Length)
		v.requests += fmt.Sprintf("%s%q\n", describe(&req), content)
		v.count++
		v.inBody = !whole
		ends = append(ends, len(in)-len(after))
		if rest = after; !stays {
			break
		}
	}
	return v, ends
}

func contains(options []string, option string) bool {
	for _, o := range options {
		if o == option {
			return true
		}
	}
	return false
}

// contentOf takes a body with that length, -1 for chunks, from the front of in.
func contentOf(in string, length int64) (content, after string, whole bool) {
	if length >= 0 {
		n := min(length, int64(len(in)))
		return in[:n], in[n:], n == length
	}
	for {
		line, rest, found := strings.Cut(in, end)
		digits, _, _ := strings.Cut(line, ";")
		size, _ := strconv.ParseInt(digits, 16, 64)
		if !found {
			return content, "", false
		}
		if size == 0 {
			after, whole = afterTrailers(rest)
			return content, after, whole
		}
		n := min(size, int64(len(rest)))
		content, in = content+rest[:n], rest[n:]
		if len(in) < len(end) {
			return content, "", false
		}
		in = in[len(end):]
	}
}

// afterTrailers skips a trailer section.
func afterTrailers(in string) (after string, whole bool) {
	for {
		line, rest, found := strings.Cut(in, end)
		if !found {
			return "", false
		}
		if in = rest; line == "" {
			return in, true
		}
	}
}

// verdictOn serves a client that sends these pieces.
func verdictOn(t testing.TB, size int, pieces ...string) verdict {
	t.Helper()
	r := &recorder{t: t, size: size}
	listen.ServeConn(&script{pieces: pieces}, listen.DefaultConfig(), r)
	return r.verdict
}

func check(t *testing.T, c wiretest.Case, got verdict) {
	t.Helper()
	want, _ := naively(c.Pass, 1000)
	if want.reason = c.Want; got != want {
		t.Errorf("%s (%s):\n got %+v\nwant %+v\ninput %q", c.Name, c.Rule, got, want, c.In())
	}
}

func TestThereAreTwoHundredCasesAndMore(t *testing.T) {
	t.Parallel()
	if got := len(wiretest.ByHand()); got < 200 {
		t.Errorf("got %d cases written by hand, want 200 or more", got)
	}
}

func TestTheVerdictIsWhatTheRFCSays(t *testing.T) {
	t.Parallel()
	for _, c := range wiretest.All() {
		check(t, c, verdictOn(t, 64<<10, c.In()))
	}
}

func TestTheVerdictDoesNotDependOnHowTheBytesArrive(t *testing.T) {
	t.Parallel()
	for _, c := range wiretest.All() {
		for i := 1; i < len(c.In()); i += 1 + len(c.In())/600 {
			check(t, c, verdictOn(t, 64<<10, c.In()[:i], c.In()[i:]))
		}
	}
}

func TestTheVerdictDoesNotDependOnTheReader(t *testing.T) {
	t.Parallel()
	for _, c := range wiretest.All() {
		for _, size := range []int{1, 2, 7, 4096} {
			check(t, c, verdictOn(t, size, c.In()))
		}
	}
}

func TestTheVerdictDoesNotDependOnOneByteReads(t *testing.T) {
	t.Parallel()
	for _, c := range wiretest.All() {
		pieces := make([]string, 0, len(c.In()))
		for i := range len(c.In()) {
			pieces = append(pieces, c.In()[i:i+1])
		}
		check(t, c, verdictOn(t, 64<<10, pieces...))
	}
}
