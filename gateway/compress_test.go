package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"wxgate/upstream/upstreamtest"
)

// page is text that compresses well.
var page = strings.Repeat(`{"id":1,"title":"番茄炒蛋"},`, 4000)

// newTextService answers by path with text of several lengths and framings.
func newTextService(t *testing.T) *upstreamtest.Service {
	t.Helper()
	return upstreamtest.HTTP(t, func(req upstreamtest.Request) string {
		body, more := page, ""
		switch path := req.Target[strings.LastIndexByte(req.Target, '/')+1:]; path {
		case "short":
			body = page[:100]
		case "whole":
			body = page[:20000]
		case "tagged":
			body, more = page[:20000], "ETag: \"v1\"\r\nAccept-Ranges: bytes\r\nServer: Backend/1.0\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nCache-Control: private\r\nX-Wxgate-Reason: no_route\r\n"
			for _, f := range req.Fields {
				if strings.EqualFold(f.Name, "If-None-Match") && strings.Contains(f.Value, `"v1"`) {
					return "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n"
				}
			}
		case "missing":
			return "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nServer: Backend/1.0\r\nContent-Length: 3\r\n\r\nno\n"
		case "chunks":
			head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
			if req.Method == http.MethodHead {
				return head
			}
			return head + fmt.Sprintf("%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", len(body)-10, body[:len(body)-10], 10, body[len(body)-10:])
		}
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n", more, len(body))
		if req.Method == http.MethodHead {
			return head
		}
		return head + body
	})
}

// decoded is a body without its coding.
func decoded(t *testing.T, coding, body string) string {
	t.Helper()
	var r io.Reader = strings.NewReader(body)
	switch coding {
	case "zstd":
		d, err := zstd.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		r = d
	case "br":
		r = brotli.NewReader(r)
	case "gzip":
		d, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		r = d
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Errorf("%s: %v", coding, err)
	}
	return string(plain)
}

// compressed sends a request until its answer is compressed: a machine that is busy with other tests passes it as it is.
func (e *edge) compressed(t *testing.T, raw string) (resp *http.Response, body string) {
	t.Helper()
	eventually(t, "the answer is compressed", func() bool {
		resp, body = e.send(t, raw)
		return resp.Header.Get("Content-Encoding") != ""
	})
	return resp, body
}

func TestTextOfServicesIsCompressedForWhoAcceptsIt(t *testing.T) {
	t.Parallel()
	e := newEdge(t, newTextService(t).URL, func(cfg *Config) { cfg.Server.Compress = true })
	for _, path := range []string{"whole", "long", "chunks"} {
		want := page
		if path == "whole" {
			want = page[:20000]
		}
		for accept, coding := range map[string]string{"gzip, deflate, br, zstd": "zstd", "br, gzip": "br", "gzip": "gzip"} {
			resp, body := e.compressed(t, head("GET /public/"+path, "", "Accept-Encoding: "+accept))
			if got := resp.Header.Get("Content-Encoding"); got != coding || resp.Header.Get("Vary") != "Accept-Encoding" || len(body) > len(want)/5 {
				t.Errorf("%s for %q: got %v of %d bytes", path, accept, resp.Header, len(body))
			}
			if plain := decoded(t, coding, body); plain != want {
				t.Errorf("%s for %q: %d bytes came out, want %d", path, accept, len(plain), len(want))
			}
			if known := resp.ContentLength >= 0; known != (path == "whole") {
				t.Errorf("%s for %q: Content-Length is %d", path, accept, resp.ContentLength)
			}
		}
		resp, body := e.send(t, head("GET /public/"+path, ""))
		if resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("Vary") != "Accept-Encoding" || body != want {
			t.Errorf("%s for nobody: got %v of %d bytes", path, resp.Header, len(body))
		}
	}
	if resp, body := e.send(t, head("GET /public/short", "", "Accept-Encoding: gzip")); resp.Header.Get("Content-Encoding") != "" || body != page[:100] {
		t.Errorf("a short answer: got %v of %d bytes", resp.Header, len(body))
	}
}

