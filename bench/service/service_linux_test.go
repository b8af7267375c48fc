package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// start returns the URL of a running service.
func start(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- Run(ctx, netip.MustParseAddrPort(address)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return "http://" + address
		}
	}
	t.Fatal("the service does not listen")
	return ""
}

func client() *http.Client { return &http.Client{Timeout: time.Minute} }

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return string(text)
}

func TestAnAnswerHasTheSizeThatThePathAsksFor(t *testing.T) {
	t.Parallel()
	url := start(t)
	for _, size := range []int{0, 1, 50, 51, 100, 1024, 102400, 10 << 20} {
		text := get(t, fmt.Sprintf("%s/api/size/%d?page=1", url, size))
		if len(text) != size || size > 50 && !json.Valid([]byte(text)) {
			t.Errorf("got %d bytes, JSON %t, for %d", len(text), json.Valid([]byte(text)), size)
		}
	}
	if text := get(t, url+"/anything"); len(text) != 1024 {
		t.Errorf("got %d bytes, want 1024", len(text))
	}
}

func TestAnEchoHasEveryLine(t *testing.T) {
	t.Parallel()
	var got Echo
	if err := json.Unmarshal([]byte(get(t, start(t)+"/echo?a=1")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Line != "GET /echo?a=1 HTTP/1.1" || len(got.Headers["user-agent"]) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestContentIsCountedHoweverItIsFramed(t *testing.T) {
	t.Parallel()
	url := start(t)
	for _, expect := range []string{"", "100-continue"} {
		for _, content := range []io.Reader{bytes.NewReader(make([]byte, 1<<20)), io.LimitReader(strings.NewReader(strings.Repeat("x", 2<<20)), 1<<20)} {
			req, err := http.NewRequest(http.MethodPost, url+"/upload", content)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Expect", expect)
			resp, err := client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if string(text) != `{"n":1048576}` {
				t.Errorf("got %s, want 1048576", text)
			}
		}
	}
}
