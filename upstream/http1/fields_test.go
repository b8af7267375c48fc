package http1_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"wxgate/message"
	"wxgate/upstream/upstreamtest"
)

// passed lists the fields of the answer before its Content-Length, which is the last one.
func passed(t *testing.T, head string) []string {
	t.Helper()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { return "HTTP/1.1 200 OK\r\n" + head + "Content-Length: 0\r\n\r\n" })
	resp := get(t, newClient(t, service.URL), "/")
	fields, sized := strings.CutSuffix(string(resp.Fields.AppendTo(nil)), "Content-Length: 0\r\n")
	if !sized || !resp.Sized {
		t.Errorf("passed %q, want the Content-Length of the service at its end", fields)
	}
	return strings.Split(strings.TrimSpace(fields), "\r\n")
}

func TestFieldsOfTheConnectionEndHere(t *testing.T) {
	t.Parallel()
	got := passed(t, "Connection: X-Own, close, x-own2, content-type\r\nX-OWN: 1\r\nx-own: 2\r\nX-Own2: 3\r\n"+
		"Keep-Alive: timeout=5\r\nTE: a\r\nTrailer: b\r\nUpgrade: h2c\r\nProxy-Connection: c\r\nProxy-Authenticate: d\r\n"+
		"Content-Type: text/html\r\nX-Kept: 4\r\n")
	if want := []string{"X-Kept: 4"}; !reflect.DeepEqual(got, want) {
		t.Errorf("passed %q, want %q", got, want)
	}
}

func TestRepeatedFieldsKeepTheirNumberOrderAndCase(t *testing.T) {
	t.Parallel()
	lines := []string{
		"Vary: a", "Via: 1.1 x", "vary: b", "ETag: \"x\"", "WWW-Authenticate: Basic", "WWW-Authenticate: Digest",
		"x-lower: \xe5", "Date: Sun, 06 Nov 1994 08:49:37 GMT", "Server: a", "Content-Encoding: gzip", "Via: 1.1 y", "server: b",
		"Content-Encoding: br", "Set-Cookie: a=1; Path=/", "Set-Cookie: a=1; Path=/b", "Set-Cookie: b=2",
	}
	got := passed(t, strings.Join(lines, "\r\n")+"\r\n")
	if !reflect.DeepEqual(got, lines) {
		t.Errorf("passed\n%q, want\n%q", got, lines)
	}
}

func TestRepeatedFieldsKeepTheirOrderBesideNamedOnes(t *testing.T) {
	t.Parallel()
	got := passed(t, "Connection: X-Own\r\nX-Own: 1\r\nX-Own: 2\r\nVia: 1.1 x\r\nETag: y\r\nVia: 1.1 y\r\nVary: a\r\nVia: 1.1 z\r\nVary: b\r\nSet-Cookie: a=1\r\nSet-Cookie: a=2\r\n")
	for name, want := range map[string]string{
		"Via": "1.1 x, 1.1 y, 1.1 z", "Vary": "a, b", "Set-Cookie": "a=1, a=2", "X-Own": "", "ETag": "y",
	} {
		var values []string
		for _, line := range got {
			if value, found := strings.CutPrefix(line, name+": "); found {
				values = append(values, value)
			}
		}
		if strings.Join(values, ", ") != want {
			t.Errorf("%s is %q, want %q", name, values, want)
		}
	}
}

func TestTwoContentTypesThatAgreeAreOne(t *testing.T) {
	t.Parallel()
	got := passed(t, "Content-Type: text/html\r\nVia: 1.1 x\r\ncontent-type: text/html\r\n")
	if want := []string{"Content-Type: text/html", "Via: 1.1 x"}; !reflect.DeepEqual(got, want) {
		t.Errorf("passed %q, want %q", got, want)
	}
}

func TestNoContentTypeIsInvented(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" })
	resp := get(t, newClient(t, service.URL), "/")
	if head := string(resp.Fields.AppendTo(nil)); strings.Contains(head, "Content-Type") {
		t.Errorf("head is %q, want no Content-Type", head)
	}
}

func TestALengthWithoutABodyPasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, answer, want string }{
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "Content-Length: 5"},
		{"HEAD", "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n", "Content-Length: 5"},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "Content-Length: 5"},
		{"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""},
		{"GET", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "Content-Length: 0"},
		{"HEAD", "HTTP/1.1 200 OK\r\n\r\n", ""},
	} {
		service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { return c.answer })
		var resp message.Response
		if _, err := newClient(t, service.URL).Do(newRequest(c.method, "/"), &resp, soon()); err != nil {
			t.Fatalf("%s: %v", c.method, err)
		}
		var got string
		if resp.Length >= 0 {
			got = fmt.Sprint("Content-Length: ", resp.Length)
		}
		var line string
		if value := resp.Fields.Get("Content-Length"); value != nil {
			line = "Content-Length: " + string(value)
		}
		if got != c.want || line != c.want || resp.Sized != (c.want != "") || !resp.Bodiless {
			t.Errorf("%s answered with %q gives %q, want %q", c.method, c.answer, got, c.want)
		}
	}
}

func TestWhatRespHeldBeforeIsLost(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string { return upstreamtest.OK("text/plain", "hi") })
	u := newClient(t, service.URL)
	resp := new(message.Response)
	resp.Fields.Set("X-Old", "1")
	resp.Reason, resp.Body = []byte("Old"), []byte("old")
	if _, err := u.Do(newRequest("GET", "/"), resp, soon()); err != nil {
		t.Fatal(err)
	}
	if string(resp.Body) != "hi" || string(resp.Reason) != "OK" || resp.Fields.Has("X-Old") {
		t.Errorf("answer is %+v, want nothing of what resp held", resp)
	}
}
