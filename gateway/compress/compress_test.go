package compress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	brrr "github.com/molecule-man/go-brrr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"wxgate/message"
)

// list is a page of recipes in JSON of at least n bytes, as services answer: keys that repeat, people that return, and
// texts, pictures and numbers that do not.
func list(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2)) // the same every time
	words := strings.Fields("红烧 清蒸 麻辣 家常 番茄 鸡蛋 牛肉 豆腐 排骨 土豆 茄子 鲈鱼 米饭 面条 汤 饼 酱油 生抽 葱花 姜片 蒜末 五花肉 青椒 木耳 香菇 虾仁 粉丝 白菜 萝卜 冬瓜")
	text := func(length int) string {
		var b strings.Builder
		for range length {
			b.WriteString(words[random.IntN(len(words))])
		}
		return b.String()
	}
	var authors []string
	for id := range 200 {
		authors = append(authors, fmt.Sprintf(`{"id":%d,"nickname":%q,"avatar":"https://thirdwx.qlogo.cn/mmopen/vi_32/%016x/132"}`, id+1, text(2), random.Uint64()))
	}
	var b bytes.Buffer
	b.WriteString(`{"code":200,"data":{"items":[`)
	for id := 1; b.Len() < n; id++ {
		if id > 1 {
			b.WriteByte(',')
		}
		_, _ = fmt.Fprintf(&b, `{"id":%d,"title":%q,"description":%q,"cover":"https://img.example.com/recipes/%d/%08x.jpg","author":%s,"likes":%d,"favorites":%d,"minutes":%d,"difficulty":"easy","tags":[%q,%q],"published":true,"created_at":"2026-%02d-%02dT%02d:%02d:%02d.000Z"}`,
			id, text(3), text(8), id, random.Uint32(), authors[random.IntN(len(authors))], random.IntN(1000), random.IntN(300), 5+5*random.IntN(20), text(1), text(1),
			1+random.IntN(12), 1+random.IntN(28), random.IntN(24), random.IntN(60), random.IntN(60))
	}
	b.WriteString(`]}}`)
	return b.Bytes()
}

// BenchmarkCompress has the figures by which the levels were chosen: time, how many percent are left, and the memory of an
// encoder. Bodies come in parts, as from a service.
func BenchmarkCompress(b *testing.B) {
	for _, size := range []int{4 << 10, 60 << 10, 1 << 20} {
		content := list(size)
		run := func(name string, newEncoder func() encoder) {
			b.Run(fmt.Sprintf("%s/%dKiB", name, size>>10), func(b *testing.B) {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				buf := &buffer{encoder: newEncoder()}
				length := 0
				compress := func() {
					buf.begin()
					length = 0
					for part := range slices.Chunk(content, 16<<10) {
						_, _ = buf.encoder.Write(part)
						length += len(buf.bytes)
						buf.reset()
					}
					_ = buf.encoder.Close()
					length += len(buf.bytes)
				}
				compress()
				runtime.ReadMemStats(&after)
				b.SetBytes(int64(len(content)))
				b.ReportAllocs()
				for b.Loop() {
					compress()
				}
				b.ReportMetric(float64(length)/float64(len(content))*100, "%left")
				b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/1024, "KiB")
			})
		}
		for as := range codings {
			run(as.String(), func() encoder { return newEncoder(as) })
		}
		for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedBetterCompression} {
			run("zstd-"+level.String(), func() encoder {
				e, _ := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<windowBits), zstd.WithLowerEncoderMem(true))
				return e
			})
		}
		for _, level := range []int{1, 4, 5} {
			run(fmt.Sprintf("br-%d", level), func() encoder {
				e, _ := brrr.NewWriterOptions(nil, level, brrr.WriterOptions{LGWin: windowBits})
				return e
			})
		}
		run("andybalholm-3", func() encoder {
			return brotli.NewWriterOptions(nil, brotli.WriterOptions{Quality: 3, LGWin: windowBits})
		})
		for _, level := range []int{1, 4, 6} {
			run(fmt.Sprintf("gzip-%d", level), func() encoder {
				e, _ := gzip.NewWriterLevel(nil, level)
				return e
			})
		}
	}
}

// decode returns what is behind a coding, read by another implementation than that of clients' phones, but to the end.
func decode(t *testing.T, as string, encoded []byte) (content []byte, err error) {
	t.Helper()
	var r io.Reader
	switch as {
	case "zstd":
		d, err := zstd.NewReader(bytes.NewReader(encoded), zstd.WithDecoderMaxWindow(8<<20)) // RFC 9659
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		r = d
	case "br":
		r = brotli.NewReader(bytes.NewReader(encoded))
	case "gzip":
		if r, err = gzip.NewReader(bytes.NewReader(encoded)); err != nil {
			return nil, err
		}
	case "":
		r = bytes.NewReader(encoded)
	}
	return io.ReadAll(r)
}

