package http1_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

// endless is a service that begins a body and never ends it.
func endless(t *testing.T) *upstreamtest.Service { return mute(t, inChunks+"5\r\nhello\r\n") }

func TestTheEndOfTheContextEndsAnExchange(t *testing.T) {
	t.Parallel()
	for _, want := range []error{http1.ErrStopped, http1.ErrTimeout} {
		ctx, cancel := context.WithCancel(t.Context())
		if errors.Is(want, http1.ErrTimeout) {
			ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		}
		t.Cleanup(cancel)
		service := mute(t, "")
		c := newClient(t, service.URL)
		if errors.Is(want, http1.ErrStopped) {
			time.AfterFunc(50*time.Millisecond, cancel)
		}
		var resp fasthttp.Response
		ex, err := c.exchange(ctx, newRequest("GET", "/"), &resp, soon())
		wantError(t, err, want)
		wantEmpty(t, &resp)
		if ex.Attempts != 1 {
			t.Errorf("%d attempts, want 1", ex.Attempts)
		}
		if _, err := c.exchange(ctx, newRequest("GET", "/again"), &resp, soon()); !errors.Is(err, want) {
			t.Errorf("a further request with that context: %v, want %v", err, want)
		}
		eventually(t, "the connection is closed", func() bool { return service.OpenConns() == 0 })
		if got := service.Count("GET", "/again", ""); got != 0 {
			t.Errorf("%d requests arrived after the end of their context", got)
		}
	}
}

func TestTheEndOfTheContextBreaksABodyOff(t *testing.T) {
	t.Parallel()
	service := endless(t)
	ctx, cancel := context.WithCancel(t.Context())
	var resp fasthttp.Response
	ex, err := newClient(t, service.URL).exchange(ctx, newRequest("GET", "/"), &resp, soon())
	if err != nil || ex.Body == nil {
		t.Fatalf("got %v and body %v, want a body that is passed on", err, ex.Body)
	}
	var ends []error
	var passed int64
	ex.Body.Ended = func(bytes int64, err error) { ends, passed = append(ends, err), bytes }
	time.AfterFunc(50*time.Millisecond, cancel)
	body, err := readBody(&resp)
	if string(body) != "hello" || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the body is %q and ends with %v, want it broken off", body, err)
	}
	if len(ends) != 1 || !errors.Is(ends[0], http1.ErrStopped) || passed != 5 {
		t.Errorf("its end is %v after %d bytes, want one ErrStopped after 5", ends, passed)
	}
	eventually(t, "the connection is closed", func() bool { return service.OpenConns() == 0 })
}

func TestABodyTellsHowItEnded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		says, answer string
		closed       bool // by the reader
		want         error
	}{
		{"whole", inChunks + "5\r\nhello\r\n0\r\n\r\n", false, nil},
		{"cut", inChunks + "5\r\nhello\r\n", false, http1.ErrReset},
		{"given up", inChunks + "5\r\nhello\r\n", true, http1.ErrStopped},
		{"garbled", inChunks + "5\r\nhello\r\nxyz\r\n", false, http1.ErrInvalid},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			u := newClient(t, serveOnce(t, c.answer, map[bool]end{false: closes, true: stays}[c.closed]).URL)
			var resp fasthttp.Response
			ex, err := u.Do(newRequest("GET", "/"), &resp, soon())
			if err != nil || ex.Body == nil {
				t.Fatalf("got %v and body %v, want a body that is passed on", err, ex.Body)
			}
			var ends []error
			var passed int64
			ex.Body.Ended = func(bytes int64, err error) { ends, passed = append(ends, err), bytes }
			if c.closed {
				_, _ = io.ReadFull(resp.BodyStream(), make([]byte, 5))
			} else {
				_, _ = io.Copy(io.Discard, resp.BodyStream())
			}
			resp.Reset()
			if len(ends) != 1 || !errors.Is(ends[0], c.want) || passed != 5 {
				t.Errorf("its end is %v after %d bytes, want one %v after 5", ends, passed, c.want)
			}
		})
	}
}

