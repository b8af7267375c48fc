package gateway

import (
	"strings"
	"testing"

	"wxgate/upstream/upstreamtest"
)

func TestViaNamesEveryGatewayInOneLine(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	for _, c := range []struct{ raw, want string }{
		{head("GET /public/x", ""), "1.1 wxgate"},
		{head("GET /public/x", "", "Via: 1.0 fred, 1.1 p.example.com"), "1.0 fred, 1.1 p.example.com, 1.1 wxgate"},
		{head("GET /public/x", "", "Via: 1.0 fred", "via: 1.1 anna"), "1.0 fred, 1.1 anna, 1.1 wxgate"},
		{"GET /public/x HTTP/1.0\r\nHost: a\r\n\r\n", "1.0 wxgate"},
	} {
		resp, _ := e.send(t, c.raw)
		if got := strings.Join(service.Requests()[len(service.Requests())-1].Values("Via"), "|"); got != c.want {
			t.Errorf("%q: the service received Via %q, want %q", c.raw, got, c.want)
		}
		if resp.Header.Get("Via") != "" || resp.Header.Get("Server") != "" {
			t.Errorf("the answer tells of us: %v", resp.Header)
		}
	}
}

func TestTheServersOwnNamePasses(t *testing.T) {
	t.Parallel()
	e := newEdge(t, upstreamtest.Fixed(t, "HTTP/1.1 200 OK\r\nServer: theirs\r\nVia: 1.1 cache\r\nContent-Length: 0\r\n\r\n").URL, nil)
	resp, _ := e.send(t, head("GET /public/x", ""))
	if resp.Header.Get("Server") != "theirs" || resp.Header.Get("Via") != "1.1 cache" {
		t.Errorf("Server is %q and Via %q, want those of the service", resp.Header.Get("Server"), resp.Header.Get("Via"))
	}
}