// parts is a body in parts. An empty one stands for the end of what is there: more must be waited for.
type parts struct {
	all    []string
	err    error // at its end
	waits  int
	closed int
}

func (p *parts) Next() ([]byte, error) {
	for len(p.all) > 0 {
		part := p.all[0]
		p.all = p.all[1:]
		if part != "" {
			return []byte(part), nil
		}
		p.waits++
	}
	if p.err != nil {
		return nil, p.err
	}
	return nil, io.EOF
}
func (p *parts) Ready() bool  { return len(p.all) == 0 || p.all[0] != "" }
func (p *parts) Close() error { p.closed++; return nil }

func neverBusy() bool { return false }

// wants are the fields of a request that accepts these codings.
func wants(accept ...string) *message.Fields {
	f := new(message.Fields)
	for _, value := range accept {
		f.Add("Accept-Encoding", value)
	}
	return f
}

// newAnswer is a 200 of JSON with these further fields: "Name: value".
func newAnswer(lines ...string) *message.Response {
	resp := &message.Response{Status: http.StatusOK, Length: -1}
	for _, line := range append([]string{"Content-Type: application/json; charset=utf-8"}, lines...) {
		name, value, _ := strings.Cut(line, ": ")
		resp.Fields.Set(name, value)
	}
	return resp
}

// drain reads a stream to its end.
func drain(s message.Stream) (all []byte, err error) {
	for {
		part, err := s.Next()
		if err == io.EOF { //nolint:errorlint // as a server reads it
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, part...)
	}
}

func fields(resp *message.Response) string { return string(resp.Fields.AppendTo(nil)) }

func TestABodyArrivesAsTheServiceSentIt(t *testing.T) {
	t.Parallel()
	c := New(prometheus.NewRegistry())
	content := list(100 << 10)
	for as := range codings {
		for range 3 { // encoders are used again
			whole := newAnswer()
			whole.Body = bytes.Clone(content)
			c.Apply(wants(as.String()), whole, neverBusy)
			if got, err := decode(t, as.String(), whole.Body); err != nil || !bytes.Equal(got, content) || len(whole.Body) > len(content)/4 {
				t.Errorf("%v: %d bytes became %d and then %d, %v", as, len(content), len(whole.Body), len(got), err)
			}
			source := &parts{all: []string{string(content[:10]), string(content[10:70000]), "", string(content[70000:])}}
			streamed := newAnswer()
			streamed.Stream = source
			c.Apply(wants(as.String()), streamed, neverBusy)
			encoded, err := drain(streamed.Stream)
			if got, bad := decode(t, as.String(), encoded); err != nil || bad != nil || !bytes.Equal(got, content) {
				t.Errorf("%v, streamed: %d bytes became %d and then %d, %v, %v", as, len(content), len(encoded), len(got), err, bad)
			}
			if _, err := streamed.Stream.Next(); err != io.EOF { //nolint:errorlint // as a server reads it
				t.Errorf("%v: after the end got %v, want EOF", as, err)
			}
			_, _ = streamed.Stream.Close(), streamed.Stream.Close()
			if source.closed != 1 || c.streams.taken.Load() != 0 {
				t.Errorf("%v: the source was closed %d times and %d encoders are in use, want once and none", as, source.closed, c.streams.taken.Load())
			}
		}
	}
}

// TestWhatAServiceHasSentIsNotHeldBack decodes what a client has got each time that the service pauses.
func TestWhatAServiceHasSentIsNotHeldBack(t *testing.T) {
	t.Parallel()
	for as := range codings {
		c, source := New(prometheus.NewRegistry()), &parts{}
		var sent string
		for i := range 20 {
			source.all = append(source.all, fmt.Sprintf("{\"step\":%d}\n", i), "")
		}
		resp := newAnswer()
		resp.Stream = source
		c.Apply(wants(as.String()), resp, neverBusy)
		var encoded []byte
		for i := range 20 {
			part, err := resp.Stream.Next()
			if err != nil || len(part) == 0 {
				t.Fatalf("%v: part %d is %q, %v", as, i, part, err)
			}
			encoded, sent = append(encoded, part...), sent+fmt.Sprintf("{\"step\":%d}\n", i)
			if got, _ := decode(t, as.String(), encoded); string(got) != sent || source.waits != i {
				t.Fatalf("%v: the client reads %q after the service sent %q and paused %d times", as, got, sent, source.waits)
			}
		}
	}
}

