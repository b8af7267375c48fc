package http1_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/upstream/upstreamtest"
)

// relay runs a server that passes every request to u, as the gateway does, and returns its URL.
func relay(t *testing.T, u *client) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var resp message.Response
		if _, err := u.Do(newRequest(r.Method, r.RequestURI), &resp, soon()); err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Reset()
		for name, value := range resp.Fields.All() {
			w.Header().Add(string(name), string(value))
		}
		if resp.Length >= 0 {
			w.Header().Set("Content-Length", fmt.Sprint(resp.Length))
		}
		w.WriteHeader(resp.Status)
		_, _ = w.Write(resp.Body)
		if resp.Stream != nil {
			relayStream(w, resp.Stream)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// relayStream flushes before it waits, and breaks off what did not end well.
func relayStream(w http.ResponseWriter, body message.Stream) {
	for {
		if !body.Ready() {
			_ = http.NewResponseController(w).Flush()
		}
		part, err := body.Next()
		switch {
		case err == io.EOF: //nolint:errorlint // a wrapped one is no end
			return
		case err != nil:
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(part); err != nil {
			return
		}
	}
}

// fetch gets a URL with a client of its own that keeps no connection.
func fetch(t *testing.T, url string) (*http.Response, error) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	resp, err := client.Get(url)
	if err == nil {
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	return resp, err
}

// stepwise writes the first part, and each further one when it is told to.
func stepwise(t *testing.T, next <-chan struct{}, parts ...string) *upstreamtest.Service {
	return upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		if _, err := upstreamtest.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		for i, part := range parts {
			if i > 0 {
				<-next
			}
			_, _ = io.WriteString(conn, part)
		}
	})
}

func TestEachPartOfABodyReachesTheClientAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ says, head, first, second string }{
		{"server-sent events", inChunks, "5\r\nabcde\r\n", "5\r\nfghij\r\n0\r\n\r\n"},
		{"until close", ok + "Connection: close\r\n\r\n", "abcde", "fghij"},
		{"a large body", ok + "Content-Length: 70000\r\n\r\n", "abcde", "fghij"},
		{"a small body that drips", ok + "Content-Length: 10\r\n\r\n", "abcde", "fghij"},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			next := make(chan struct{})
			service := stepwise(t, next, c.head+c.first, c.second)
			t.Cleanup(func() { close(next) })
			resp, err := fetch(t, relay(t, newClient(t, service.URL)))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range []string{"abcde", "fghij"} {
				if i == 1 {
					next <- struct{}{}
				}
				got := make([]byte, 5)
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != want {
					t.Fatalf("part %d is %q, %v, want %q before the next is written", i, got, err, want)
				}
			}
			_ = resp.Body.Close()
		})
	}
}

func TestTheHeadOfAnEventStreamDoesNotWaitForTheFirstEvent(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	service := stepwise(t, next, ok+"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n")
	url := relay(t, newClient(t, service.URL))
	t.Cleanup(func() { close(next) }) // before the relay waits for its connections
	resp, err := fetch(t, url)
	if err != nil || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the head is %v, %v, want it before any event", resp, err)
	}
}

// Whatever way a body is cut, the client sees a failure, never a 200 that looks whole.
func TestACutBodyNeverLooksWholeToTheClient(t *testing.T) {
	t.Parallel()
	for says, answer := range map[string]string{
		"a small body":       ok + "Content-Length: 10\r\n\r\nabcde",
		"a large body":       ok + "Content-Length: 70000\r\n\r\nabcde",
		"within a chunk":     inChunks + "a\r\nabcde",
		"after a chunk":      inChunks + "5\r\nabcde",
		"between two chunks": inChunks + "5\r\nabcde\r\n",
		"before any chunk":   inChunks,
		"before the end":     inChunks + "5\r\nabcde\r\n0\r\n",
		"a bad chunk":        inChunks + "5\r\nabcde\r\nxyz\r\n",
		"until close":        ok + "\r\nabcde",
	} {
		for name, end := range map[string]func(net.Conn){"FIN": func(c net.Conn) { _ = c.Close() }, "RST": upstreamtest.Reset} {
			if says == "until close" && name == "FIN" {
				continue // that is how such a body ends
			}
			t.Run(says+", "+name, func(t *testing.T) {
				t.Parallel()
				service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
					_, _ = upstreamtest.ReadRequest(bufio.NewReader(conn))
					_, _ = io.WriteString(conn, answer)
					end(conn)
				})
				resp, err := fetch(t, relay(t, newClient(t, service.URL)))
				if err != nil || resp.StatusCode == 502 {
					return
				}
				if body, err := io.ReadAll(resp.Body); err == nil {
					t.Errorf("the client got %d and %q as if it were whole", resp.StatusCode, body)
				}
			})
		}
	}
}

