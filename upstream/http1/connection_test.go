package http1_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"wxgate/message"
	"wxgate/upstream/http1"
	"wxgate/upstream/upstreamtest"
)

func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	u := newClient(t, service.URL)
	for range 50 {
		get(t, u, "/")
	}
	if got := service.Conns(); got != 1 {
		t.Errorf("50 requests took %d connections, want 1", got)
	}
}

// A service that closes idle connections, as Node does after five seconds, costs no request, whatever its method, and
// gets none twice.
func TestAConnectionThatTheServiceClosedIsNotUsed(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(net.Conn){"FIN": func(c net.Conn) { _ = c.Close() }, "RST": upstreamtest.Reset} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service, gone := oneRequestPerConnection(t, end)
			u := newClient(t, service.URL)
			for i := range 80 {
				id := fmt.Sprint(i)
				req := newRequest("POST", "/order")
				req.Fields.Set(upstreamtest.IDField, id)
				req.Content = []byte("{}")
				ex, err := u.Do(req, new(message.Response), soon())
				if err != nil || ex.Attempts != 1 {
					t.Fatalf("request %d: %v after %d attempts, want none and 1", i, err, ex.Attempts)
				}
				if n := service.Count("POST", "/order", id); n != 1 {
					t.Fatalf("request %d arrived %d times, want once", i, n)
				}
				<-gone
			}
		})
	}
}

// oneRequestPerConnection answers once, with every sign of staying, and ends the connection; gone says when it has.
func oneRequestPerConnection(t *testing.T, end func(net.Conn)) (*upstreamtest.Service, <-chan struct{}) {
	gone := make(chan struct{}, 1)
	var service *upstreamtest.Service
	ready := make(chan struct{})
	service = upstreamtest.Raw(t, func(conn net.Conn, n int) {
		<-ready
		if _, err := service.Receive(bufio.NewReader(conn), n); err == nil {
			_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "hi"))
			end(conn)
			gone <- struct{}{}
		}
	})
	close(ready)
	return service, gone
}

func TestBytesThatComeWhileIdleAreNotAnAnswer(t *testing.T) {
	t.Parallel()
	poisoned := make(chan struct{})
	service := upstreamtest.Raw(t, func(conn net.Conn, n int) {
		br := bufio.NewReader(conn)
		for {
			if _, err := upstreamtest.ReadRequest(br); err != nil {
				return
			}
			_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "hi"))
			if n == 1 {
				<-poisoned
				_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "poison"))
				poisoned <- struct{}{}
			}
		}
	})
	u := newClient(t, service.URL)
	get(t, u, "/")
	poisoned <- struct{}{}
	<-poisoned
	if got := get(t, u, "/"); string(got.Body) != "hi" {
		t.Errorf("the answer is %q, want %q", got.Body, "hi")
	}
}

// A kept connection that dies under a request was perhaps being closed before it came: a request that nobody notices
// twice goes once more, on a new connection. One on a new connection does not, and no other method ever does.
func TestARequestIsSentOnceWhateverItsMethodAndFate(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "POST", "PATCH", "QUERY"} {
		for name, end := range map[string]func(net.Conn){"FIN": func(c net.Conn) { _ = c.Close() }, "RST": upstreamtest.Reset} {
			t.Run(method+" "+name, func(t *testing.T) {
				t.Parallel()
				var arrived atomic.Int64
				service := upstreamtest.Raw(t, func(conn net.Conn, _ int) {
					br := bufio.NewReader(conn)
					for {
						req, err := upstreamtest.ReadRequest(br)
						if err != nil {
							return
						}
						if req.Target == "/warm" {
							_, _ = io.WriteString(conn, upstreamtest.OK("text/plain", "hi"))
							continue
						}
						arrived.Add(1)
						end(conn)
						return
					}
				})
				u := newClient(t, service.URL)
				for range 3 { // on a new and on a kept connection
					_, err := u.Do(newRequest(method, "/"), new(message.Response), soon())
					wantError(t, err, http1.ErrReset)
					get(t, u, "/warm")
				}
				want := int64(3)
				if method != "POST" && method != "PATCH" && method != "QUERY" {
					want += 2 // those on a kept connection
				}
				if got := arrived.Load(); got != want {
					t.Errorf("3 requests arrived %d times, want %d", got, want)
				}
			})
		}
	}
}

func TestAServiceThatRefusesIsAConnectError(t *testing.T) {
	t.Parallel()
	ex, err := newClient(t, upstreamtest.Refused(t)).Do(newRequest("GET", "/"), new(message.Response), soon())
	wantError(t, err, http1.ErrConnect)
	if ex.Attempts != 0 || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%d attempts, %v, want none and a refusal, not a time-out", ex.Attempts, err)
	}
}

func TestIPv6AndNamesAreReached(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "six") }))
	_ = server.Listener.Close()
	server.Listener = ln
	server.Start()
	t.Cleanup(server.Close)
	u := newClient(t, "http://"+ln.Addr().String())
	t.Cleanup(u.Close)
	if got := get(t, u, "/"); string(got.Body) != "six" {
		t.Errorf("the answer is %q, want %q", got.Body, "six")
	}
}

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	t.Parallel()
	service := upstreamtest.Echo(t)
	u := newClient(t, service.URL, func(c *http1.Config) { c.Keepalive.Idle = 20 * time.Millisecond })
	get(t, u, "/")
	eventually(t, "the idle connection is closed", func() bool { return service.OpenConns() == 0 })
}

// Many requests at once, a tenth of them meeting a dropped connection: every answer is its own request's, and no
// request arrives twice.
func TestAnswersNeverCross(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	service := upstreamtest.HTTP(t, func(req upstreamtest.Request) string {
		answer := upstreamtest.OK("text/plain", req.Target+"="+string(req.Body))
		if n.Add(1)%10 == 0 {
			return strings.Replace(answer, "OK\r\n", "OK\r\nConnection: close\r\n", 1)
		}
		return answer
	})
	u := newClient(t, service.URL)
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			var resp message.Response
			for i := range 200 {
				id := fmt.Sprintf("%d-%d", worker, i)
				req := newRequest("POST", "/"+id)
				setBody(req, strings.NewReader(id), []int{len(id), -1}[i%2])
				if _, err := u.Do(req, &resp, soon()); err != nil {
					t.Errorf("%s: %v", id, err)
				} else if got, want := string(resp.Body), "/"+id+"="+id; got != want {
					t.Errorf("the answer to %s is %q", want, got)
				}
			}
		})
	}
	all.Wait()
	if got := len(service.Requests()); got != 16*200 {
		t.Errorf("%d requests arrived, want %d", got, 16*200)
	}
}
