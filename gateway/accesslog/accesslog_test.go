package accesslog_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wxgate/gateway/accesslog"
	"wxgate/lograte"
	"wxgate/process"
)

// slogLine writes an entry through log/slog.
func slogLine(e accesslog.Entry, format accesslog.Format) string {
	var out bytes.Buffer
	if err := slogHandler(&out, format).Handle(context.Background(), record(e)); err != nil {
		return err.Error()
	}
	return out.String()
}

// slogHandler is a handler with what the process puts around it.
func slogHandler(to io.Writer, format accesslog.Format) slog.Handler {
	if format == accesslog.JSON {
		return slog.NewJSONHandler(process.EscapeJSON(to), nil)
	}
	return slog.NewTextHandler(to, nil)
}

func record(e accesslog.Entry) slog.Record {
	client := "unknown"
	if e.Client.IsValid() {
		client = e.Client.String()
	}
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	r := slog.NewRecord(e.Time, slog.LevelInfo, "request", 0)
	r.AddAttrs(slog.String("request_id", e.RequestID))
	if e.TraceID != [16]byte{} {
		r.AddAttrs(slog.String("trace_id", fmt.Sprintf("%x", e.TraceID)))
	}
	r.AddAttrs(slog.String("method", e.Method), slog.String("route", e.Route),
		slog.String("path", lograte.Clip(e.Path)), slog.Int64("bytes_in", e.BytesIn), slog.String("client_ip", client))
	if e.Version != "" {
		r.AddAttrs(slog.String("http_version", e.Version))
	}
	if e.Upstream != "" {
		r.AddAttrs(slog.String("upstream", e.Upstream), slog.Float64("upstream_ms", milliseconds(e.UpstreamTime)), slog.Int("attempts", e.Attempts))
	}
	if e.UserID != 0 {
		r.AddAttrs(slog.Int64("user_id", e.UserID))
	}
	if e.Detail != "" {
		r.AddAttrs(slog.String("detail", e.Detail))
	}
	if e.Began != 0 {
		r.AddAttrs(slog.Int("began", e.Began))
	}
	r.AddAttrs(slog.Int("status", e.Status), slog.Int64("bytes_out", e.BytesOut), slog.Float64("duration_ms", milliseconds(e.Duration)))
	if e.Reason != "" {
		r.AddAttrs(slog.String("reason", e.Reason))
	}
	return r
}

func line(e accesslog.Entry, format accesslog.Format) string {
	var out bytes.Buffer
	accesslog.New(&out, format).Log(&e)
	return out.String()
}

// compare wants both lines of an entry to be those of log/slog. It leaves DEL as it is in a text line that has no quotes
// for another reason, and we do not.
func compare(t *testing.T, e accesslog.Entry) {
	t.Helper()
	if got, want := line(e, accesslog.JSON), slogLine(e, accesslog.JSON); got != want {
		t.Errorf("got JSON\n%q, log/slog writes\n%q", got, want)
	}
	texts := strings.Join([]string{e.RequestID, e.Method, e.Route, string(e.Path), e.Client.String(), e.Version, e.Upstream, e.Detail, e.Reason}, "")
	if got, want := line(e, accesslog.Text), slogLine(e, accesslog.Text); got != want && !strings.Contains(texts, "\x7f") {
		t.Errorf("got text\n%q, log/slog writes\n%q", got, want)
	}
}

func usual() accesslog.Entry {
	return accesslog.Entry{
		Time: time.Date(2026, 11, 29, 3, 4, 5, 123_456_789, time.UTC), RequestID: "uXH12d5joHDjXHkV", Method: "GET", Route: "/api/**", Path: []byte("/api/recipes/7"),
		Client: netip.MustParseAddr("192.0.2.7"), Upstream: "recipes", UpstreamTime: 8557 * time.Microsecond, Attempts: 1, UserID: 42,
		Status: 200, BytesOut: 1011, Duration: 9_120_999,
	}
}

