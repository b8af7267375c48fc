package contestants

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxgate/bench/tokens"
)

const secret = "a secret of the tests that is long enough"

func place(t *testing.T) Place {
	return Place{
		Folder: t.TempDir(), Bin: "/bin/bench", WXGate: "/bin/wxgate", Secret: secret,
		Service: netip.MustParseAddrPort("127.0.0.1:9001"), WeChat: netip.MustParseAddrPort("127.0.0.1:9002"),
	}
}

func TestEveryTemplateCanBeFilledIn(t *testing.T) {
	t.Parallel()
	p := place(t)
	for _, c := range All() {
		v, err := p.prepare(c)
		if err != nil {
			t.Fatal(err)
		}
		arguments, err := c.arguments(v)
		if err != nil || len(arguments) == 0 || strings.Contains(strings.Join(arguments, " "), "{{") {
			t.Errorf("got %q, %v for %s", arguments, err, c.Name)
		}
		for name := range c.Files {
			text, err := os.ReadFile(filepath.Join(p.Folder, c.Name, name))
			if err != nil || strings.Contains(string(text), "{{") {
				t.Errorf("got %s, %v, for %s of %s", text, err, name, c.Name)
			}
		}
	}
}

func TestTheOptionsReachTheConfigurationOfWXGate(t *testing.T) {
	t.Parallel()
	p := place(t)
	for want, options := range map[string]Options{
		"access: true":                  {},
		"access: false":                 {NoLog: true},
		"in_flight: 60000":              {Raised: true},
		"/more/service11/items/:id/**":  {Routes: 12},
		"[http://a:1, http://b:2]":      {Targets: []string{"http://a:1", "http://b:2"}},
		"dir: /srv/million":             {Data: "/srv/million"},
		"targets: [http://127.0.0.1:90": {},
	} {
		v, err := p.prepare(WXGate("wxgate", "", options))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(v.Folder, "gateway.yaml"))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("got %s, %v, want %q in it", text, err, want)
		}
	}
}

func TestAnUnknownFieldOfATemplateIsAnError(t *testing.T) {
	t.Parallel()
	if text, err := expand("{{.Nothing}}", values{}); err == nil {
		t.Errorf("got %q", text)
	}
}

// gateway is a contestant made of a handler; its tokens lie in the folder that it returns.
func gateway(t *testing.T, handler http.HandlerFunc) (netip.AddrPort, string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	folder := t.TempDir()
	if err := tokens.Write(folder, secret, tokens.Make(secret, 1, time.Now()), time.Now()); err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://")), folder
}

// perfect does the job for one token.
func perfect(t *testing.T, good *string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		size := 1024
		switch {
		case r.Header.Get("Authorization") != "Bearer "+*good:
			w.WriteHeader(http.StatusUnauthorized)
			return
		case strings.HasSuffix(r.URL.Path, "/echo"):
			_ = json.NewEncoder(w).Encode(map[string]any{
				"line":    fmt.Sprintf("%s %s HTTP/1.1", r.Method, r.RequestURI),
				"headers": map[string][]string{"host": {"a"}, "x-user-id": {"u000000"}},
			})
			return
		case len(body) > 0:
			_, _ = fmt.Fprintf(w, `{"n":%d}`, len(body))
			return
		}
		_, _ = fmt.Sscanf(r.URL.Path, "/api/v1/size/%d", &size)
		w.Header().Set("Content-Length", fmt.Sprint(size))
		_, _ = w.Write(make([]byte, size))
	}
}

func TestAContestantThatDoesTheJobPasses(t *testing.T) {
	t.Parallel()
	var good string
	address, folder := gateway(t, perfect(t, &good))
	good, _ = tokens.First(folder, tokens.Good)
	if err := Check(t.Context(), address, folder, false); err != nil {
		t.Error(err)
	}
}

func TestAContestantThatTrustsEverybodyFails(t *testing.T) {
	t.Parallel()
	address, folder := gateway(t, func(w http.ResponseWriter, r *http.Request) {
		ids := append(r.Header.Values("X-User-Id"), "u000000")
		_ = json.NewEncoder(w).Encode(map[string]any{"line": "GET /api/v1/echo HTTP/1.1", "headers": map[string][]string{"x-user-id": ids}})
	})
	err := Check(t.Context(), address, folder, false)
	for _, want := range []string{
		"alg none: got 200", "a bad signature: got 200", "an expired token: got 200", "no token: got 200", "a changed claim: got 200",
		`X-User-Id: got ["attacker"`, "the request line", "1 MiB up", "Host: got []", "/api/v1/size/102400: got 200",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}
