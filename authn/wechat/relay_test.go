package wechat_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/authn/wechat"
	"wxgate/authn/wechat/sandbox"
)

const uploadPath, mediaPath = "/cgi-bin/media/upload", "/cgi-bin/media/get"

// upload is a request with one part that is called media.
func upload(t *testing.T, content []byte) wechat.Request {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("media", "soup.jpg")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(content)
	_ = form.Close()
	return wechat.Request{
		Method: http.MethodPost, Path: uploadPath, Query: url.Values{"type": {"image"}}, Content: &body, Length: int64(body.Len()), ContentType: form.FormDataContentType(),
	}
}

// whole reads a reply.
func whole(t *testing.T, reply *wechat.Reply, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// weChat is a server that gives out tokens, a new one each time, and answers everything else as it is told.
func weChat(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	var tokens atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cgi-bin/stable_token" {
			_, _ = fmt.Fprintf(w, `{"access_token":"a-token-of-some-length-%d","expires_in":7200}`, tokens.Add(1))
			return
		}
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func TestAnUploadComesBackAsItWas(t *testing.T) {
	t.Parallel()
	client := newClient(t, newSandbox(t).URL())
	for _, length := range []int{1, 100_000, 5 << 20} {
		content := bytes.Repeat([]byte("\x00{soup}\r\n--"), length/10+1)[:length]
		for _, known := range []bool{true, false} {
			request := upload(t, content)
			if !known {
				request.Length = -1
			}
			reply, err := client.Relay(t.Context(), request)
			text := whole(t, reply, err)
			_, id, _ := strings.Cut(text, `"media_id":"`)
			id, _, found := strings.Cut(id, `"`)
			if !found || reply.Errcode != 0 {
				t.Fatalf("%d bytes: got %s", length, text)
			}
			reply, err = client.Relay(t.Context(), wechat.Request{Method: http.MethodGet, Path: mediaPath, Query: url.Values{"media_id": {id}}})
			if got := whole(t, reply, err); got != string(content) || reply.ContentType != "application/octet-stream" || !strings.HasPrefix(reply.Disposition, "attachment;") {
				t.Errorf("%d bytes came back as %d, %s, %s", length, len(got), reply.ContentType, reply.Disposition)
			}
		}
	}
	reply, err := client.Relay(t.Context(), wechat.Request{Method: http.MethodGet, Path: mediaPath, Query: url.Values{"media_id": {"none"}}})
	if text := whole(t, reply, err); reply.Errcode != 40007 || !strings.Contains(text, "40007") {
		t.Errorf("no such media: got %d %s", reply.Errcode, text)
	}
}

func TestLargeContentPassesWhileItComes(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	client := newClient(t, weChat(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 3<<20)
		close(begun)
		rest, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, `{"errcode":0,"rest":%q}`, rest)
	}))
	from, to := io.Pipe()
	go func() {
		_, _ = to.Write(make([]byte, 3<<20))
		<-begun // which only comes if what was written has passed
		_, _ = to.Write([]byte("the rest"))
		_ = to.Close()
	}()
	reply, err := client.Relay(t.Context(), wechat.Request{Method: http.MethodPost, Path: uploadPath, Content: from, Length: -1})
	if text := whole(t, reply, err); text != `{"errcode":0,"rest":"the rest"}` {
		t.Errorf("got %s", text)
	}
}

func TestAFilePassesWhileItComes(t *testing.T) {
	t.Parallel()
	read := make(chan struct{})
	client := newClient(t, weChat(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "audio/amr")
		_, _ = w.Write(bytes.Repeat([]byte("a"), 4096))
		_ = http.NewResponseController(w).Flush()
		<-read
		_, _ = w.Write([]byte("z"))
	}))
	reply, err := client.Relay(t.Context(), wechat.Request{Method: http.MethodGet, Path: mediaPath})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(reply.Body, make([]byte, 4096)); n != 4096 || err != nil || reply.Length != -1 {
		t.Errorf("got %d bytes of %d, %v", n, reply.Length, err)
	}
	close(read)
	if text := whole(t, reply, nil); text != "z" {
		t.Errorf("the end: got %q", text)
	}
}

