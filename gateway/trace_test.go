package gateway

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/gateway/accesslog"
	"wxgate/gateway/limit"
	"wxgate/tracing"
	"wxgate/upstream/upstreamtest"
)

const (
	clientTrace  = "0af7651916cd43dd8448eb211c80319c"
	clientParent = "00-" + clientTrace + "-b7ad6b7169203331-"
)

// tracedEdge is an edge whose service tells what it gets, and what its access log says.
func tracedEdge(t *testing.T, cfg tracing.Config, trusted bool) (e *edge, got chan upstreamtest.Request, log *lockedText) {
	t.Helper()
	got, log = make(chan upstreamtest.Request, 1), new(lockedText)
	service := upstreamtest.HTTP(t, func(r upstreamtest.Request) string {
		got <- r
		return upstreamtest.OK("text/plain", "ok")
	})
	tracer, err := tracing.New(cfg, tracing.Resource{}, prometheus.NewRegistry(), discard(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tracer.Close)
	e = newEdgeWith(t, service.URL, func(c *Config) {
		c.Log.Access = true
		if trusted {
			c.Server.TrustedProxies = []limit.Network{{Prefix: netip.MustParsePrefix("127.0.0.1/32")}}
		}
	}, func(deps *Deps) { deps.Tracer, deps.Access = tracer, accesslog.New(log, accesslog.JSON) })
	return e, got, log
}

// collector is where nobody listens: spans are lost, and nothing waits for them.
const collector = tracing.Endpoint("http://127.0.0.1:9")

func TestAServiceGetsOneValidTraceparent(t *testing.T) {
	t.Parallel()
	all, none := tracing.Config{OTLP: collector, Sample: 1}, tracing.Config{OTLP: collector}
	ours := regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`)
	for name, c := range map[string]struct {
		cfg     tracing.Config
		trusted bool
		in      []string
		trace   string // "": a new one
		flags   string // "": what came passes as it was, if it did
		state   string
		passed  bool
	}{
		"none, recorded":                     {cfg: all, flags: "01"},
		"none, not recorded":                 {cfg: none, flags: "00"},
		"a stranger forces nothing":          {cfg: none, in: []string{"traceparent: " + clientParent + "01", "tracestate: dd=s:2"}, trace: clientTrace, flags: "00"},
		"a stranger prevents nothing":        {cfg: all, in: []string{"Traceparent: " + clientParent + "00"}, trace: clientTrace, flags: "01"},
		"a proxy decides to record":          {cfg: none, trusted: true, in: []string{"traceparent: " + clientParent + "01", "tracestate: a=1", "Tracestate: b=2"}, trace: clientTrace, flags: "01", state: "a=1,b=2"},
		"a proxy decides not to":             {cfg: all, trusted: true, in: []string{"traceparent: " + clientParent + "00", "tracestate: a=1"}, trace: clientTrace, flags: "00", state: "a=1"},
		"malformed":                          {cfg: all, trusted: true, in: []string{"traceparent: 00-1-2-3", "tracestate: a=1"}, flags: "01"},
		"two":                                {cfg: all, trusted: true, in: []string{"traceparent: " + clientParent + "01", "traceparent: " + clientParent + "01"}, flags: "01"},
		"a malformed state":                  {cfg: all, trusted: true, in: []string{"traceparent: " + clientParent + "01", "tracestate: A,,="}, trace: clientTrace, flags: "01"},
		"without a collector":                {in: []string{"traceparent: " + clientParent + "01", "tracestate: a=1"}, trace: clientTrace, passed: true, state: "a=1"},
		"malformed, without a collector":     {in: []string{"traceparent: 00-1-2-3", "tracestate: a=1"}},
		"none, and no collector":             {},
		"named by Connection, is still ours": {cfg: all, in: []string{"Connection: traceparent"}, flags: "01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, requests, log := tracedEdge(t, c.cfg, c.trusted)
			e.send(t, head("GET /public/x", "", c.in...))
			got := <-requests
			parents, states := got.Values("Traceparent"), got.Values("Tracestate")
			if state := strings.Join(states, "|"); state != c.state {
				t.Errorf("tracestate: got %q, want %q", state, c.state)
			}
			logged := regexp.MustCompile(`"trace_id":"([0-9a-f]{32})"`)
			eventually(t, "there is an access line", func() bool { return strings.Contains(log.String(), `"msg":"request"`) })
			line := logged.FindStringSubmatch(log.String())
			switch {
			case c.passed:
				if len(parents) != 1 || parents[0] != clientParent+"01" || line == nil || line[1] != clientTrace {
					t.Errorf("got %q and in the log %q, want what the client has sent", parents, line)
				}
			case c.flags == "":
				if len(parents) != 0 || line != nil {
					t.Errorf("got %q and in the log %q, want none", parents, line)
				}
			case len(parents) != 1 || !ours.MatchString(parents[0]) || !strings.HasSuffix(parents[0], "-"+c.flags) || strings.Contains(parents[0], "b7ad6b7169203331"):
				t.Errorf("got %q, want one of ours with %s", parents, c.flags)
			case line == nil || !strings.HasPrefix(parents[0], "00-"+line[1]) || c.trace != "" && line[1] != c.trace || c.trace == "" && line[1] == clientTrace:
				t.Errorf("got %q and in the log %q, want trace %q", parents, line, c.trace)
			}
		})
	}
}