func TestASmallAnswerHasNoBodyToWaitFor(t *testing.T) {
	t.Parallel()
	ex, err := newClient(t, upstreamtest.Echo(t).URL).Do(newRequest("GET", "/"), new(fasthttp.Response), soon())
	if err != nil || ex.Body != nil {
		t.Errorf("got %v and body %v, want a whole answer", err, ex.Body)
	}
}

func TestAContextThatEndsLaterLeavesTheConnectionToOthers(t *testing.T) {
	t.Parallel()
	service := upstreamtest.HTTP(t, func(upstreamtest.Request) string {
		return ok + "Content-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000)
	})
	c := newClient(t, service.URL)
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		var resp fasthttp.Response
		if _, err := c.exchange(ctx, newRequest("GET", "/"), &resp, soon()); err != nil {
			t.Fatal(err)
		}
		if body, err := readBody(&resp); len(body) != 100000 || err != nil {
			t.Errorf("%d bytes and %v, want the whole body", len(body), err)
		}
		cancel()
	}
	if got := service.Conns(); got != 1 {
		t.Errorf("5 requests took %d connections, want 1", got)
	}
}

// ended is a context whose AfterFunc says that it ended just when the exchange did.
type ended struct{ context.Context }

func (ended) AfterFunc(func()) func() bool { return func() bool { return false } }

// A connection that is about to be closed must not serve the next request.
func TestAContextThatEndsWithItsExchangeTakesTheConnectionWithIt(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	c := newClient(t, service.URL)
	for range 3 {
		if _, err := c.exchange(ended{t.Context()}, newRequest("GET", "/"), new(fasthttp.Response), soon()); err != nil {
			t.Fatal(err)
		}
	}
	if got := service.Conns(); got != 3 {
		t.Errorf("3 requests took %d connections, want 3", got)
	}
}

func TestWhoWaitsForADialLeavesWithItsContext(t *testing.T) {
	t.Parallel()
	stuck := upstreamtest.Raw(t, func(conn net.Conn, _ int) { _, _ = io.Copy(io.Discard, conn) }) // never shakes hands
	c := newClient(t, strings.Replace(stuck.URL, "http:", "https:", 1), func(cfg *http1.Config) { cfg.Dials = 1 })
	dialling, cancelDial := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := c.exchange(dialling, newRequest("GET", "/"), new(fasthttp.Response), soon())
		first <- err
	}()
	eventually(t, "a dial is stuck", func() bool { return stuck.Conns() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.exchange(ctx, newRequest("GET", "/"), new(fasthttp.Response), soon())
	wantError(t, err, http1.ErrTimeout)
	cancelDial()
	stuck.CloseConns()
	if err := <-first; !errors.Is(err, http1.ErrStopped) {
		t.Errorf("the one that dialled: %v, want ErrStopped", err)
	}
}

// A switch of protocols that comes as the client leaves gives the place of the WebSocket back.
func TestASwitchAtTheEndOfTheContextLeavesNoConnectionBehind(t *testing.T) {
	t.Parallel()
	service := mute(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
	c := newClient(t, service.URL, func(cfg *http1.Config) { cfg.Keepalive.MaxWebSockets = 1 })
	for range 3 {
		var r http1.Request
		r.Reset(newRequest("GET", "/"), new(fasthttp.Response), soon(), 0)
		r.Upgrade = true
		if err := r.Prepare("", c.origin.Name, true); err != nil {
			t.Fatal(err)
		}
		if err := c.Exchange(ended{t.Context()}, &r, c); !errors.Is(err, http1.ErrReset) || r.Tunnel != nil {
			t.Fatalf("got %v and tunnel %v, want ErrReset", err, r.Tunnel)
		}
	}
	if got, _ := c.Usage(); got != 0 {
		t.Errorf("%d places are taken, want 0", got)
	}
}