// TestReadyNeverPromisesWhatNextMustWaitFor is what servers flush by.
func TestReadyNeverPromisesWhatNextMustWaitFor(t *testing.T) {
	t.Parallel()
	c, source := New(prometheus.NewRegistry()), &parts{all: []string{"a", "b", "", "c", "", "d"}}
	resp := newAnswer()
	resp.Stream = source
	c.Apply(wants("zstd"), resp, neverBusy)
	for {
		ready, before := resp.Stream.Ready(), source.waits
		_, err := resp.Stream.Next()
		if waited := source.waits > before; ready && waited {
			t.Errorf("it was ready, and waited")
		}
		if err != nil {
			break
		}
	}
	if source.waits != 2 {
		t.Errorf("got %d waits, want 2", source.waits)
	}
}

func TestABrokenBodyStaysBroken(t *testing.T) {
	t.Parallel()
	broken := errors.New("reset")
	for as := range codings {
		c := New(prometheus.NewRegistry())
		resp := newAnswer()
		resp.Stream = &parts{all: []string{string(list(20 << 10)), "", "more"}, err: broken}
		c.Apply(wants(as.String()), resp, neverBusy)
		encoded, err := drain(resp.Stream)
		if !errors.Is(err, broken) {
			t.Errorf("%v: got %v, want the error of the service", as, err)
		}
		if _, err := decode(t, as.String(), encoded); err == nil {
			t.Errorf("%v: a body that broke off decodes as a whole one", as)
		}
		_ = resp.Stream.Close()
		if c.streams.taken.Load() != 0 {
			t.Errorf("%v: the encoder is still in use", as)
		}
	}
}

func TestTheHeadOfACompressedAnswer(t *testing.T) {
	t.Parallel()
	c := New(prometheus.NewRegistry())
	lines := []string{"Content-Length: 5000", "ETag: \"v1\"", "Accept-Ranges: bytes", "Vary: Origin", "X-Total: 7"}
	const want = "Content-Type: application/json; charset=utf-8\r\nETag: W/\"v1\"\r\nVary: Origin\r\nX-Total: 7\r\nVary: Accept-Encoding\r\nContent-Encoding: br\r\n"
	for name, body := range map[string]func(*message.Response){
		"whole":    func(r *message.Response) { r.Body = list(5000)[:5000] },
		"streamed": func(r *message.Response) { r.Stream, r.Length = &parts{all: []string{"x"}}, 5000 },
		"to HEAD":  func(r *message.Response) { r.Bodiless, r.Length = true, 5000 },
	} {
		resp := newAnswer(lines...)
		resp.Sized = true
		body(resp)
		if c.Apply(wants("br;q=1.0, gzip;q=0.9"), resp, neverBusy); fields(resp) != want || resp.Sized || resp.Length != -1 {
			t.Errorf("%s: got\n%sand length %d\nwant\n%s", name, fields(resp), resp.Length, want)
		}
	}
}

func TestWhatIsNotCompressed(t *testing.T) {
	t.Parallel()
	c := New(prometheus.NewRegistry())
	long := list(5000)
	for name, row := range map[string]struct {
		resp *message.Response
		vary bool // all the same
	}{
		"a short body":              {&message.Response{Status: 200, Body: long[:minLength-1]}, false},
		"no content":                {&message.Response{Status: 204, Bodiless: true, Length: -1}, false},
		"a part":                    {&message.Response{Status: 206, Body: long}, false},
		"an encoded body":           {answerWith(long, "Content-Encoding: gzip"), false},
		"no-transform":              {answerWith(long, "Cache-Control: max-age=60, No-Transform"), false},
		"a digest of the content":   {answerWith(long, "Content-Digest: sha-256=:AAAA:"), false},
		"a part, whatever it says":  {answerWith(long, "Content-Range: bytes 0-4999/6000"), false},
		"an event stream":           {answerWith(long, "Content-Type: text/event-stream;charset=utf-8"), false},
		"a picture":                 {answerWith(long, "Content-Type: image/png"), false},
		"a type that is not said":   {answerWith(long, "Content-Type: "), false},
		"a client that takes none":  {answerWith(long), true},
		"another protocol":          {&message.Response{Status: 101, Upgrade: "websocket", Length: -1}, false},
		"a head of a short body":    {&message.Response{Status: 200, Bodiless: true, Length: 10}, false},
		"a short body that streams": {&message.Response{Status: 200, Stream: &parts{}, Length: 10}, false},
	} {
		if row.resp.Fields.Len() == 0 {
			row.resp.Fields.Add("Content-Type", "application/json")
		}
		accept := "zstd, br, gzip"
		if row.vary {
			accept = "deflate, identity"
		}
		before, body := fields(row.resp), string(row.resp.Body)
		if row.vary {
			before += "Vary: Accept-Encoding\r\n"
		}
		if c.Apply(wants(accept), row.resp, neverBusy); fields(row.resp) != before || string(row.resp.Body) != body {
			t.Errorf("%s: got\n%s", name, fields(row.resp))
		}
	}
}

