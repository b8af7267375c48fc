package listen_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/message"
)

// TestTheLastAnswerIsNotResetByWhatTheKernelHolds has a client whose request is the last one of its connection, and that
// has sent more behind it: an empty line after the body, as old clients do (RFC 9112 §2.2), or another request. What is
// behind a long body is in the kernel and not in our buffer, and a plain close resets the connection and may destroy the
// answer (RFC 9112 §9.6).
func TestTheLastAnswerIsNotResetByWhatTheKernelHolds(t *testing.T) {
	t.Parallel()
	s := serve(t, listen.Config{}, ok)
	body := strings.Repeat("x", 4000)
	for name, in := range map[string]string{
		"an empty line behind a body": post + "Connection: close\r\nContent-Length: 4000\r\n\r\n" + body + "\r\n",
		"a request behind a body":     post + "Connection: close\r\nContent-Length: 4000\r\n\r\n" + body + get + end,
		"HTTP/1.0":                    "POST /a HTTP/1.0\r\nHost: h\r\nContent-Length: 4000\r\n\r\n" + body + "\r\n",
	} {
		conn := dial(t, s)
		say(t, conn, strings.Repeat("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 10)+in)
		_ = conn.CloseWrite()
		if got, err := io.ReadAll(conn); err != nil || strings.Count(string(got), "200 OK") != 11 {
			t.Errorf("%s: %d answers, then %v; want 11 and an orderly end", name, strings.Count(string(got), "200 OK"), err)
		}
	}
}

// TestALongLastAnswerArrivesWhole has the same client read a long answer at its own pace. The reset destroys what the
// kernel has not sent yet.
func TestALongLastAnswerArrivesWhole(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 2<<20)
	s := serve(t, listen.Config{}, whole(func(*listen.Conn, *message.Request, string) string { return long }))
	body := strings.Repeat("x", 4000)
	for name, in := range map[string]string{
		"an empty line behind a body": post + "Connection: close\r\nContent-Length: 4000\r\n\r\n" + body + "\r\n",
		"HTTP/1.0":                    "POST /a HTTP/1.0\r\nHost: h\r\nContent-Length: 4000\r\n\r\n" + body + "\r\n",
	} {
		conn := dial(t, s)
		_ = conn.SetReadBuffer(16 << 10)
		say(t, conn, in)
		<-time.After(100 * time.Millisecond) // a reset would have come by now
		if got, err := io.ReadAll(conn); err != nil || len(got) < len(long) {
			t.Errorf("%s: %d bytes of %d, then %v", name, len(got), len(long), err)
		}
	}
}