// TestAnAnswerIsToldApartByItsFirstByte: WeChat announces a picture and an error alike.
func TestAnAnswerIsToldApartByItsFirstByte(t *testing.T) {
	t.Parallel()
	large := `{"a":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, row := range []struct {
		contentType, disposition, body string
		errcode                        int
		wantType                       string
		want                           error
	}{
		{"image/jpeg", "", "\xff\xd8\xff", 0, "image/jpeg", nil},
		{"image/jpeg", "", `{"errcode":40129,"errmsg":"invalid scene"}`, 40129, "application/json", nil},
		{"application/octet-stream", `attachment; filename="a"`, "\uFEFF \n{\"errcode\":\"40007\"}", 40007, "application/json", nil},
		{"voice/speex", `attachment; filename="a.speex"`, "#!", 0, "voice/speex", nil},
		{"video/mp4", "", "{no JSON", 0, "video/mp4", nil},
		{"video/mp4", "", large + large, 0, "video/mp4", nil},
		{"image/png", "", "", 0, "image/png", nil},
		{"text/plain", "", `{"video_url":"http://v"}`, 0, "text/plain", nil},
		{"application/json; charset=utf-8", "", `{"errcode":47001}`, 47001, "application/json; charset=utf-8", nil},
		{"text/plain", "", large, 0, "", wechat.ErrBadResponse},
		{"text/html", "", "<html>", 0, "", wechat.ErrBadResponse},
		{"application/json", "", "{half", 0, "", wechat.ErrBadResponse},
		{"image/jpeg", "", `{"errcode":4.5}`, 0, "", wechat.ErrBadResponse},
		{"", "", "", 0, "", wechat.ErrBadResponse},
	} {
		client := newClient(t, weChat(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{row.contentType}
			if row.disposition != "" {
				w.Header().Set("Content-Disposition", row.disposition)
			}
			_, _ = io.WriteString(w, row.body)
		}))
		reply, err := client.Relay(t.Context(), wechat.Request{Method: http.MethodGet, Path: mediaPath})
		if row.want != nil {
			if !errors.Is(err, row.want) {
				t.Errorf("%s %.20q: got %v, want %v", row.contentType, row.body, err, row.want)
			}
			continue
		}
		if text := whole(t, reply, err); text != row.body || reply.Errcode != row.errcode || reply.ContentType != row.wantType {
			t.Errorf("%s %.20q: got %s %.20q, errcode %d; want %s and errcode %d", row.contentType, row.body, reply.ContentType, text, reply.Errcode, row.wantType, row.errcode)
		}
	}
}

// TestATokenIsRenewedWhateverAnswerRefusesIt, and multipart content is sent again as it was.
func TestATokenIsRenewedWhateverAnswerRefusesIt(t *testing.T) {
	t.Parallel()
	for _, errcode := range []string{"40001", "40014", "42001", `"42001"`} {
		for _, contentType := range []string{"text/plain", "image/jpeg", "application/octet-stream"} {
			var bodies, tokens []string
			client := newClient(t, weChat(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				bodies, tokens = append(bodies, r.Header.Get("Content-Type")+string(body)), append(tokens, r.URL.Query().Get("access_token"))
				w.Header().Set("Content-Type", contentType)
				if len(bodies) == 1 {
					_, _ = fmt.Fprintf(w, `{"errcode":%s,"errmsg":"invalid credential"}`, errcode)
					return
				}
				w.Header().Set("Content-Type", "image/jpeg")
				_, _ = w.Write([]byte("\xff\xd8"))
			}))
			reply, err := client.Relay(t.Context(), upload(t, bytes.Repeat([]byte("soup"), 50_000)))
			if text := whole(t, reply, err); text != "\xff\xd8" || len(bodies) != 2 || bodies[0] != bodies[1] || tokens[0] == tokens[1] {
				t.Errorf("%s in %s: got %.20q after %d requests with %q", errcode, contentType, text, len(bodies), tokens)
			}
		}
	}
}

func TestContentThatIsTooLargeToBeKeptIsSentOnce(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	client := newClient(t, weChat(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if requests.Add(1) == 1 {
			_, _ = io.WriteString(w, `{"errcode":40001}`)
			return
		}
		_, _ = io.WriteString(w, `{"media_id":"`+r.URL.Query().Get("access_token")+`"}`)
	}))
	_, err := client.Relay(t.Context(), upload(t, make([]byte, 3<<20)))
	if !errors.Is(err, wechat.ErrTokenReplaced) || requests.Load() != 1 {
		t.Errorf("got %v after %d requests, want ErrTokenReplaced after one", err, requests.Load())
	}
	reply, err := client.Relay(t.Context(), upload(t, make([]byte, 3<<20)))
	if text := whole(t, reply, err); !strings.HasSuffix(text, `-2"}`) {
		t.Errorf("the next one: got %s, want it to have the second token", text)
	}
}

func TestContentThatBreaksOffIsTheCallersFault(t *testing.T) {
	t.Parallel()
	client := newClient(t, weChat(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "{}")
	}))
	broken := errors.New("the far end has left")
	for _, length := range []int{0, 100, 3 << 20} {
		content := io.MultiReader(bytes.NewReader(make([]byte, length)), iotest.ErrReader(broken))
		_, err := client.Relay(t.Context(), wechat.Request{Method: http.MethodPost, Path: uploadPath, Content: content, Length: 4 << 20})
		if !errors.Is(err, wechat.ErrContent) || !errors.Is(err, broken) {
			t.Errorf("after %d bytes: got %v, want ErrContent", length, err)
		}
	}
}

