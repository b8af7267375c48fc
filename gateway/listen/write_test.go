package listen_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/message"
)

// parts is a Stream of these parts, that ends with err, or io.EOF. A part is overwritten when the next one is asked for.
type parts struct {
	all    []string
	err    error
	waits  bool // Ready says that Next waits
	last   []byte
	closed int
}

func (p *parts) Next() ([]byte, error) {
	for i := range p.last {
		p.last[i] = '!'
	}
	p.last = nil
	if len(p.all) == 0 {
		if p.err != nil {
			return nil, p.err
		}
		return nil, io.EOF
	}
	p.last = []byte(p.all[0])
	p.all = p.all[1:]
	return p.last, nil
}

func (p *parts) Ready() bool { return !p.waits }

func (p *parts) Close() error { p.closed++; return nil }

// written is what a client gets that sends in, when its requests are answered with these, one after the other.
func written(t *testing.T, in string, answers ...*message.Response) (out string, errs []error) {
	t.Helper()
	client := &script{pieces: []string{in}}
	listen.ServeConn(client, listen.DefaultConfig(), handler(func(c *listen.Conn) {
		if _, _, err := read(c); err != nil || len(answers) == 0 {
			t.Errorf("reading the request: %v; %d answers are left", err, len(answers))
			return
		}
		_, err := c.WriteResponse(answers[0])
		answers, errs = answers[1:], append(errs, err)
	}))
	return client.answer.String(), errs
}

const date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

// dated gives an answer the date of RFC 9110, so that it looks the same tomorrow.
func dated(r message.Response) *message.Response {
	r.Fields.Add("Date", "Sun, 06 Nov 1994 08:49:37 GMT")
	return &r
}

