package listen_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"wxgate/gateway/listen"
	"wxgate/message"
)

const (
	expecting    = post + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	continueLine = "HTTP/1.1 100 Continue\r\n\r\n"
)

// echo answers with the body of the request.
func echo(c *listen.Conn) {
	whole(func(_ *listen.Conn, _ *message.Request, body string) string { return "got " + body })(c)
}

// expect reads text from a connection.
func expect(t *testing.T, from io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(from, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v, want %q", got[:n], err, text)
	}
}

func TestAClientThatWaitsIsToldToGoOn(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, echo)
	for _, head := range []string{expecting, post + "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n"} {
		body := "hello"
		if strings.Contains(head, "chunked") {
			body = "5\r\nhello\r\n0\r\n\r\n"
		}
		for _, before := range []string{"", get + end} { // an earlier answer comes first
			conn := dial(t, s)
			say(t, conn, before+head)
			if before != "" {
				if first := readAnswer(t, conn); !strings.HasSuffix(first, "got ") {
					t.Fatalf("got %q, want the answer to the first request", first)
				}
			}
			expect(t, conn, continueLine)
			say(t, conn, body[:3])
			if got := exchange(t, conn, body[3:], true); !strings.HasSuffix(got, "got hello") || strings.Contains(got, "100") {
				t.Errorf("got %q behind the 100", got)
			}
		}
	}
}

// readAnswer reads an answer with a body, and not a byte more.
func readAnswer(t *testing.T, from io.Reader) string {
	t.Helper()
	var got []byte
	for one := make([]byte, 1); ; {
		if _, err := from.Read(one); err != nil {
			t.Fatalf("%v behind %q", err, got)
		}
		got = append(got, one[0])
		head, body, whole := strings.Cut(string(got), "\r\n\r\n")
		if !whole {
			continue
		}
		var length int
		_, line, _ := strings.Cut(head, "Content-Length: ")
		if _, err := fmt.Sscan(line, &length); err != nil {
			t.Fatal(err)
		}
		if len(body) == length {
			return string(got)
		}
	}
}

func TestAClientThatDoesNotWaitIsNotTold(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, echo)
	for name, in := range map[string]string{
		"the body is there":      expecting + "hello",
		"some of it is":          expecting + "h\x00ello"[:1] + "ello",
		"it is chunked":          post + "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"an old client":          "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
		"there is no body":       post + "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
		"it has no length":       post + "Expect: 100-continue\r\n\r\n",
		"it expects other thing": post + "Expect: tea\r\nContent-Length: 5\r\n\r\nhello",
	} {
		if got := exchange(t, dial(t, s), in, true); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%s: got %q, want 200 and nothing before it", name, got)
		}
	}
}

// TestAnOldClientIsNeverToldToGoOn waits for the body of an HTTP/1.0 client, which does not know 100.
func TestAnOldClientIsNeverToldToGoOn(t *testing.T) {
	t.Parallel()
	conn := dial(t, serve(t, listen.Config{}, echo))
	say(t, conn, "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	say(t, conn, "hello")
	if got := exchange(t, conn, "", true); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("got %q, want 200 and nothing before it", got)
	}
}

// TestARefusedBodyIsNotAskedFor: the client may send it all the same, and must read the answer.
func TestARefusedBodyIsNotAskedFor(t *testing.T) {
	t.Parallel()
	later := make(chan error, 4)
	s := serve(t, listen.Config{}, func(c *listen.Conn) {
		var req message.Request
		c.ReadRequest(&req)
		answer(c, http.StatusExpectationFailed, "no")
		if string(req.Target) == "/late" {
			_, err := req.Body.Read(make([]byte, 1)) // nobody is asked for it any more
			later <- err
		}
	})
	evil := get + end
	head := fmt.Sprintf("Host: h\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(evil))
	for _, target := range []string{"/", "/late"} {
		for _, body := range []string{evil, ""} {
			conn := dial(t, s)
			say(t, conn, "POST "+target+" HTTP/1.1\r\n"+head)
			got := readAnswer(t, conn)
			if !strings.HasPrefix(got, "HTTP/1.1 417 ") || !strings.Contains(got, "Connection: close\r\n") {
				t.Errorf("got %q, want 417 and the end", got)
			}
			if more := exchange(t, conn, body, true); more != "" {
				t.Errorf("got %q for a body that is none of ours", more)
			}
		}
	}
}
