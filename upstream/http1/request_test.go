package http1_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"wxgate/message"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

// sent sends req to an echo and returns what arrived.
func sent(t *testing.T, req *message.Request) upstreamtest.Request {
	t.Helper()
	service := upstreamtest.Echo(t)
	if _, err := newClient(t, service.URL).Do(req, new(message.Response), soon()); err != nil {
		t.Fatalf("%s: %v", req.Target, err)
	}
	return service.Requests()[0]
}

func TestTargetsArriveAsTheyWereGiven(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"/", "/a%7Eb?x='()*!?&%zz", "/a//b/../c/./d", "/%2e%2e/%2F%5c", "/a;v=1;w=2", "/?", "/??a=b#", "/a?b=c+d%20e",
		"/\xe5\xbc\xa0", "/%e5%bc%a0?%E5", "/a|b^c`{d}\"<e>", "*", "/a@b:c", "//host/path",
	} {
		if got := sent(t, newRequest("GET", target)).Target; got != target {
			t.Errorf("target %q arrived as %q", target, got)
		}
	}
}

func TestAHeadArrivesAsItWasMade(t *testing.T) {
	t.Parallel()
	req := newRequest("GET", "/a")
	req.Host = []byte("shop.example:8080")
	for _, f := range [][2]string{{"x-lower", "1"}, {"X-UPPER", "2"}, {"x-lower", "3"}, {"X-User-Id", "42"}, {"X-Utf8", "\xe5\xbc\xa0"}} {
		req.Fields.Add(f[0], f[1])
	}
	want := "GET /a HTTP/1.1\r\nHost: shop.example:8080\r\nx-lower: 1\r\nX-UPPER: 2\r\nx-lower: 3\r\n" +
		"X-User-Id: 42\r\nX-Utf8: \xe5\xbc\xa0\r\n\r\n"
	if got := string(sent(t, req).Raw); got != want {
		t.Errorf("arrived:\n%q\nwant:\n%q", got, want)
	}
}

func TestFramingOfRequests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		says, method string
		body         io.Reader
		size         int
		length       string // Content-Length, "": none
		chunked      bool
		arrives      int // bytes
	}{
		{says: "GET without a body has no length", method: "GET"},
		{says: "DELETE without a body has no length", method: "DELETE"},
		{says: "POST without a body says so (9110 §8.6)", method: "POST", length: "0"},
		{says: "PUT without a body says so", method: "PUT", length: "0"},
		{says: "a small sized body has its length", method: "POST", body: content(10), size: 10, length: "10", arrives: 10},
		{says: "a GET may have a body", method: "GET", body: content(10), size: 10, length: "10", arrives: 10},
		{says: "a large sized body has its length", method: "POST", body: content(1 << 20), size: 1 << 20, length: "1048576", arrives: 1 << 20},
		{says: "a body that comes byte by byte arrives whole", method: "PUT", body: iotest.OneByteReader(content(20000)), size: 20000, length: "20000", arrives: 20000},
		{says: "no more than the size is sent", method: "POST", body: content(100000), size: 70000, length: "70000", arrives: 70000},
		{says: "an unknown size is chunked", method: "POST", body: content(100000), size: -1, chunked: true, arrives: 100000},
		{says: "an empty chunked body is chunked", method: "POST", body: content(0), size: -1, chunked: true},
		{says: "chunks of one byte arrive whole", method: "PATCH", body: iotest.OneByteReader(content(100)), size: -1, chunked: true, arrives: 100},
		{says: "data that comes with its end arrives whole", method: "POST", body: iotest.DataErrReader(content(50000)), size: -1, chunked: true, arrives: 50000},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			req := newRequest(c.method, "/")
			if c.body != nil {
				setBody(req, c.body, c.size)
			}
			got := sent(t, req)
			if length := strings.Join(got.Values("Content-Length"), " and "); length != c.length {
				t.Errorf("Content-Length is %q, want %q", length, c.length)
			}
			if chunked := got.Field("Transfer-Encoding") == "chunked"; chunked != c.chunked {
				t.Errorf("chunked is %v, want %v", chunked, c.chunked)
			}
			if want := contentBytes(c.arrives); !bytes.Equal(got.Body, want) {
				t.Errorf("the body has %d bytes, want the %d that were sent", len(got.Body), len(want))
			}
		})
	}
}

func TestABufferedBodyIsSentWithItsLength(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 16 << 10, 16<<10 + 1, 1 << 20} {
		req := newRequest("POST", "/")
		req.Content = contentBytes(n)
		if got := sent(t, req); !bytes.Equal(got.Body, contentBytes(n)) {
			t.Errorf("of %d bytes %d arrived", n, len(got.Body))
		}
	}
}

func TestFramingFieldsOfTheCallerDoNotPass(t *testing.T) {
	t.Parallel()
	req := newRequest("POST", "/")
	req.Fields.Add("Transfer-Encoding", "chunked")
	req.Fields.Add("content-length", "99")
	req.Fields.Add("HOST", "forged.example")
	setBody(req, content(5), 5)
	if got := sent(t, req); string(got.Body) != string(contentBytes(5)) || len(got.Values("Content-Length")) != 1 ||
		len(got.Values("Host")) != 1 || len(got.Values("Transfer-Encoding")) != 0 {
		t.Errorf("arrived as %q", got.Raw)
	}
}

func TestAFailedRequestBodyIsItsOwnError(t *testing.T) {
	t.Parallel()
	gone := errors.New("client went away")
	for _, c := range []struct {
		says string
		body io.Reader
		size int
		want error
	}{
		{"a small body that fails", io.MultiReader(content(10), iotest.ErrReader(gone)), 100, gone},
		{"a large body that fails", io.MultiReader(content(50000), iotest.ErrReader(gone)), 100000, gone},
		{"a chunked body that fails", io.MultiReader(content(50000), iotest.ErrReader(gone)), -1, gone},
		{"a small body that is too short", content(10), 100, io.ErrUnexpectedEOF},
		{"a large body that is too short", content(50000), 100000, io.ErrUnexpectedEOF},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			service := upstreamtest.Echo(t)
			u := newClient(t, service.URL)
			req := newRequest("POST", "/")
			setBody(req, c.body, c.size)
			_, err := u.Do(req, new(message.Response), soon())
			wantError(t, err, http1.ErrRequestBody)
			if !errors.Is(err, c.want) {
				t.Errorf("error is %v, want it to wrap %v", err, c.want)
			}
			get(t, u, "/next")
			eventually(t, "the service has seen the next request", func() bool { return service.Count("GET", "/next", "") == 1 })
			for _, r := range service.Requests() {
				if r.Method == "POST" && (len(r.Body) >= c.size && c.size > 0 || strings.HasSuffix(string(r.Raw), "0\r\n\r\n")) {
					t.Errorf("the broken request looks whole to the service: %.100q", r.Raw)
				}
			}
		})
	}
}

// content is n bytes whose order matters.
func content(n int) io.Reader { return onlyReader{bytes.NewReader(contentBytes(n))} }

func contentBytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvw"[i%23]
	}
	return b
}
