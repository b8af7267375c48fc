package http1_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

// mute takes connections, writes what it is told to and says no more.
func mute(t *testing.T, says string) *upstreamtest.Service {
	t.Helper()
	return upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		br := bufio.NewReader(conn)
		if _, err := upstreamtest.ReadRequest(br); err != nil {
			return
		}
		_, _ = io.WriteString(conn, says)
		_, _ = io.Copy(io.Discard, br)
	})
}

func TestTheDeadlineEndsTheWaitForTheHead(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"silence":              "",
		"half a status line":   "HTTP/1.1 20",
		"half a head":          "HTTP/1.1 200 OK\r\nContent-Le",
		"interim answers only": "HTTP/1.1 100 Continue\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newClient(t, mute(t, says).URL)
			start := time.Now()
			var resp message.Response
			ex, err := u.Do(newRequest("POST", "/"), &resp, start.Add(150*time.Millisecond))
			wantError(t, err, http1.ErrTimeout)
			wantEmpty(t, &resp)
			wantOnTime(t, time.Since(start), 150*time.Millisecond)
			if ex.Attempts != 1 || ex.Duration < 150*time.Millisecond {
				t.Errorf("%d attempts in %v, want 1 in the deadline's 150ms", ex.Attempts, ex.Duration)
			}
		})
	}
}

// wantOnTime fails the test unless it took as long as that and not until the next bound, which is 5 s or more. How much
// later it was says how busy the machine is.
func wantOnTime(t *testing.T, got, want time.Duration) {
	t.Helper()
	if got < want || got > want+4*time.Second {
		t.Errorf("took %v, want %v", got, want)
	}
}

func TestTheDeadlineEndsAHeadThatDrips(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		for _, c := range []byte("HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", 10000)) {
			if _, err := conn.Write([]byte{c}); err != nil {
				return
			}
			upstreamtest.Dawdle(5 * time.Millisecond)
		}
	})
	start := time.Now()
	_, err := newClient(t, service.URL).Do(newRequest("GET", "/"), new(message.Response), start.Add(150*time.Millisecond))
	wantError(t, err, http1.ErrTimeout)
	wantOnTime(t, time.Since(start), 150*time.Millisecond)
}

func TestTheResponseTimeoutEndsTheWaitBeforeTheDeadline(t *testing.T) {
	t.Parallel()
	u := newClient(t, mute(t, "").URL, func(c *http1.Config) { c.Timeouts.Response = 100 * time.Millisecond })
	start := time.Now()
	_, err := u.Do(newRequest("GET", "/"), new(message.Response), soon())
	wantError(t, err, http1.ErrTimeout)
	wantOnTime(t, time.Since(start), 100*time.Millisecond)
}

func TestADeadlineThatHasPassedSendsNothing(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	u := newClient(t, service.URL)
	for _, kept := range []bool{false, true} {
		_, err := u.Do(newRequest("GET", "/late"), new(message.Response), time.Now().Add(-time.Second))
		wantError(t, err, http1.ErrTimeout)
		if kept {
			break
		}
		get(t, u, "/")
	}
	get(t, u, "/")
	if got := service.Count("GET", "/late", ""); got != 0 {
		t.Errorf("%d requests arrived after their deadline, want 0", got)
	}
}

func TestTheDeadlineEndsAnUploadThatTheServiceDoesNotRead(t *testing.T) {
	t.Parallel()
	block := make(chan struct{})
	service := upstreamtest.Raw(t, func(net.Conn, int) { <-block })
	t.Cleanup(func() { close(block) })
	for _, size := range []int{64 << 20, -1} {
		req := newRequest("POST", "/")
		setBody(req, io.LimitReader(zeros{}, 64<<20), size)
		start := time.Now()
		_, err := newClient(t, service.URL).Do(req, new(message.Response), start.Add(300*time.Millisecond))
		wantError(t, err, http1.ErrTimeout)
		wantOnTime(t, time.Since(start), 300*time.Millisecond)
	}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestABodyMayTakeLongerThanTheDeadlineButNotPause(t *testing.T) {
	t.Parallel()
	deadline := time.Now().Add(2 * time.Second)
	var sent atomic.Int64
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		if _, err := upstreamtest.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		_, _ = io.WriteString(conn, inChunks)
		for over := false; !over; upstreamtest.Dawdle(20 * time.Millisecond) {
			over = time.Now().After(deadline)
			_, _ = io.WriteString(conn, "1\r\nx\r\n")
			sent.Add(1)
		}
		_, _ = io.Copy(io.Discard, conn)
	})
	u := newClient(t, service.URL, func(c *http1.Config) { c.Timeouts.Stream = 2 * time.Second })
	var resp message.Response
	if _, err := u.Do(newRequest("GET", "/"), &resp, deadline); err != nil {
		t.Fatal(err)
	}
	body, err := readBody(&resp)
	wantError(t, err, http1.ErrTimeout)
	if !time.Now().After(deadline) || string(body) != strings.Repeat("x", int(sent.Load())) {
		t.Errorf("body is %q, want all %d parts that came, the last one after the deadline", body, sent.Load())
	}
}