// TestACompressedAnswerToHTTP10EndsWithItsConnection has no chunks to end with.
func TestACompressedAnswerToHTTP10EndsWithItsConnection(t *testing.T) {
	t.Parallel()
	e := newEdge(t, newTextService(t).URL, func(cfg *Config) { cfg.Server.Compress = true })
	resp, body := e.compressed(t, "GET /public/long HTTP/1.0\r\nConnection: keep-alive\r\nAccept-Encoding: gzip\r\n\r\n")
	if resp.TransferEncoding != nil || !resp.Close || decoded(t, "gzip", body) != page {
		t.Errorf("got %v, %v, %d bytes", resp.Header, resp.TransferEncoding, len(body))
	}
}

func TestHeadAgreesWithGetAboutCompression(t *testing.T) {
	t.Parallel()
	e := newEdge(t, newTextService(t).URL, func(cfg *Config) { cfg.Server.Compress = true })
	for _, path := range []string{"whole", "long", "chunks", "tagged"} {
		get, _ := e.compressed(t, head("GET /public/"+path, "", "Accept-Encoding: br"))
		answer, body := e.compressed(t, head("HEAD /public/"+path, "", "Accept-Encoding: br", "Connection: close"))
		if body != "" || answer.StatusCode != http.StatusOK {
			t.Errorf("%s: got %d, %q", path, answer.StatusCode, body)
		}
		for _, header := range []*http.Header{&get.Header, &answer.Header} {
			for _, own := range []string{"Date", "X-Request-Id", "Content-Length"} {
				header.Del(own)
			}
			header.Del("Connection")
		}
		if got, want := fmt.Sprint(answer.Header), fmt.Sprint(get.Header); got != want {
			t.Errorf("%s: HEAD has %s, GET %s", path, got, want)
		}
	}
	if resp, _ := e.send(t, head("HEAD /public/short", "", "Accept-Encoding: br", "Connection: close")); resp.Header.Get("Content-Encoding") != "" || resp.ContentLength != 100 {
		t.Errorf("a short one: got %v", resp.Header)
	}
}

func TestAClientAsksAgainWithTheValidatorThatItGot(t *testing.T) {
	t.Parallel()
	e := newEdge(t, newTextService(t).URL, func(cfg *Config) { cfg.Server.Compress = true })
	resp, _ := e.compressed(t, head("GET /public/tagged", "", "Accept-Encoding: zstd"))
	tag := resp.Header.Get("ETag")
	if tag != `W/"v1"` || resp.Header.Get("Accept-Ranges") != "" {
		t.Errorf("got %v", resp.Header)
	}
	again, _ := e.send(t, head("GET /public/tagged", "", "Accept-Encoding: zstd", "If-None-Match: "+tag))
	if again.StatusCode != http.StatusNotModified || again.Header.Get("ETag") != tag || again.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("got %d, %v", again.StatusCode, again.Header)
	}
}

func TestARouteHasItsOwnCompression(t *testing.T) {
	t.Parallel()
	on, off := true, false
	service := newTextService(t)
	route := func(own *bool) []RouteConfig {
		return []RouteConfig{{Path: "/a/**", Upstream: "service", Auth: AuthNone, Compress: own}, {Path: "/fixed", Auth: AuthNone, Compress: own, Respond: fixedAnswer{Status: 200, Body: page[:5000]}}}
	}
	e := newEdge(t, service.URL, func(cfg *Config) { cfg.Routes = route(&on) })
	e.compressed(t, head("GET /a/whole", "", "Accept-Encoding: br"))
	if resp, body := e.compressed(t, head("GET /fixed", "", "Accept-Encoding: br")); resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" || decoded(t, "br", body) != page[:5000] {
		t.Errorf("a fixed answer: got %v", resp.Header)
	}
	e = newEdge(t, service.URL, func(cfg *Config) { cfg.Server.Compress, cfg.Routes = true, route(&off) })
	for _, path := range []string{"/a/whole", "/fixed"} {
		if resp, _ := e.send(t, head("GET "+path, "", "Accept-Encoding: br")); resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("Vary") != "" {
			t.Errorf("%s with compress: false: got %v", path, resp.Header)
		}
	}
}

