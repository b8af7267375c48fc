package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBusyConnections lets so many connections as BUSY says, as in BUSY=2000, ask one thing after the other for 8 s, and says
// what came of it: the table of docs/limits.md. The breaker must stay closed and the gateway alive.
func TestBusyConnections(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("BUSY"))
	if err != nil {
		t.Skip("BUSY says how many, as in BUSY=2000")
	}
	h := newHostile(t, 200)
	s := &scene{kind: fmt.Sprint(n, " busy connections")}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { s.watchMemory(ctx, h.process) })
	for i := range n {
		all.Go(func() { h.beBusy(ctx, s, i) })
	}
	all.Wait()
	h.report([]*scene{s})
	if h.gone() || strings.Contains(h.output.String(), `"msg":"breaker open"`) || len(s.took) == 0 {
		t.Errorf("%d answers, the first failure: %s; the log:\n%.2000s", len(s.took), s.first, h.output)
	}
	t.Logf("%.0f a second, the first failure: %s", float64(len(s.took))/8, s.first)
}

// beBusy asks on one connection, each time as soon as it is answered.
func (h *hostile) beBusy(ctx context.Context, s *scene, i int) {
	conn, err := (&net.Dialer{Timeout: 20 * time.Second}).DialContext(ctx, "tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	read := bufio.NewReaderSize(conn, 4<<10)
	request := "GET /api/v1/whoami HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + h.tokens[i%len(h.tokens)] + "\r\n\r\n"
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
