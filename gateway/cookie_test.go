package gateway

import (
	"strings"
	"testing"

	"wxgate/upstream/upstreamtest"
)

func TestCookiesArriveAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdge(t, service.URL, nil)
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{"Cookie: a=1;b=2"}, "a=1;b=2"},
		{[]string{"cookie:  a=\"x y\"; c ;"}, "a=\"x y\"; c ;"},
		{[]string{"Cookie: foo; =bar; a==b,c"}, "foo; =bar; a==b,c"},
		{[]string{"Cookie: a=1", "X-A: cookie: b", "COOKIE: b=2"}, "a=1; b=2"},
	} {
		e.send(t, head("GET /public/x", "", c.lines...))
		if got := strings.Join(service.Requests()[len(service.Requests())-1].Values("Cookie"), "|"); got != c.want {
			t.Errorf("%q arrived as %q, want %q", c.lines, got, c.want)
		}
	}
	e.send(t, head("GET /public/x", "", "Connection: cookie", "Cookie: a=1"))
	if got := service.Requests()[4].Values("Cookie"); len(got) != 0 {
		t.Errorf("Connection names Cookie, yet %q arrived", got)
	}
}