// TestAnswersWithTokensAreNotCompressed is about what an attacker could guess by lengths (BREACH).
func TestAnswersWithTokensAreNotCompressed(t *testing.T) {
	t.Parallel()
	e := newEdge(t, newTextService(t).URL, func(cfg *Config) { cfg.Server.Compress = true })
	nickname := strings.Repeat("a", 60)
	login := fmt.Sprintf(`{"code":%q,"nickName":%q}`, e.weChat.IssueCode("alice"), nickname)
	for range 3 {
		resp, body := e.send(t, head("POST /api/v1/auth/wx-login", "", "Accept-Encoding: gzip, br, zstd", fmt.Sprintf("Content-Length: %d", len(login)))+login)
		if resp.Header.Get("Content-Encoding") != "" || resp.Header.Get("Vary") != "" || !strings.Contains(body, nickname) {
			t.Errorf("a login: got %v\n%s", resp.Header, body)
		}
		login = strings.Replace(login, login[9:9+strings.IndexByte(login[9:], '"')], e.weChat.IssueCode("alice"), 1)
		token := e.token(t, "alice")
		resp, body = e.send(t, head("POST /api/v1/auth/refresh", token, "Accept-Encoding: gzip, br, zstd", "Content-Length: 0"))
		if resp.Header.Get("Content-Encoding") != "" || !strings.Contains(body, "access_token") {
			t.Errorf("a refresh: got %v\n%s", resp.Header, body)
		}
	}
}

func TestARouteSetsAndRemovesHeadersOfAnswers(t *testing.T) {
	t.Parallel()
	e := newEdge(t, newTextService(t).URL, func(cfg *Config) {
		changes := RouteHeaders{
			Set:    map[string]string{"Cache-Control": "public, max-age=600", "X-Frame-Options": "DENY", "etag": `"ours"`},
			Remove: []string{"Server", "accept-ranges"},
		}
		cfg.Routes = []RouteConfig{
			{Path: "/a/**", Upstream: "service", Auth: AuthNone, Response: changes},
			{Path: "/private/**", Upstream: "service", Auth: AuthRequired, Response: changes},
			{Path: "/fixed", Auth: AuthNone, Response: changes, Respond: fixedAnswer{Status: 200, Body: "ok"}},
		}
	})
	for _, path := range []string{"/a/tagged", "/fixed"} {
		resp, _ := e.send(t, head("GET "+path, ""))
		for name, want := range map[string]string{
			"Cache-Control": "[public, max-age=600]", "X-Frame-Options": "[DENY]", "Etag": `["ours"]`, "Server": "[]", "Accept-Ranges": "[]", "X-Wxgate-Reason": "[]",
		} {
			if got := fmt.Sprint(resp.Header.Values(name)); got != want {
				t.Errorf("%s: %s is %s, want %s", path, name, got, want)
			}
		}
		if path == "/a/tagged" && fmt.Sprint(resp.Header["Set-Cookie"]) != "[a=1 b=2]" {
			t.Errorf("the cookies of the service are %q", resp.Header["Set-Cookie"])
		}
	}
	resp, _ := e.send(t, head("GET /a/missing", ""))
	if h := resp.Header; resp.StatusCode != http.StatusNotFound || h.Get("Cache-Control") != "" || h.Get("X-Frame-Options") != "DENY" || h.Get("Server") != "" {
		t.Errorf("an error of the service: got %d, %v; want no word on how long it may be stored", resp.StatusCode, h)
	}
	resp, _ = e.send(t, head("GET /private/tagged", ""))
	if h := resp.Header; resp.StatusCode != http.StatusUnauthorized || h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "" {
		t.Errorf("a refusal: got %d, %v; want what refusals have", resp.StatusCode, h)
	}
}

