package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// busyFor is how long they ask, from when all are connected.
const busyFor = 8 * time.Second

// TestBusyConnections lets so many connections as BUSY says, as in BUSY=2000, ask one thing after the other for 8 s, and says
// what came of it: the table of docs/limits.md. The breaker must stay closed and the gateway alive.
func TestBusyConnections(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("BUSY"))
	if err != nil {
		t.Skip("BUSY says how many, as in BUSY=2000")
	}
	h := newHostile(t, 200)
	s := &scene{kind: fmt.Sprint(n, " busy connections")}
	h.warmUp()
	conns := h.connect(n)
	ctx, cancel := context.WithTimeout(t.Context(), busyFor)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { s.watchMemory(ctx, h.process) })
	for i, conn := range conns {
		all.Go(func() { h.beBusy(ctx, s, conn, h.tokens[i%len(h.tokens)]) })
	}
	all.Wait()
	h.report([]*scene{s})
	if h.gone() || strings.Contains(h.output.String(), `"msg":"breaker open"`) || len(s.took) == 0 {
		t.Errorf("%d answers, the first failure: %s; the log:\n%.2000s", len(s.took), s.first, h.output)
	}
	t.Logf("%.0f served and %.0f refused a second, the first failure: %s",
		float64(len(s.took))/busyFor.Seconds(), float64(s.fail.Load())/busyFor.Seconds(), s.first)
}

// warmUp lets a few ask in peace, so that it is known what is usual.
func (h *hostile) warmUp() {
	ctx, cancel := context.WithTimeout(h.t.Context(), 3*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for i, conn := range h.connect(8) {
		all.Go(func() { h.beBusy(ctx, new(scene), conn, h.tokens[i]) })
	}
	all.Wait()
}

// connect opens so many connections, a few at a time.
func (h *hostile) connect(n int) []net.Conn {
	conns := make([]net.Conn, n)
	var all sync.WaitGroup
	for part := range slices.Chunk(conns, (n+31)/32) {
		all.Go(func() {
			for i := range part {
				part[i] = dialFor(h.t, h.url)
			}
		})
	}
	all.Wait()
	return conns
}

func dialFor(t *testing.T, url string) net.Conn {
	conn, err := (&net.Dialer{Timeout: 20 * time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// beBusy asks on one connection, each time as soon as it is answered.
func (h *hostile) beBusy(ctx context.Context, s *scene, conn net.Conn, token string) {
	if conn == nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	read := bufio.NewReaderSize(conn, 4<<10)
	request := "GET /api/v1/whoami HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + "\r\n\r\n"
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := io.WriteString(conn, request); err != nil {
			return
		}
		resp, err := http.ReadResponse(read, nil)
		if err != nil {
			return
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			s.failed(fmt.Sprintf("%d %.200s", resp.StatusCode, body))
			continue
		}
		s.went(time.Since(began))
	}
}