// hostileText is a text of pieces that some escape is about.
func hostileText(r *rand.Rand) string {
	pieces := []string{
		"a", "Z", " ", "=", `"`, `\`, "/", "\x00", "\x1b[2J", "\n", "\r", "\t", "\b", "\f", "\x7f", "\u0080", "\u009b", "菜", "é", "\u00a0", "\u200b", "\u202e",
		"\u2028", "\u2029", "\ufeff", "\ufffd", "\xff", "\xc2", "\xe2\x80", "\xed\xa0\x80", "\U000e0041", "😀", "👩\u200d🍳", "<script>&", "…", "\U0010ffff",
	}
	var text strings.Builder
	for range r.IntN(8) {
		text.WriteString(pieces[r.IntN(len(pieces))])
	}
	if r.IntN(20) == 0 {
		text.WriteString(strings.Repeat(pieces[r.IntN(len(pieces))], r.IntN(1100)))
	}
	return text.String()
}

func hostileNumber(r *rand.Rand) int64 {
	return []int64{0, 0, 1, -1, 9, 10, 99, 999, 1000, 1001, 1010, 1100, 999_999, 1_000_000, math.MaxInt64, math.MinInt64, r.Int64N(1_000_000), r.Int64()}[r.IntN(18)]
}

func hostileDuration(r *rand.Rand) time.Duration {
	n := time.Duration(hostileNumber(r))
	return []time.Duration{n, n * time.Microsecond, n * time.Millisecond, n * time.Second}[r.IntN(4)]
}

func hostileAddress(r *rand.Rand) netip.Addr {
	var six [16]byte
	for i := range six {
		six[i] = byte(r.IntN(3)) * byte(r.Uint32())
	}
	v6 := netip.AddrFrom16(six)
	return []netip.Addr{{}, netip.AddrFrom4([4]byte(six[:4])), v6, v6.WithZone(hostileText(r)), netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: 1, 15: 9})}[r.IntN(5)]
}

func hostileEntry(r *rand.Rand) accesslog.Entry {
	zones := []*time.Location{time.UTC, time.FixedZone("", 8*3600), time.FixedZone("", -(3*3600 + 30*60)), time.Local}
	at := time.Unix(r.Int64N(4_000_000_000), []int64{0, 1, 999_999, 1_000_000, 120_000_000, 999_999_999, r.Int64N(1_000_000_000)}[r.IntN(7)])
	return accesslog.Entry{
		Time: at.In(zones[r.IntN(len(zones))]), RequestID: hostileText(r), TraceID: [16]byte{byte(r.IntN(2)), 15: byte(r.IntN(2) * 0xa5)}, Method: hostileText(r), Route: hostileText(r), Path: []byte(hostileText(r)),
		BytesIn: hostileNumber(r), Client: hostileAddress(r), Version: hostileText(r), Upstream: hostileText(r), UpstreamTime: hostileDuration(r), Attempts: int(hostileNumber(r)),
		UserID: hostileNumber(r), Detail: hostileText(r), Began: int(hostileNumber(r)), Status: int(hostileNumber(r)), BytesOut: hostileNumber(r),
		Duration: hostileDuration(r), Reason: hostileText(r),
	}
}

// TestALineIsWhatSlogWrites is what keeps the readers of existing logs.
func TestALineIsWhatSlogWrites(t *testing.T) {
	t.Parallel()
	compare(t, usual())
	r := rand.New(rand.NewPCG(13, 29))
	for range 5_000 {
		if compare(t, hostileEntry(r)); t.Failed() {
			break
		}
	}
}

func FuzzALineIsWhatSlogWrites(f *testing.F) {
	f.Add("id", "GET", "/a", []byte("/a\x1b"), "", "", int64(1), int64(1_000_000_000))
	f.Fuzz(func(t *testing.T, id, method, route string, path []byte, upstream, detail string, number, duration int64) {
		e := usual()
		e.RequestID, e.Method, e.Route, e.Path, e.Upstream, e.Detail = id, method, route, path, upstream, detail
		e.BytesOut, e.Duration, e.Time = number, time.Duration(duration), time.Unix(number%4_000_000_000, duration%1_000_000_000)
		compare(t, e)
	})
}

func TestDELIsNotPassedToATerminal(t *testing.T) {
	t.Parallel()
	e := usual()
	e.Path = []byte("/a\x7fb")
	if got := line(e, accesslog.Text); !strings.Contains(got, `path="/a\x7fb"`) {
		t.Errorf("got %q, want DEL escaped", got)
	}
}

func TestALineAllocatesNothing(t *testing.T) {
	for name, format := range map[string]accesslog.Format{"json": accesslog.JSON, "text": accesslog.Text} {
		log, e := accesslog.New(io.Discard, format), usual()
		if n := testing.AllocsPerRun(1000, func() { log.Log(&e) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestNothingIsWrittenWhileTheLevelIsAboveInfo(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, e := accesslog.New(&out, accesslog.Off), usual()
	log.Log(&e)
	if out.Len() > 0 {
		t.Errorf("got %q", out.String())
	}
	log.SetFormat(accesslog.Text)
	log.Log(&e)
	if !strings.HasPrefix(out.String(), "time=2026-11-29T03:04:05.123Z level=INFO msg=request ") {
		t.Errorf("got %q after the format changed", out.String())
	}
}

func BenchmarkLine(b *testing.B) {
	for name, format := range map[string]accesslog.Format{"json": accesslog.JSON, "text": accesslog.Text} {
		b.Run(name, func(b *testing.B) {
			log, e := accesslog.New(io.Discard, format), usual()
			b.ReportAllocs()
			for b.Loop() {
				log.Log(&e)
			}
		})
		b.Run("slog-"+name, func(b *testing.B) {
			handler, e := slogHandler(io.Discard, format), usual()
			b.ReportAllocs()
			for b.Loop() {
				_ = handler.Handle(b.Context(), record(e))
			}
		})
	}
}
