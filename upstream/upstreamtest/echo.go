package upstreamtest

import (
	"encoding/json"
	"fmt"
	"testing"
)

// echoed is what Echo says of a request, as JSON.
type echoed struct {
	Method string     `json:"method"`
	Target string     `json:"target"`
	Fields [][]string `json:"fields"` // [name, value], in their order
	Body   string     `json:"body"`
}

// Echo runs a service that answers every request with 200 and what it was, as JSON: method, target, fields ([name,
// value], in their order) and body.
func Echo(t testing.TB) *Service {
	t.Helper()
	return HTTP(t, func(req Request) string {
		received := echoed{Method: req.Method, Target: req.Target, Body: string(req.Body)}
		for _, f := range req.Fields {
			received.Fields = append(received.Fields, []string{f.Name, f.Value})
		}
		body, _ := json.Marshal(received)
		if req.Method == "HEAD" {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
		}
		return OK("application/json", string(body))
	})
}

// OK returns an answer 200 with a Content-Length.
func OK(contentType, body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", contentType, len(body), body)
}
