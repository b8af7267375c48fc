package span_test

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"wxgate/message"
	"wxgate/tracing/span"
)

const valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func fields(lines ...[2]string) *message.Fields {
	f := new(message.Fields)
	for _, line := range lines {
		f.Add(line[0], line[1])
	}
	return f
}

func TestATraceparentIsReadAndWritten(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		valid: valid,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00":            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff":            valid, // flags that are not known yet are not passed on
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":            valid, // a later version is read as far as 00 goes
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more of it": valid,
	} {
		parent := span.ReadParent(fields([2]string{"traceparent", line}))
		if got := string(span.AppendParent(nil, parent)); got != want || !parent.IsRemote() {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}

func TestAMalformedTraceparentCountsForNothing(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"", "00", "00-", valid[:54], valid + "-", valid + "-00", valid + "0", " " + valid, strings.ToUpper(valid), strings.Replace(valid, "-01", "-0A", 1),
		strings.Replace(valid, "00-", "ff-", 1), strings.Replace(valid, "00-", "0x-", 1), strings.ReplaceAll(valid, "-", "_"), strings.Replace(valid, "0af7", "0ag7", 1),
		"00-00000000000000000000000000000000-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more", valid + "," + valid, strings.Repeat("0", 55), strings.Repeat("-", 4000),
	} {
		if got := span.ReadParent(fields([2]string{"traceparent", line})); got.IsValid() {
			t.Errorf("%q: got %v, want nothing", line, got)
		}
	}
	if got := span.ReadParent(fields([2]string{"traceparent", valid}, [2]string{"Traceparent", valid})); got.IsValid() {
		t.Errorf("two lines: got %v, want nothing", got)
	}
	if got := span.ReadParent(fields()); got.IsValid() {
		t.Errorf("no line: got %v", got)
	}
}

func TestATraceStateIsPassedOnWithinItsBounds(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("k%d=v", i))
		}
		return strings.Join(all, ",")
	}
	long := func(key string, n int) string { return key + "=" + strings.Repeat("x", n-len(key)-1) }
	for name, c := range map[string]struct{ lines, want string }{
		"none":                   {"", ""},
		"one":                    {"rojo=00f067aa0ba902b7", "rojo=00f067aa0ba902b7"},
		"several lines":          {"a=1|b=2", "a=1,b=2"},
		"32 entries":             {many(32), many(32)},
		"33 entries":             {many(33), ""},
		"a key twice":            {"a=1,a=2", ""},
		"a key in capitals":      {"A=1", ""},
		"no value":               {"a", ""},
		"512 bytes":              {long("a", 255) + "," + long("b", 256), long("a", 255) + "," + long("b", 256)},
		"a long entry too much":  {long("a", 255) + "," + long("b", 100) + "," + long("c", 256), long("b", 100)},
		"short entries too many": {long("a", 120) + "," + long("b", 120) + "," + long("c", 120) + "," + long("d", 120) + "," + long("e", 120), long("a", 120) + "," + long("b", 120) + "," + long("c", 120) + "," + long("d", 120)},
	} {
		f := new(message.Fields)
		for line := range strings.SplitSeq(c.lines, "|") {
			f.Add("tracestate", line)
		}
		if got := span.ReadState(f).String(); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func FuzzWhatIsReadIsWrittenAsItWas(f *testing.F) {
	f.Add(valid, "a=1,b=2")
	f.Add("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03-x", strings.Repeat("a=1,", 40))
	f.Fuzz(func(t *testing.T, line, state string) {
		in := fields([2]string{"traceparent", line}, [2]string{"tracestate", state})
		parent := span.ReadParent(in)
		if !parent.IsValid() {
			return
		}
		out := string(span.AppendParent(nil, parent))
		again := span.ReadParent(fields([2]string{"traceparent", out}))
		if again.TraceID() != parent.TraceID() || again.SpanID() != parent.SpanID() || again.TraceFlags() != parent.TraceFlags() || out[2:53] != line[2:53] {
			t.Errorf("%q: written as %q", line, out)
		}
		passed := span.ReadState(in).String()
		if _, err := trace.ParseTraceState(passed); err != nil || len(passed) > 512 {
			t.Errorf("%q: passed on as %q: %v", state, passed, err)
		}
	})
}

func TestReadingAndWritingAllocatesNothing(t *testing.T) {
	in, out := fields([2]string{"traceparent", valid}), make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { out = span.AppendParent(out[:0], span.ReadParent(in)) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
