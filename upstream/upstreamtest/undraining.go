package upstreamtest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// Undraining is a service that never reads the content of a request, like Python's http.server with a handler that does
// not read it: whatever follows a head is the next request. It ends a connection when a request says so, and answers
// with the target and the first X-User-Id. Its Requests are all that it executed, including content that it took for
// one.
type Undraining struct {
	*Service

	// Between is called between two answers on a connection, unless it is nil.
	Between func()

	answers atomic.Int64
}

// Answers returns how many answers it has written, which is more than having executed a request.
func (s *Undraining) Answers() int { return int(s.answers.Load()) }

// NewUndraining runs an Undraining service.
func NewUndraining(t testing.TB) *Undraining {
	t.Helper()
	s := &Undraining{Service: listen(t)}
	s.start(s.serve)
	return s
}

func (s *Undraining) serve(conn net.Conn, n int) {
	br := bufio.NewReader(conn)
	for answers := 0; ; answers++ {
		req, err := recorder{br: br, raw: new(bytes.Buffer)}.head()
		if err != nil {
			return
		}
		if answers > 0 && s.Between != nil {
			s.Between()
		}
		req.Conn = n
		s.keep(req)
		if !s.answer(conn, req) {
			return
		}
	}
}

// answer reports whether the connection stays.
func (s *Undraining) answer(conn net.Conn, req Request) bool {
	body := fmt.Sprintf("%s for %q", req.Target, req.Field("X-User-Id"))
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
	if req.Method == "HEAD" {
		body = ""
	}
	if _, err := io.WriteString(conn, head+body); err != nil {
		return false
	}
	s.answers.Add(1)
	return !strings.EqualFold(req.Field("Connection"), "close")
}