func TestAnAnswerLooksLikeThis(t *testing.T) {
	t.Parallel()
	const old, kept, head = "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"
	stream := func(all ...string) message.Stream { return &parts{all: all} }
	for name, c := range map[string]struct {
		in   string
		resp message.Response
		want string
	}{
		"whole":                        {get + end, message.Response{Status: 200, Body: []byte("fine"), Length: -1}, "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 4\r\n\r\nfine"},
		"empty":                        {get + end, message.Response{Status: 404, Length: -1}, "HTTP/1.1 404 Not Found\r\n" + date + "Content-Length: 0\r\n\r\n"},
		"a reason of its own":          {get + end, message.Response{Status: 299, Reason: []byte("Hm"), Length: -1}, "HTTP/1.1 299 Hm\r\n" + date + "Content-Length: 0\r\n\r\n"},
		"a status without a reason":    {get + end, message.Response{Status: 299, Length: -1}, "HTTP/1.1 299 \r\n" + date + "Content-Length: 0\r\n\r\n"},
		"the last one":                 {get + end, message.Response{Status: 200, Close: true}, "HTTP/1.1 200 OK\r\n" + date + "Connection: close\r\nContent-Length: 0\r\n\r\n"},
		"stream":                       {get + end, message.Response{Status: 200, Stream: stream("fi", "ne"), Length: 4}, "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 4\r\n\r\nfine"},
		"stream of no bytes":           {get + end, message.Response{Status: 200, Stream: stream(), Length: 0}, "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 0\r\n\r\n"},
		"unknown length":               {get + end, message.Response{Status: 200, Stream: stream("fi", "ne, and more"), Length: -1}, "HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n2\r\nfi\r\nc\r\nne, and more\r\n0\r\n\r\n"},
		"unknown length, no bytes":     {get + end, message.Response{Status: 200, Stream: stream(), Length: -1}, "HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		"a part without a byte":        {get + end, message.Response{Status: 200, Stream: stream("fi", "", "ne"), Length: -1}, "HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n"},
		"head":                         {head, message.Response{Status: 200, Body: []byte("fine"), Length: -1}, "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 4\r\n\r\n"},
		"head of a stream":             {head, message.Response{Status: 200, Stream: stream("fine"), Length: 4}, "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 4\r\n\r\n"},
		"head of unknown length":       {head, message.Response{Status: 200, Stream: stream("fine"), Length: -1}, "HTTP/1.1 200 OK\r\n" + date + "\r\n"},
		"head that a service answered": {head, message.Response{Status: 200, Bodiless: true, Length: 1234}, "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 1234\r\n\r\n"},
		"head of nobody knows what":    {head, message.Response{Status: 200, Bodiless: true, Length: -1}, "HTTP/1.1 200 OK\r\n" + date + "\r\n"},
		"bodiless for a get":           {get + end, message.Response{Status: 200, Bodiless: true, Length: 1234}, "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 0\r\n\r\n"},
		"bodiless for a get, unknown":  {get + end, message.Response{Status: 200, Bodiless: true, Length: -1}, "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 0\r\n\r\n"},
		"204":                          {get + end, message.Response{Status: 204, Body: []byte("no"), Length: -1}, "HTTP/1.1 204 No Content\r\n" + date + "\r\n"},
		"204 of a service":             {get + end, message.Response{Status: 204, Bodiless: true, Length: 4}, "HTTP/1.1 204 No Content\r\n" + date + "\r\n"},
		"304":                          {get + end, message.Response{Status: 304, Length: -1}, "HTTP/1.1 304 Not Modified\r\n" + date + "\r\n"},
		"304 of a service":             {get + end, message.Response{Status: 304, Bodiless: true, Length: 1234}, "HTTP/1.1 304 Not Modified\r\n" + date + "Content-Length: 1234\r\n\r\n"},
		"304 with a stream":            {get + end, message.Response{Status: 304, Stream: stream("no"), Length: 2}, "HTTP/1.1 304 Not Modified\r\n" + date + "Content-Length: 2\r\n\r\n"},
		"http/1.0":                     {old, message.Response{Status: 200, Body: []byte("fine"), Length: -1}, "HTTP/1.1 200 OK\r\n" + date + "Connection: close\r\nContent-Length: 4\r\n\r\nfine"},
		"http/1.0 that stays":          {kept, message.Response{Status: 200, Body: []byte("fine"), Length: -1}, "HTTP/1.1 200 OK\r\n" + date + "Connection: keep-alive\r\nContent-Length: 4\r\n\r\nfine"},
		"http/1.0 of unknown length":   {kept, message.Response{Status: 200, Stream: stream("fi", "ne"), Length: -1}, "HTTP/1.1 200 OK\r\n" + date + "Connection: close\r\n\r\nfine"},
		"http/1.0 of known length":     {kept, message.Response{Status: 200, Stream: stream("fi", "ne"), Length: 4}, "HTTP/1.1 200 OK\r\n" + date + "Connection: keep-alive\r\nContent-Length: 4\r\n\r\nfine"},
		"upgrade":                      {get + end, message.Response{Status: 101, Upgrade: "websocket"}, "HTTP/1.1 101 Switching Protocols\r\n" + date + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
	} {
		resp := dated(c.resp)
		if got, errs := written(t, c.in, resp); got != c.want || errs[0] != nil {
			t.Errorf("%s:\n got %q, %v\nwant %q", name, got, errs, c.want)
		}
		if s, streamed := resp.Stream.(*parts); streamed && s.closed == 0 {
			t.Errorf("%s: the stream is still open", name)
		}
	}
}

func TestAnAnswerHasTheDateOfItsSecond(t *testing.T) {
	t.Parallel()
	before := time.Now().Truncate(time.Second)
	out, _ := written(t, get+end+get+end, &message.Response{Status: 200}, dated(message.Response{Status: 200}))
	r := bufio.NewReader(strings.NewReader(out))
	for i := range 2 {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		at, err := http.ParseTime(resp.Header.Get("Date"))
		if own := at.Year() == 1994; err != nil || len(resp.Header["Date"]) != 1 || own != (i == 1) || !own && (at.Before(before) || at.After(time.Now())) {
			t.Errorf("answer %d has Date: %q, %v", i, resp.Header["Date"], err)
		}
	}
}

// TestAStreamThatIsNotWholeNeverLooksWhole has streams that break off, end early and do not end, with the next request
// already there.
func TestAStreamThatIsNotWholeNeverLooksWhole(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		stream parts
		length int64
		want   error
		bytes  int // of the body, at most
	}{
		"breaks off":               {parts{all: []string{"ab"}, err: broken}, 4, broken, 2},
		"breaks off at once":       {parts{err: broken}, 4, broken, 0},
		"breaks off, long":         {parts{all: []string{long}, err: broken}, 200_000, broken, len(long)},
		"breaks off, chunked":      {parts{all: []string{"ab"}, err: broken}, -1, broken, 2},
		"breaks off, long, chunks": {parts{all: []string{long}, err: broken}, -1, broken, len(long)},
		"wraps the end":            {parts{all: []string{"ab"}, err: fmt.Errorf("no: %w", io.EOF)}, -1, io.EOF, 2},
		"ends early":               {parts{all: []string{"ab"}}, 4, io.ErrUnexpectedEOF, 2},
		"is too long":              {parts{all: []string{"ab", "cde"}}, 4, listen.ErrBodyTooLong, 2},
		"is too long at once":      {parts{all: []string{long}}, 4, listen.ErrBodyTooLong, 0},
	} {
		for _, c.stream.waits = range []bool{false, true} {
			stream := c.stream
			resp := &message.Response{Status: 200, Stream: &stream, Length: c.length}
			out, errs := written(t, get+end+get+end, resp)
			if len(errs) != 1 || !errors.Is(errs[0], c.want) || errors.Is(errs[0], listen.ErrClientLeft) || stream.closed == 0 {
				t.Errorf("%s: got %v, want one answer with %v", name, errs, c.want)
			}
			got, err := http.ReadResponse(bufio.NewReader(strings.NewReader(out)), nil)
			if err != nil {
				t.Fatalf("%s: %v; answer %q", name, err, out)
			}
			if body, err := io.ReadAll(got.Body); err == nil || len(body) > c.bytes {
				t.Errorf("%s: the client got %d bytes as if they were all; answer %q", name, len(body), out)
			}
		}
	}
}

// TestAStreamToAnOldClientThatBreaksOffIsReset: without length and chunks, an orderly end would say that all of it came.
func TestAStreamToAnOldClientThatBreaksOffIsReset(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, func(c *listen.Conn) {
		c.ReadRequest(new(message.Request))
		_, _ = c.WriteResponse(&message.Response{Status: 200, Stream: &parts{all: []string{"half"}, err: errors.New("broken")}, Length: -1})
	})
	conn := dial(t, s)
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err == nil {
		t.Errorf("got %q and an orderly end, want a reset", got)
	}
}

