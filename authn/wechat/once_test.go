package wechat_test

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"wxgate/authn/wechat"
)

const goodAnswer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 73\r\n\r\n" +
	`{"session_key":"AAAAAAAAAAAAAAAAAAAAAA==","openid":"oAliceAliceAliceAli"}`

// rawServer is a TCP server that counts requests and answers them with bytes of the test's choosing. After an answer of
// "" or one that is not complete it closes the connection.
type rawServer struct {
	net.Listener
	answer func(nth int) string // nth counts from 1, over all connections
	closed chan struct{}        // receives once per connection that the client has closed

	mu          sync.Mutex
	connections int
	requests    []*http.Request
}

func newRawServer(t *testing.T, answer func(nth int) string) *rawServer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{Listener: listener, answer: answer, closed: make(chan struct{}, 100)}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.connections++
			s.mu.Unlock()
			group.Go(func() { s.serve(connection) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); group.Wait() })
	return s
}

func (s *rawServer) serve(connection net.Conn) {
	defer func() { _ = connection.Close() }()
	reader := bufio.NewReader(connection)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			s.closed <- struct{}{}
			return
		}
		answer := s.answer(s.count(request))
		_, _ = connection.Write([]byte(answer))
		if answer != goodAnswer {
			return
		}
	}
}

func (s *rawServer) count(request *http.Request) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request)
	return len(s.requests)
}

// seen returns the requests so far and the number of connections they came on.
func (s *rawServer) seen() ([]*http.Request, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests, s.connections
}

func (s *rawServer) url() string { return "http://" + s.Addr().String() }

// closesAt answers well, except the nth request.
func closesAt(n int, with string) func(int) string {
	return func(nth int) string {
		if nth == n {
			return with
		}
		return goodAnswer
	}
}

func TestNetHTTPAloneWouldSendACodeTwice(t *testing.T) {
	t.Parallel()
	server := newRawServer(t, closesAt(2, ""))
	transport := new(http.Transport)
	t.Cleanup(transport.CloseIdleConnections)
	for range 2 {
		response, err := (&http.Client{Transport: transport}).Get(server.url())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = bufio.NewReader(response.Body).ReadString(0)
		_ = response.Body.Close()
	}
	// Should this fail, net/http has changed, and onceBody may have become needless.
	if requests, connections := server.seen(); len(requests) != 3 || connections != 2 {
		t.Errorf("two GETs, the second on a connection that closes: got %d requests on %d connections, want 3 on 2", len(requests), connections)
	}
}

func TestACodeOnAStaleConnectionIsSentOnce(t *testing.T) {
	t.Parallel()
	server := newRawServer(t, closesAt(2, ""))
	client := newClient(t, server.url())
	if _, err := client.Code2Session(t.Context(), "first"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Code2Session(t.Context(), "second"); !errors.Is(err, wechat.ErrBadResponse) {
		t.Errorf("login on a connection that closes: got %v, want ErrBadResponse", err)
	}
	if requests, connections := server.seen(); len(requests) != 2 || connections != 1 {
		t.Errorf("two logins: got %d requests on %d connections, want 2 on 1", len(requests), connections)
	}
	if _, err := client.Code2Session(t.Context(), "third"); err != nil {
		t.Errorf("the login after it: got %v, want a session", err)
	}
}

func TestACodeIsSentOnceWhateverComesBack(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		"",
		"H",
		"HTTP/1.1 200 OK\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 73\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 73\r\n\r\n{\"session_key\":",
		"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
		"SSH-2.0-OpenSSH_9.9\r\n",
	} {
		server := newRawServer(t, func(int) string { return answer })
		_, err := newClient(t, server.url()).Code2Session(t.Context(), "theOnlyCode")
		requests, _ := server.seen()
		if !errors.Is(err, wechat.ErrBadResponse) || len(requests) != 1 {
			t.Errorf("answer %q: got %v after %d requests, want ErrBadResponse after 1", answer, err, len(requests))
		}
		tellsNothing(t, err, "theOnlyCode")
	}
}

func TestTheRequestIsAPlainGETWithoutABody(t *testing.T) {
	t.Parallel()
	server := newRawServer(t, func(int) string { return goodAnswer })
	if _, err := newClient(t, server.url()+"/").Code2Session(t.Context(), "a-_Z9"); err != nil {
		t.Fatal(err)
	}
	requests, _ := server.seen()
	got := requests[0]
	want := "/sns/jscode2session?appid=" + appID + "&grant_type=authorization_code&js_code=a-_Z9&secret=" + plain
	if got.Method != http.MethodGet || got.RequestURI != want || got.Proto != "HTTP/1.1" {
		t.Errorf("request line: got %s %s %s, want GET %s HTTP/1.1", got.Method, got.RequestURI, got.Proto, want)
	}
	if got.ContentLength != 0 || len(got.TransferEncoding) != 0 || got.Header.Get("Content-Length") != "" {
		t.Errorf("body: got length %d and %q, want none", got.ContentLength, got.TransferEncoding)
	}
}

func TestLoginsShareAConnection(t *testing.T) {
	t.Parallel()
	server := newRawServer(t, func(int) string { return goodAnswer })
	client := newClient(t, server.url())
	for range 5 {
		if _, err := client.Code2Session(t.Context(), "code"); err != nil {
			t.Fatal(err)
		}
	}
	if _, connections := server.seen(); connections != 1 {
		t.Errorf("connections for five logins: got %d, want 1", connections)
	}
	client.Close()
	<-server.closed // the test hangs, and fails, when Close leaves the connection open
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
	}))
	_, err := newClient(t, server.URL).Code2Session(t.Context(), "demo-alice")
	server.Close()
	if !errors.Is(err, wechat.ErrBadResponse) || len(paths) != 1 {
		t.Errorf("redirect: got %v and the paths %q, want ErrBadResponse and one path", err, paths)
	}
	tellsNothing(t, err, "demo-alice")
}