func TestARouteCannotSetWhatOthersDecide(t *testing.T) {
	t.Parallel()
	for name, why := range map[string]string{
		"Content-Length": "is set by the gateway itself", "transfer-encoding": "is set by the gateway itself", "Connection": "is set by the gateway itself",
		"Upgrade": "is set by the gateway itself", "Trailer": "is set by the gateway itself", "Keep-Alive": "is set by the gateway itself",
		"X-Request-Id": "is set by the gateway itself", "x_request_id": "is set by the gateway itself", "RateLimit-Policy": "is set by the gateway itself",
		"Sec-WebSocket-Accept": "is set by the gateway itself", "Proxy-Authenticate": "is set by the gateway itself",
		"X-Wxgate-Reason": "is one of the gateway's own", "X-User-Id": "is one of the gateway's own",
		"Content-Encoding": "says how the body is to be read", "Set-Cookie": "belongs to one user", "set-cookie2": "belongs to one user",
		"Access-Control-Allow-Origin": "is for cors to say", "No Token": "is not a header name",
	} {
		for _, changes := range []RouteHeaders{{Set: map[string]string{name: "x"}}, {Remove: []string{name}}} {
			cfg := DefaultConfig()
			cfg.Upstreams = []string{"service"}
			cfg.Routes = []RouteConfig{{Path: "/**", Upstream: "service", Auth: AuthNone, Response: changes}}
			if faults := fmt.Sprint(cfg.Validate()); !strings.Contains(faults, "routes[0].response_headers.") || !strings.Contains(faults, why) {
				t.Errorf("%+v: got %q, want that it %s", changes, faults, why)
			}
		}
	}
	for _, value := range []string{"a\r\nSet-Cookie: b", "a\n", "\x00", " a"} {
		faults := RouteHeaders{Set: map[string]string{"X-A": value}}.validate(newReservedHeaders(DefaultConfig()).refusesInAnswer)
		if len(faults) != 1 {
			t.Errorf("%q: got %v, want a fault", value, faults)
		}
	}
}

// BenchmarkALongList is how long a client waits for a megabyte of JSON, as it is and in each coding, and what of it came
// over the wire. It reads, and decodes nothing.
func BenchmarkALongList(b *testing.B) {
	var list strings.Builder
	for id := 0; list.Len() < 1<<20; id++ {
		_, _ = fmt.Fprintf(&list, `{"id":%d,"title":"番茄炒蛋 %d","cover":"https://img.example.com/recipes/%08x.jpg","author":{"id":%d,"nickname":"小厨 %d"},"likes":%d,"published":true},`,
			id, id*7919%9973, id*2654435761%(1<<32), id%200, id%200, id*31%977)
	}
	service := upstreamtest.HTTP(b, func(upstreamtest.Request) string { return upstreamtest.OK("application/json", list.String()) })
	e := newEdge(b, service.URL, func(cfg *Config) { cfg.Server.Compress = true })
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	for _, coding := range []string{"identity", "zstd", "br", "gzip"} {
		b.Run(coding, func(b *testing.B) {
			var took []time.Duration
			var length int64
			for b.Loop() {
				req, _ := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+e.addr+"/public/list", nil)
				req.Header.Set("Accept-Encoding", coding)
				began := time.Now()
				resp, err := client.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				length, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if got := resp.Header.Get("Content-Encoding"); got == coding || coding == "identity" {
					took = append(took, time.Since(began))
				}
			}
			slices.Sort(took)
			if len(took) > 0 {
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			}
			b.ReportMetric(float64(length)/float64(list.Len())*100, "%left")
			b.ReportMetric(float64(len(took))/float64(b.N)*100, "%counted")
		})
	}
}

// BenchmarkChangeNothing is what the step costs a route that changes nothing.
func BenchmarkChangeNothing(b *testing.B) {
	steps := []Step{func(*Exchange) error { return nil }}
	ex, a := newExchange().(*Exchange), new(answerChanger)
	ex.route = new(routeEntry)
	b.ReportAllocs()
	for b.Loop() {
		ex.steps = steps
		_ = a.change(ex)
	}
}
