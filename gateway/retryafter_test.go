package gateway

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"wxgate/upstream/upstreamtest"
)

func TestAnOpenBreakerSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		return "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
	})
	e := newEdgeOf(t, service.URL, nil, nil, func(cfg *upstreamConfig) { cfg.Breaker.Open = time.Hour })
	request := "GET /public/x HTTP/1.1\r\nHost: g\r\n\r\n"
	for range 20 {
		if resp, body := e.send(t, request); resp.StatusCode != 503 || body != "" {
			t.Fatalf("got %d %s, want the service's own 503", resp.StatusCode, body)
		}
	}
	resp, body := e.send(t, request)
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if !strings.Contains(body, "breaker_open") || err != nil || after < 3000 || after > 3600 {
		t.Errorf("got %d %v %s, want breaker_open with the rest of an hour", resp.StatusCode, resp.Header, body)
	}
}