// events is a Stream whose parts come when the test sends them.
type events chan string

func (e events) Next() ([]byte, error) {
	part, open := <-e
	if !open {
		return nil, io.EOF
	}
	return []byte(part), nil
}

func (e events) Ready() bool  { return len(e) > 0 }
func (e events) Close() error { return nil }

// TestAStreamIsPassedOnAsItComes reads each event before the next one exists.
func TestAStreamIsPassedOnAsItComes(t *testing.T) {
	t.Parallel()
	for _, in := range []string{get + end, "GET / HTTP/1.0\r\n\r\n"} {
		source := make(events)
		s := serve(t, listen.Config{}, func(c *listen.Conn) {
			c.ReadRequest(new(message.Request))
			_, _ = c.WriteResponse(&message.Response{Status: 200, Stream: source, Length: -1})
		})
		conn := dial(t, s)
		if _, err := io.WriteString(conn, in); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil) // the head comes before the first event
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		for i := range 5 {
			event := strings.Repeat(strconv.Itoa(i), 1+i*10_000)
			source <- event
			got := make([]byte, len(event))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != event {
				t.Fatalf("event %d: got %d bytes, %v", i, len(got), err)
			}
		}
		close(source)
		if rest, err := io.ReadAll(resp.Body); len(rest) > 0 || err != nil {
			t.Errorf("got %q, %v behind the last event", rest, err)
		}
	}
}

func TestAClientThatLeavesEndsItsStream(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	source := make(events)
	s := serve(t, listen.Config{}, func(c *listen.Conn) {
		c.ReadRequest(new(message.Request))
		_, err := c.WriteResponse(&message.Response{Status: 200, Stream: source, Length: -1})
		ended <- err
	})
	conn := dial(t, s)
	oneAnswer(t, conn)
	_ = conn.SetLinger(0)
	_ = conn.Close()
	for {
		select {
		case source <- "more":
			continue
		case err := <-ended:
			if !errors.Is(err, listen.ErrClientLeft) {
				t.Errorf("got %v, want %v", err, listen.ErrClientLeft)
			}
		case <-time.After(long):
			t.Error("it still streams to nobody")
		}
		return
	}
}