func answerWith(body []byte, lines ...string) *message.Response {
	resp := newAnswer(lines...)
	resp.Body = bytes.Clone(body)
	return resp
}

func TestTextIsToldFromTheRest(t *testing.T) {
	t.Parallel()
	for mediaType, want := range map[string]bool{
		"text/html; charset=utf-8": true, "TEXT/plain": true, "text/event-stream": false, "Text/Event-Stream ;charset=utf-8": false,
		"application/json": true, "Application/JSON;charset=UTF-8": true, "application/problem+json": true, "image/svg+xml": true, "application/xml": true,
		"application/javascript": true, "application/x-ndjson": true, "application/yaml": true,
		"application/octet-stream": false, "image/jpeg": false, "application/pdf": false, "video/mp4": false, "": false, "json": false, "application/": false, "application/zip": false,
	} {
		if got := isText([]byte(mediaType)); got != want {
			t.Errorf("%q: got %v, want %v", mediaType, got, want)
		}
	}
}

// TestA304IsAboutTheAnswerThatTheClientHas: a cache looks for what it stored by the validator of the 304.
func TestA304IsAboutTheAnswerThatTheClientHas(t *testing.T) {
	t.Parallel()
	c := New(prometheus.NewRegistry())
	for name, row := range map[string]struct{ asked, answered, want string }{
		"compressed":         {`W/"v1"`, `"v1"`, `W/"v1"`},
		"one of several":     {`"v0", W/"v1"`, `"v1"`, `W/"v1"`},
		"not compressed":     {`"v1"`, `"v1"`, `"v1"`},
		"another":            {`W/"v2"`, `"v1"`, `"v1"`},
		"weak in any case":   {`W/"v1"`, `W/"v1"`, `W/"v1"`},
		"whatever there is":  {`*`, `"v1"`, `"v1"`},
		"without a question": {``, `"v1"`, `"v1"`},
	} {
		req, resp := wants("zstd"), &message.Response{Status: http.StatusNotModified, Bodiless: true, Length: -1}
		req.Add("If-None-Match", row.asked)
		resp.Fields.Add("ETag", row.answered)
		c.Apply(req, resp, neverBusy)
		if got, want := fields(resp), "ETag: "+row.want+"\r\nVary: Accept-Encoding\r\n"; got != want {
			t.Errorf("%s: got\n%swant\n%s", name, got, want)
		}
	}
}

func TestABusyProcessCompressesNothing(t *testing.T) {
	t.Parallel()
	c := New(prometheus.NewRegistry())
	resp := answerWith(list(5000))
	c.Apply(wants("zstd"), resp, func() bool { return true })
	if resp.Fields.Has("Content-Encoding") || !resp.Fields.Has("Vary") || testutil.ToFloat64(c.results[pressure]) != 1 {
		t.Errorf("got\n%sand %v counted, want Vary alone and 1", fields(resp), testutil.ToFloat64(c.results[pressure]))
	}
}

// TestEncodersAreBounded holds as many answers as there may be: slow clients cost their answers' compression, not memory.
func TestEncodersAreBounded(t *testing.T) {
	t.Parallel()
	c := New(prometheus.NewRegistry())
	next := func() *message.Response {
		resp := newAnswer()
		resp.Stream = &parts{all: []string{"{}"}}
		c.Apply(wants("gzip"), resp, neverBusy)
		return resp
	}
	first := next()
	for range maxStreams - 1 {
		next()
	}
	if over := next(); over.Fields.Has("Content-Encoding") {
		t.Errorf("answer %d is compressed, want %d at a time", maxStreams+1, maxStreams)
	}
	_ = first.Stream.Close()
	if again := next(); !again.Fields.Has("Content-Encoding") {
		t.Error("an encoder that was given back is not used again")
	}
}
