package gateway

import (
	"net/http"
	"strings"
	"testing"

	"wxgate/upstream/upstreamtest"
)

func TestAFieldOfOneValueIsRefusedTwice(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	token := e.token(t, "alice")
	for name, fields := range map[string][]string{
		"two Content-Types":        {"Content-Type: a/b", "Content-Type: c/d"},
		"two equal ones":           {"Content-Type: a/b", "content-type: a/b"},
		"one of them in disguise":  {"Content-Type: a/b", "content_type: c/d"},
		"one of them empty":        {"Content-Type:", "Content-Type: c/d"},
		"two Origins":              {"Origin: https://a", "Origin: https://b"},
		"two Referers":             {"Referer: https://servicewechat.com/wx1/1/page-frame.html", "Referer: https://servicewechat.com/wx2/1/page-frame.html"},
		"two Ranges":               {"Range: bytes=0-1", "X-A: 1", "Range: bytes=2-3"},
		"a Connection of 101":      {"Connection: a" + strings.Repeat(",a", 100)},
		"two Connections of 101":   {"Connection: a" + strings.Repeat(",a", 50), "Connection: a" + strings.Repeat(",a", 49)},
		"two If-Modified-Since":    {"If-Modified-Since: a", "If-Modified-Since: b"},
		"two Max-Forwards":         {"Max-Forwards: 1", "Max-Forwards: 2"},
		"two Content-Ranges":       {"Content-Range: bytes 0-1/2", "Content-Range: bytes 0-1/3"},
		"two waiting for 100":      {"Content-Type: a/b", "Content-Type: c/d", "Expect: 100-continue", "Content-Length: 2"},
		"two If-Ranges":            {"If-Range: a", "If-Range: b"},
		"two If-Unmodified-Sinces": {"If-Unmodified-Since: a", "If-Unmodified-Since: b"},
	} {
		for _, path := range []string{"/public/x", "/private/x"} {
			if resp, body := e.send(t, head("POST "+path, token, fields...)); resp.StatusCode != http.StatusBadRequest || !strings.Contains(body, "invalid_request") {
				t.Errorf("%s, %s: got %d %s, want 400 invalid_request", name, path, resp.StatusCode, body)
			}
		}
	}
	two := "Authorization: Bearer " + e.token(t, "bob")
	if resp, body := e.send(t, head("GET /public/x", token, two)); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("two tokens on a public route: got %d %s, want 400", resp.StatusCode, body)
	}
	for _, path := range []string{"/private/x", "/optional/x"} {
		if resp, body := e.send(t, head("GET "+path, token, two)); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("two tokens at %s: got %d %s, want 401", path, resp.StatusCode, body)
		}
	}
	if n := len(service.Requests()); n > 0 {
		t.Errorf("%d requests reached the service", n)
	}
}