func TestBytesAreThoseOfTheBody(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		in   string
		resp message.Response
		want int64
	}{
		"whole":    {get + end, message.Response{Status: 200, Body: []byte("fine")}, 4},
		"long":     {get + end, message.Response{Status: 200, Body: []byte(long)}, int64(len(long))},
		"chunked":  {get + end, message.Response{Status: 200, Stream: &parts{all: []string{"ab", long}}, Length: -1}, int64(len(long)) + 2},
		"head":     {"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", message.Response{Status: 200, Body: []byte("fine")}, 0},
		"bodiless": {get + end, message.Response{Status: 304, Body: []byte("no")}, 0},
	} {
		listen.ServeConn(&script{pieces: []string{c.in}}, listen.DefaultConfig(), handler(func(conn *listen.Conn) {
			conn.ReadRequest(new(message.Request))
			if got, err := conn.WriteResponse(&c.resp); got != c.want || err != nil {
				t.Errorf("%s: %d bytes, %v; want %d", name, got, err, c.want)
			}
		}))
	}
}

// TestOverTLSToo serves requests and answers of all sizes over TLS, where a write cannot be resumed.
func TestOverTLSToo(t *testing.T) {
	t.Parallel()
	tcp := loopback(t)
	cfg := listen.DefaultConfig()
	cfg.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	ln := listen.NewListener(tcp, cfg)
	served := make(chan struct{})
	go func() {
		_ = ln.Serve(whole(func(_ *listen.Conn, _ *message.Request, body string) string { return body + body }))
		close(served)
	}()
	t.Cleanup(func() { _ = ln.Close(); <-served; ln.Abort(); ln.Wait() })
	conn, err := tls.Dial("tcp", tcp.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, size := range []int{0, 1, 5000, 100_000, 1_000_000} {
		body := strings.Repeat("x", size)
		if _, err := fmt.Fprintf(conn, "%sContent-Length: %d\r\n\r\n%s", post, size, body); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); string(got) != body+body || err != nil {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
}

// asked is one request of FuzzWriteResponse with its answer, made of a few bytes.
type asked struct {
	head     bool
	in       string
	stays    bool // the client lets the connection open
	old      bool
	resp     message.Response
	stream   *parts
	body     string // the whole body of the answer
	streamed bool
	broken   bool // the stream does not give the whole of it
}

var (
	statuses = []int{200, 201, 204, 206, 301, 304, 400, 404, 500, 503, 599}
	sizes    = []int{0, 1, 2, 100, 4095, 16<<10 - 1, 16 << 10, 40_000, 64 << 10, 70_001}
	requests = []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"HEAD / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
	}
)

// newAsked takes a request and its answer from the front of spec, which may be short.
func newAsked(spec *[]byte) *asked {
	next := func(n int) int {
		if len(*spec) == 0 {
			return 0
		}
		b := (*spec)[0]
		*spec = (*spec)[1:]
		return int(b) % n
	}
	a := &asked{in: requests[next(len(requests))]}
	a.head = strings.HasPrefix(a.in, "HEAD")
	a.old = strings.Contains(a.in, "HTTP/1.0")
	a.stays = strings.Contains(a.in, "eep") || !a.old && !strings.Contains(a.in, "close")
	a.resp = message.Response{Status: statuses[next(len(statuses))], Length: -1, Close: next(8) == 7}
	for i := range next(4) {
		a.resp.Fields.Add("X-"+strconv.Itoa(i%2), strings.Repeat("v", next(200)))
	}
	size := sizes[next(len(sizes))]
	a.body = strings.Repeat("0123456789abcdef", size/16+1)[:size]
	kind := next(8)
	switch {
	case kind < 2:
		a.resp.Body = []byte(a.body)
	case kind == 2:
		a.resp.Bodiless, a.resp.Length = true, int64(next(2)*1234-1)
		a.body = ""
	default:
		a.streamed = true
		a.stream = &parts{waits: next(2) == 1}
		step := sizes[1:][next(len(sizes)-1)]
		for part := range slices.Chunk([]byte(a.body), max(1, step)) {
			a.stream.all = append(a.stream.all, string(part))
		}
		if a.resp.Stream = a.stream; kind < 6 {
			a.resp.Length = int64(size)
		}
		switch next(8) {
		case 5:
			a.stream.err, a.broken = errors.New("broken"), true
		case 6:
			a.broken = len(a.body) > 0 && a.resp.Length >= 0
			a.stream.all = a.stream.all[:max(0, len(a.stream.all)-1)]
			if !a.broken {
				a.body = strings.Join(a.stream.all, "")
			}
		case 7:
			a.broken = a.resp.Length >= 0
			a.stream.all = append(a.stream.all, "more")
			if !a.broken {
				a.body += "more"
			}
		}
	}
	return a
}

// bodiless reports whether the client expects no body.
func (a *asked) bodiless() bool { return a.head || a.resp.Status == 204 || a.resp.Status == 304 }

// last reports whether the connection has to end behind the answer.
func (a *asked) last() bool {
	endless := a.old && a.streamed && a.resp.Length < 0 && !a.bodiless()
	return !a.stays || a.resp.Close || endless || a.broken && !a.bodiless()
}

// checkAnswer reads the answer as a client does.
func (a *asked) checkAnswer(t *testing.T, r *bufio.Reader) {
	t.Helper()
	method := "GET"
	if a.head {
		method = "HEAD"
	}
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%v, for %q", err, a.in)
	}
	defer resp.Body.Close()
	if resp.StatusCode != a.resp.Status || resp.Header.Get("Date") == "" {
		t.Errorf("got %d with date %q, want %d", resp.StatusCode, resp.Header.Get("Date"), a.resp.Status)
	}
	for i := range 2 {
		var want []string
		for value := range a.resp.Fields.Values("X-" + strconv.Itoa(i)) {
			want = append(want, string(value))
		}
		if got := resp.Header["X-"+strconv.Itoa(i)]; !slices.Equal(got, want) {
			t.Errorf("got fields %q, want %q", got, want)
		}
	}
	// A broken answer may come without Connection: close, which cannot be known before it breaks.
	if resp.Close != a.last() && !(a.broken && !a.bodiless()) {
		t.Errorf("got Connection: close %v, want %v, for %q and %+v", resp.Close, a.last(), a.in, a.resp)
	}
	body, err := io.ReadAll(resp.Body)
	switch endless := a.old && a.resp.Length < 0 && a.streamed; {
	case a.bodiless():
		if len(body) > 0 || err != nil {
			t.Errorf("got %q, %v for a body that is none", body, err)
		}
	case a.broken && int64(len(body)) == a.resp.Length: // of a body that is too long
	case a.broken && !endless:
		if err == nil || !strings.HasPrefix(a.body, string(body)) {
			t.Errorf("got %d bytes, %v, of a body that breaks off behind the beginning of %d", len(body), err, len(a.body))
		}
	case a.broken: // reset, which a script does not show
	case string(body) != a.body || err != nil:
		t.Errorf("got %d bytes, %v, want %d", len(body), err, len(a.body))
	}
}

