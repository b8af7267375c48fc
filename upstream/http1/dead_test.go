package http1_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

// closing runs a service that answers every request, with every sign of staying, and then ends every third connection:
// at once or a moment later, as one whose keep-alive runs out does.
func closing(t *testing.T) *upstreamtest.Service {
	var s *upstreamtest.Service
	ready := make(chan struct{})
	s = upstreamtest.Raw(t, func(conn net.Conn, n int) {
		<-ready
		br := bufio.NewReader(conn)
		for {
			if _, err := s.Receive(br, n); err != nil {
				return
			}
			_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "hi"))
			switch rand.IntN(6) {
			case 0:
				return
			case 1:
				_ = conn.SetReadDeadline(time.Now().Add(time.Duration(rand.IntN(300)) * time.Microsecond))
				if _, err := br.Peek(1); err != nil {
					return
				}
				_ = conn.SetReadDeadline(time.Time{})
			}
		}
	})
	close(ready)
	return s
}

func TestAGetNeverMeetsAConnectionThatTheServiceHasJustClosed(t *testing.T) {
	t.Parallel()
	service := closing(t)
	u := newClient(t, service.URL)
	var all sync.WaitGroup
	for sender := range 4 {
		all.Go(func() {
			for i := range 1000 {
				method := []string{"GET", "GET", "DELETE", "POST"}[i%4]
				req := newRequest(method, "/")
				req.Fields.Set(upstreamtest.IDField, fmt.Sprint(sender, "-", i))
				_, err := u.Do(req, new(message.Response), soon())
				if err != nil && (method != "POST" || !errors.Is(err, http1.ErrReset)) {
					t.Errorf("%s: %v, want an answer", method, err)
				}
			}
		})
	}
	all.Wait()
	executed := map[string]int{}
	for _, req := range service.Requests() {
		if req.Method == "POST" {
			executed[req.Field(upstreamtest.IDField)]++
		}
	}
	for id, n := range executed {
		if n > 1 {
			t.Errorf("POST %s was executed %d times", id, n)
		}
	}
}

// A connection that dies within an answer is not met dead: the request is not sent again.
func TestAConnectionThatDiesWithinAnAnswerIsNotRenewed(t *testing.T) {
	t.Parallel()
	for _, begun := range []string{"H", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"} {
		service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
			br := bufio.NewReader(conn)
			for i := 0; ; i++ {
				if _, err := upstreamtest.ReadRequest(br); err != nil {
					return
				}
				if i == 1 {
					_, _ = io.WriteString(conn, begun)
					return
				}
				_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "hi"))
			}
		})
		u := newClient(t, service.URL)
		get(t, u, "/")
		ex, err := u.Do(newRequest("GET", "/"), new(message.Response), soon())
		if !errors.Is(err, http1.ErrReset) || ex.Attempts != 1 {
			t.Errorf("behind %q: %v after %d attempts, want a reset after 1", begun, err, ex.Attempts)
		}
	}
}
