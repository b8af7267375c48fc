package prove

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/gateway"
	"wxgate/gateway/proof"
	"wxgate/secret"
)

const testToken = secret.Text("a-token-of-the-operator-of-32-bytes")

// openDoor is a gateway that has the token and does everything wrong: it lets all requests pass, as they are, and reads what it should
// refuse.
func openDoor(t *testing.T) *url.URL {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go serveWrongly(conn)
		}
	}()
	return &url.URL{Scheme: "http", Host: ln.Addr().String()}
}

func serveWrongly(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	read := bufio.NewReader(conn)
	for {
		var lines []string
		for {
			line, err := read.ReadString('\n')
			if err != nil {
				return
			}
			if line = strings.TrimRight(line, "\r\n"); line == "" {
				break
			}
			lines = append(lines, line)
		}
		if len(lines) == 0 {
			continue
		}
		first := strings.SplitN(lines[0]+"  ", " ", 3)
		e := gateway.Explanation{Route: &gateway.RouteInfo{Path: "/**", Auth: gateway.AuthNone, To: "recipes"}, Sent: lines[1:], Client: "127.0.0.1"}
		answer := ""
		for _, line := range lines[1:] {
			name, value, _ := strings.Cut(line, ": ")
			switch {
			case strings.EqualFold(name, proof.HeaderQuestion):
				answer, _ = proof.Answer(testToken, first[0], first[1], value, time.Now())
			case strings.EqualFold(name, "X-Forwarded-For"):
				e.Client = value
			case strings.EqualFold(name, "X-WX-OPENID") && len(lines) < 10:
				e.Cloud = true
			}
		}
		body, _ := json.Marshal(e)
		if first[1] == "/metrics" {
			body, answer = []byte("wxgate_build_info 1"), ""
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s", proof.HeaderAnswer, answer, len(body), body)
		if first[0] == "CONNECT" {
			return
		}
	}
}

// TestEachAttackCanSucceed runs all of them against a gateway that stands open, with a service beside it.
func TestEachAttackCanSucceed(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(service.Close)
	cfg := gateway.DefaultConfig()
	cfg.Server.Admin = strings.TrimPrefix(service.URL, "http://")
	cfg.PushUpstreams = []string{"recipes"}
	cfg.Routes = []gateway.RouteConfig{
		{Path: "/api/**", Upstream: "recipes", Auth: gateway.AuthRequired}, {Path: "/open/:id", Upstream: "recipes", Auth: gateway.AuthOptional},
	}
	findings, err := Run(t.Context(), Gateway{URL: openDoor(t), Token: testToken, Config: cfg, Services: []string{service.URL}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Verdict{
		"control": Held, "identity": Failed, "Cloud Run": Failed, "address": Look, "tokens": Failed, "paths": Failed, "framing": Failed,
		"methods": Failed, "messages": Failed, "admin paths": Failed, "admin listener": Held, "service " + strings.TrimPrefix(service.URL, "http://"): Failed,
	}
	for _, f := range findings {
		if f.Verdict != want[f.About] || f.Sent == "" || f.Got == "" || f.Verdict != Held && f.Advice == "" {
			t.Errorf("%+v, want %s, what was sent and got, and what to do", f, want[f.About])
		}
		delete(want, f.About)
	}
	if len(want) > 0 {
		t.Errorf("not tried: %v", want)
	}
}

func TestASampleMatchesItsPattern(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{"/api/**": "/api/prove", "/a/:id/b": "/a/1/b", "/": "/"} {
		if got := (gateway.RouteConfig{Path: pattern}).ExamplePath(restOfPath); got != want {
			t.Errorf("%s: %s, want %s", pattern, got, want)
		}
	}
	if dressed := dressings("/api/x"); slices.Contains(dressed, "/api/x") || len(dressed) < 15 {
		t.Errorf("dressings: %v", dressed)
	}
}