func TestALargeAnswerTakesLittleMemory(t *testing.T) {
	const size = 64 << 20
	for says, head := range map[string]string{
		"with a length": fmt.Sprintf("%sContent-Length: %d\r\nConnection: close\r\n\r\n", ok, size),
		"until close":   ok + "Connection: close\r\n\r\n",
	} {
		t.Run(says, func(t *testing.T) {
			service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
				_, _ = upstreamtest.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, head)
				_, _ = io.CopyN(conn, zeros{}, size)
			})
			resp, err := fetch(t, relay(t, newClient(t, service.URL)))
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			n, err := io.Copy(io.Discard, resp.Body)
			runtime.ReadMemStats(&after)
			if n != size || err != nil {
				t.Errorf("%d bytes and %v arrived, want %d", n, err, size)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
				t.Errorf("passing on 64 MiB allocated %d KiB, want less than 4 MiB", grown>>10)
			}
		})
	}
}

func TestALargeUploadTakesLittleMemory(t *testing.T) {
	service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
		_, _ = io.CopyN(io.Discard, readHead(conn), 64<<20)
		_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "done"))
	})
	u := newClient(t, service.URL)
	req := newRequest("POST", "/")
	setBody(req, onlyReader{io.LimitReader(zeros{}, 64<<20)}, 64<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := u.Do(req, new(message.Response), soon())
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; err != nil || grown > 4<<20 {
		t.Errorf("sending 64 MiB allocated %d KiB and ended with %v, want less than 4 MiB", grown>>10, err)
	}
}

func TestAClosedStreamClosesItsConnection(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		return ok + "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000)
	})
	u := newClient(t, service.URL)
	resp := get(t, u, "/")
	stream := resp.Stream
	resp.Reset()
	eventually(t, "the connection of the closed stream is closed", func() bool { return service.OpenConns() == 0 })
	if part, err := stream.Next(); len(part) != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a closed stream gives %q and %v, want an error that is not its end", part, err)
	}
	get(t, u, "/").Reset()
}

func TestAStreamThatWasReadGivesItsConnectionBack(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(req upstreamtest.Request) string {
		if req.Target == "/chunks" {
			return inChunks + "5\r\nhello\r\n0\r\n\r\n"
		}
		return ok + "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000)
	})
	url := relay(t, newClient(t, service.URL))
	for i, want := range []int{100000, 5, 100000, 5} {
		resp, err := fetch(t, url+[]string{"/", "/chunks"}[i%2])
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); len(body) != want || err != nil {
			t.Errorf("the body has %d bytes and ends with %v, want %d", len(body), err, want)
		}
	}
	if got := service.Conns(); got != 1 {
		t.Errorf("four streams took %d connections, want 1", got)
	}
}

// What stands before the next data of a body may come in any pieces: whoever flushes before a wait must not be told that
// there is none.
func TestABodyIsReadyWhenItsNextPartIsThere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		says, come string
		ready      bool
	}{
		{"nothing", "", false},
		{"the first half of a line end", "\r", false},
		{"a line end", "\r\n", false},
		{"half a size", "\r\n1", false},
		{"a size without its line end", "\r\n1\r", false},
		{"a size", "\r\n1\r\n", false},
		{"a size that ends in 0", "\r\n10;a=b\r\n", false},
		{"a byte of data", "\r\n1\r\nx", true},
		{"the last chunk", "\r\n0\r\n", false},
		{"half of the end", "\r\n0\r\n\r", false},
		{"half a trailer", "\r\n0\r\nX-Sum: 1\r\n", false},
		{"the end", "\r\n0\r\n\r\n", true},
		{"the end with a trailer", "\r\n0\r\nX-Sum: 1\r\n\r\n", true},
		{"nonsense", "xyz", true},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			var resp message.Response
			u := newClient(t, mute(t, inChunks+"5\r\nhello"+c.come).URL)
			if _, err := u.Do(newRequest("GET", "/"), &resp, soon()); err != nil {
				t.Fatal(err)
			}
			defer resp.Reset()
			if part, err := resp.Stream.Next(); string(part) != "hello" || err != nil {
				t.Fatalf("got %q, %v, want hello", part, err)
			}
			if got := resp.Stream.Ready(); got != c.ready {
				t.Errorf("behind %q the body is ready: %v, want %v", c.come, got, c.ready)
			}
		})
	}
}
