package framing

import (
	"strings"
	"testing"
)

func TestAHeadEndsWithItsBlankLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"GET / HTTP/1.1\r\n\r\nrest": 18, "GET / HTTP/1.1\r\nA: b\r\n": 0, "": 0} {
		if got := HeadEnd([]byte(text)); got != want {
			t.Errorf("got %d, want %d, for %q", got, want, text)
		}
	}
}

func TestAHeaderIsFoundInAnyCase(t *testing.T) {
	t.Parallel()
	head := []byte("HTTP/1.1 200 OK\r\nX-Content-Length: 9\r\nCONTENT-length:  12 \r\n\r\n")
	if got := string(Header(head, "content-length")); got != "12" {
		t.Errorf("got %q, want 12", got)
	}
	if got := Header(head, "length"); got != nil {
		t.Errorf("got %q, want nothing", got)
	}
}

// feedBytewise returns what a body takes of text, a byte at a time, and how much of that is content.
func feedBytewise(body Body, text string) (used int, content int64) {
	for used < len(text) && !body.Done() {
		n, more := body.Feed([]byte(text[used : used+1]))
		used, content = used+n, content+more
	}
	return used, content
}

func TestABodyEndsWhereItsFramingSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		head, body string
		content    int64
	}{
		{"Content-Length: 5", "hello", 5},
		{"Content-Length: 0", "", 0},
		{"Transfer-Encoding: chunked", "5\r\nhello\r\n1A\r\n" + strings.Repeat("x", 26) + "\r\n0\r\n\r\n", 31},
		{"Transfer-Encoding: Chunked", "0\r\nTrailer: a\r\nOther: b\r\n\r\n", 0},
		{"Connection: close", "", 0},
	} {
		head := []byte("HTTP/1.1 200 OK\r\n" + c.head + "\r\n\r\n")
		body := BodyOf(head)
		used, content := body.Feed([]byte(c.body + "HTTP/1.1 200 OK"))
		if used != len(c.body) || content != c.content || !body.Done() {
			t.Errorf("got %d bytes, %d of content, done %t, want %d and %d, for %q", used, content, body.Done(), len(c.body), c.content, c.body)
		}
		if used, content = feedBytewise(BodyOf(head), c.body+"HTTP"); used != len(c.body) || content != c.content {
			t.Errorf("bytewise: got %d bytes, %d of content, want %d and %d, for %q", used, content, len(c.body), c.content, c.body)
		}
	}
}
