package http1_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"wxgate/message"
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
		var resp message.Response
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
	var resp message.Response
	_, err := newClient(t, service.URL).exchange(ctx, newRequest("GET", "/"), &resp, soon())
	if err != nil || resp.Stream == nil {
		t.Fatalf("got %v and stream %v, want a body that is passed on", err, resp.Stream)
	}
	time.AfterFunc(50*time.Millisecond, cancel)
	body, err := readBody(&resp)
	if string(body) != "hello" || !errors.Is(err, http1.ErrStopped) {
		t.Errorf("the body is %q and ends with %v, want it broken off with ErrStopped", body, err)
	}
	if _, again := resp.Stream.Next(); !errors.Is(again, http1.ErrStopped) {
		t.Errorf("then it ends with %v, want ErrStopped still", again)
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
		{"whole", inChunks + "5\r\nhello\r\n0\r\n\r\n", false, io.EOF},
		{"cut", inChunks + "5\r\nhello\r\n", false, http1.ErrReset},
		{"given up", inChunks + "5\r\nhello\r\n", true, http1.ErrStopped},
		{"garbled", inChunks + "5\r\nhello\r\nxyz\r\n", false, http1.ErrInvalid},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			u := newClient(t, serveOnce(t, c.answer, map[bool]end{false: closes, true: stays}[c.closed]).URL)
			var resp message.Response
			_, err := u.Do(newRequest("GET", "/"), &resp, soon())
			if err != nil || resp.Stream == nil {
				t.Fatalf("got %v and stream %v, want a body that is passed on", err, resp.Stream)
			}
			stream := resp.Stream
			var body []byte
			if c.closed {
				body, _ = stream.Next()
			} else {
				body, _ = readStream(stream)
			}
			if string(body) != "hello" {
				t.Errorf("the body is %q, want hello", body)
			}
			resp.Reset()
			for range 2 {
				if _, err := stream.Next(); !errors.Is(err, c.want) {
					t.Errorf("its end is %v, want %v", err, c.want)
				}
			}
			if !stream.Ready() {
				t.Error("a body that has ended is not ready to say so")
			}
		})
	}
}

func TestASmallAnswerHasNoBodyToWaitFor(t *testing.T) {
	t.Parallel()
	var resp message.Response
	_, err := newClient(t, upstreamtest.Echo(t).URL).Do(newRequest("GET", "/"), &resp, soon())
	if err != nil || resp.Stream != nil {
		t.Errorf("got %v and stream %v, want a whole answer", err, resp.Stream)
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
		var resp message.Response
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

// ended is a context that ends just when the exchange does.
type ended struct{ context.Context }

func (ended) Attach(io.Closer) {}

func (ended) Detach() bool { return false }

// closer is a context that can be cancelled and closes what is attached.
type closer struct {
	context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	attached io.Closer
}

func newCloser(t *testing.T) *closer {
	c := new(closer)
	c.Context, c.cancel = context.WithCancel(t.Context())
	return c
}

func (c *closer) Attach(to io.Closer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.attached = to; c.Err() != nil {
		c.attached = nil
		_ = to.Close()
	}
}

func (c *closer) Detach() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.attached != nil
	c.attached = nil
	return was
}

// end cancels the context.
func (c *closer) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel(); c.attached != nil {
		_ = c.attached.Close()
		c.attached = nil
	}
}

// What package context does for others, a context may do itself.
func TestAContextMayCloseTheConnectionItself(t *testing.T) {
	t.Parallel()
	for says, before := range map[string]string{"a wait for the answer": "", "a body": inChunks + "5\r\nhello\r\n"} {
		service := mute(t, before)
		c, ctx := newClient(t, service.URL), newCloser(t)
		time.AfterFunc(50*time.Millisecond, ctx.end)
		var resp message.Response
		_, err := c.exchange(ctx, newRequest("GET", "/"), &resp, soon())
		if before != "" && err == nil {
			_, err = readBody(&resp)
		}
		wantError(t, err, http1.ErrStopped)
		eventually(t, "the connection is closed after "+says, func() bool { return service.OpenConns() == 0 })
	}
	service := upstreamtest.Echo(t)
	c, ctx := newClient(t, service.URL), newCloser(t)
	for range 3 {
		if _, err := c.exchange(ctx, newRequest("GET", "/"), new(message.Response), soon()); err != nil {
			t.Error(err)
		}
	}
	if ctx.Detach() || service.Conns() != 1 {
		t.Errorf("after 3 requests something is attached, or they took %d connections, want 1", service.Conns())
	}
}

// A connection that is about to be closed must not serve the next request.
func TestAContextThatEndsWithItsExchangeTakesTheConnectionWithIt(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	c := newClient(t, service.URL)
	for range 3 {
		if _, err := c.exchange(ended{t.Context()}, newRequest("GET", "/"), new(message.Response), soon()); err != nil {
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
		_, err := c.exchange(dialling, newRequest("GET", "/"), new(message.Response), soon())
		first <- err
	}()
	eventually(t, "a dial is stuck", func() bool { return stuck.Conns() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := c.exchange(ctx, newRequest("GET", "/"), new(message.Response), soon())
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
		r.Reset(newRequest("GET", "/"), new(message.Response), soon(), 0)
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