// TestNothingReadsContentOnceTheAnswerIsThere: a connection that content came by serves other requests by then.
func TestNothingReadsContentOnceTheAnswerIsThere(t *testing.T) {
	t.Parallel()
	var reading atomic.Bool
	left := make(chan struct{}) // closed when the client has left the exchange
	client := newClient(t, weChat(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for !reading.Load() { // until all that was kept has been sent
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, _ = conn.Read(make([]byte, 64<<10))
		}
		_ = conn.SetReadDeadline(time.Time{})
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"errcode\":45009}")
		_, _ = io.Copy(io.Discard, conn)
		close(left)
	}))
	stalls := readerFunc(func([]byte) (int, error) {
		reading.Store(true)
		<-left
		reading.Store(false)
		return 0, io.EOF
	})
	content := io.MultiReader(bytes.NewReader(make([]byte, 3<<20)), stalls)
	reply, err := client.Relay(t.Context(), wechat.Request{Method: http.MethodPost, Path: uploadPath, Content: content, Length: wechat.MaxUpload})
	if reading.Load() {
		t.Error("content is still being read")
	}
	if err == nil && reply.Errcode != 45009 {
		t.Errorf("got errcode %d, want 45009", reply.Errcode)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAFileThatBreaksOffIsNoFile(t *testing.T) {
	t.Parallel()
	half := weChat(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "image/jpeg")
		if r.URL.Query().Has("long") {
			_, _ = io.Copy(w, io.LimitReader(readerFunc(func(p []byte) (int, error) { return len(p), nil }), 16<<20+1))
			return
		}
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(make([]byte, 5000))
		_ = http.NewResponseController(w).Flush()
		if r.URL.Query().Has("silent") {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	})
	for query, want := range map[string]error{"": wechat.ErrBadResponse, "long=1": wechat.ErrBadResponse, "silent=1": wechat.ErrTimeout} {
		registry, patience, outcome := prometheus.NewRegistry(), 10*time.Second, "bad_response"
		if errors.Is(want, wechat.ErrTimeout) {
			patience, outcome = 2*time.Second, "timeout"
		}
		client, err := wechat.New(wechat.Config{AppID: appID, Secret: plain, BaseURL: half, Timeout: patience}, wechat.Deps{Metrics: registry})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		values, _ := url.ParseQuery(query)
		reply, err := client.Relay(t.Context(), wechat.Request{Method: http.MethodGet, Path: mediaPath, Query: values})
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, reply.Body)
		if _ = reply.Body.Close(); !errors.Is(err, want) || n > 16<<20+1<<16 {
			t.Errorf("%q: got %v after %d bytes, want %v", query, err, n, want)
		}
		if got := counted(t, registry)["media/get "+outcome]; got != 1 {
			t.Errorf("%q is counted %v times as %s, want once", query, got, outcome)
		}
	}
}

func TestAnExchangeThatStandsStillEnds(t *testing.T) {
	t.Parallel()
	client := newClient(t, weChat(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}), timeout(100*time.Millisecond))
	_, err := client.Relay(t.Context(), upload(t, []byte("soup")))
	if !errors.Is(err, wechat.ErrTimeout) {
		t.Errorf("got %v, want ErrTimeout", err)
	}
}

func TestRelayRefusesWhatCallRefuses(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	client := newClient(t, s.URL())
	for _, row := range [][2]string{{"GET", "/sns/jscode2session"}, {"GET", "/cgi-bin/token"}, {"POST", "/cgi-bin/Stable_Token"}, {"HEAD", mediaPath}, {"DELETE", "/wxa/x"}, {"GET", "/wxa/../x"}} {
		if _, err := client.Relay(t.Context(), wechat.Request{Method: row[0], Path: row[1]}); !errors.Is(err, wechat.ErrInvalidCall) {
			t.Errorf("%s %s: got %v, want ErrInvalidCall", row[0], row[1], err)
		}
	}
	if got := s.Stats().APIs; len(got) != 0 {
		t.Errorf("requests: got %v, want none", got)
	}
	fail(t, s, sandbox.Failure{API: "get", Kinds: []string{"html"}})
	if _, err := client.Relay(t.Context(), wechat.Request{Method: http.MethodGet, Path: mediaPath}); !errors.Is(err, wechat.ErrBadResponse) {
		t.Errorf("a page of HTML: got %v, want ErrBadResponse", err)
	}
}