// FuzzWriteResponse has answers of all kinds read by net/http: what was meant comes, and one answer never begins within
// another.
func FuzzWriteResponse(f *testing.F) {
	for i := range 64 {
		f.Add(bytes.Repeat([]byte{byte(i), byte(i * 7), byte(i * 13), byte(i * 3), byte(i * 11)}, 12))
	}
	f.Fuzz(func(t *testing.T, spec []byte) {
		var all, expected []*asked
		var in strings.Builder
		for rest := spec; len(rest) > 0 && len(all) < 6; {
			a := newAsked(&rest)
			all = append(all, a)
			in.WriteString(a.in)
		}
		for _, a := range all {
			if expected = append(expected, a); a.last() {
				break
			}
		}
		client, served := &script{pieces: []string{in.String()}}, 0
		listen.ServeConn(client, listen.DefaultConfig(), handler(func(c *listen.Conn) {
			if _, _, err := read(c); err != nil {
				t.Error(err)
			}
			a := all[served]
			served++
			_, err := c.WriteResponse(&a.resp)
			if (err != nil) != (a.broken && !a.bodiless()) {
				t.Errorf("WriteResponse: %v for %+v", err, a)
			}
			if a.streamed && a.stream.closed == 0 {
				t.Errorf("the stream is still open, for %+v", a)
			}
		}))
		if served != len(expected) {
			t.Errorf("served %d requests, want %d of %q", served, len(expected), in.String())
		}
		r := bufio.NewReader(strings.NewReader(client.answer.String()))
		for _, a := range expected {
			a.checkAnswer(t, r)
		}
		if rest, _ := io.ReadAll(r); len(rest) > 0 {
			t.Errorf("got %q behind the last answer", rest)
		}
	})
}
