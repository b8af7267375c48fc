package gateway

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/gateway/route"
	"wxgate/gateway/wire"
	"wxgate/gateway/wire/wiretest"
	"wxgate/upstream/upstreamtest"
)

// everywhere is a route that takes every path.
func everywhere(cfg *Config) {
	cfg.Routes = []RouteConfig{{Path: "/**", Upstream: "service", Auth: AuthNone}, {Path: "/", Upstream: "service", Auth: AuthNone}}
}

// requestsOf are the whole requests of what the strict reader passed.
func requestsOf(passed string) (whole []upstreamtest.Request) {
	br := bufio.NewReader(strings.NewReader(passed))
	for {
		if line, _ := br.Peek(2); string(line) == "\r\n" {
			_, _ = br.Discard(2)
		}
		req, err := readLenient(br)
		if err != nil {
			return whole
		}
		whole = append(whole, req)
	}
}

// readLenient reads a request as a naive service would; it is right because its input was judged.
func readLenient(br *bufio.Reader) (upstreamtest.Request, error) {
	req, err := http.ReadRequest(br)
	if err != nil {
		return upstreamtest.Request{}, err
	}
	body, err := io.ReadAll(req.Body)
	return upstreamtest.Request{
		Method: req.Method, Target: string(wire.OriginForm(req.Method, []byte(req.RequestURI))), Body: body,
		Fields: []upstreamtest.Field{{Name: "Upgrade", Value: req.Header.Get("Upgrade")}},
	}, err
}

// policy is the status of the gateway's own answer to a request that is good HTTP, 0 when that is forwarded: 400 for its
// path by decision 0005, for a method of nobody, or for half an opening handshake (RFC 6455 §4.2.1).
func policy(req upstreamtest.Request) int {
	if req.Target == "*" {
		return http.StatusNoContent
	}
	if _, clear := route.ParseRequestTarget([]byte(req.Target), nil); !clear || !slices.Contains(forwardable(), req.Method) || req.Field("Upgrade") == "websocket" {
		return http.StatusBadRequest
	}
	return 0
}

// TestWhatTheReaderJudgesIsWhatArrives sends the table of the strict reader through the whole gateway: the service gets
// the requests that were passed, and of a refused one at most a beginning that looks like none.
func TestWhatTheReaderJudgesIsWhatArrives(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	e := newEdgeOf(t, service.URL, func(cfg *Config) { everywhere(cfg); allowsGetBodies(cfg) }, nil, func(*upstreamConfig) {}, func(cfg *listen.Config) { cfg.Linger = 100 * time.Millisecond })
	cases := wiretest.All()
	for _, c := range cases {
		e.judgedAndForwarded(t, service, c)
	}
	t.Logf("%d cases, %d of them by hand", len(cases), len(wiretest.ByHand()))
}

func (e *edge) judgedAndForwarded(t *testing.T, service *upstreamtest.Service, c wiretest.Case) {
	t.Helper()
	before := len(service.Requests())
	statuses, closed := e.conversation(t, c.In(), requestsOf(c.Pass))
	if !closed {
		t.Errorf("%s (%s): the connection is still open", c.Name, c.Rule)
	}
	var should []upstreamtest.Request
	want := 0
	for _, req := range requestsOf(c.Pass) {
		status := policy(req)
		if status == 0 {
			should, status = append(should, req), http.StatusOK
		}
		if want >= len(statuses) || statuses[want] != status {
			t.Errorf("%s (%s): answers %v, want %d for request %d", c.Name, c.Rule, statuses, status, want)
		}
		want++
	}
	arrived := slices.DeleteFunc(service.Requests()[before:], func(req upstreamtest.Request) bool { return !looksWhole(req.Raw) })
	if !slices.EqualFunc(arrived, should, func(a, b upstreamtest.Request) bool {
		return a.Method == b.Method && a.Target == b.Target && bytes.Equal(a.Body, b.Body)
	}) {
		t.Errorf("%s (%s): arrived %+v, want %+v", c.Name, c.Rule, arrived, should)
	}
	if c.Want == "" {
		return
	}
	refused := (&wire.MalformedError{Reason: c.Want}).Status()
	if len(statuses) != want+1 || statuses[want] != refused {
		t.Errorf("%s (%s): answers %v, want %d and then %d; input %.200q", c.Name, c.Rule, statuses, want, refused, c.In())
	}
}

// looksWhole reports whether a service could take what it received for a request.
func looksWhole(raw []byte) bool {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return false
	}
	_, err = io.ReadAll(req.Body)
	return err == nil
}

// conversation sends a text and reads the status of each answer. Our side ends when the requests in the text are
// answered: who ends it while a request waits has left.
func (e *edge) conversation(t *testing.T, in string, requests []upstreamtest.Request) (statuses []int, closed bool) {
	t.Helper()
	l := e.dial(t)
	defer l.Close()
	_, _ = io.WriteString(l.Conn, in) // a refusal may come before all of it
	for {
		asked := new(http.Request)
		if len(statuses) < len(requests) {
			asked.Method = requests[len(statuses)].Method
		} else {
			_ = l.Conn.(*net.TCPConn).CloseWrite()
		}
		resp, err := http.ReadResponse(l.Reader, asked)
		if err != nil {
			return statuses, true
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusContinue {
			continue
		}
		if statuses = append(statuses, resp.StatusCode); len(statuses) > 100 {
			return statuses, false
		}
	}
}
