// Package sandbox is a local stand-in for api.weixin.qq.com: a real HTTP server that speaks the protocol of
// GET /sns/jscode2session, hands out codes, and misbehaves on demand. `wxgate demo` runs on it, and so do the tests.
//
// A code is one of
//
//	what IssueCode or POST /sandbox/code returned   a login of that person, once, within 5 minutes
//	demo-<person>                                   a login of that person, every time: the curl line in the README
//	demo-<person>-<anything>                        a login of that person, once
//	slow-<duration>-<person>[-<anything>]           the same as demo, after a wait: slow-1500ms-alice; at most 60 s
//	err-<errcode>                                   that errcode, every time: err-45011, err--1
//	strcode-<errcode>                               the same with the errcode as a string, as one page of Tencent shows it
//	broken-<how>[-<person>]                         a broken answer, every time: see broken.go for the ways
//
// and anything else is answered 40029. Everything is safe for concurrent use.
package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"wxgate/authn/wechat"
)

// CodeTTL is how long a code lives (page "wx.login").
const CodeTTL = 5 * time.Minute

// Config says which mini-program the sandbox plays.
type Config struct {
	AppID        string           // the one appid it knows; required
	Secret       wechat.Secret    // the secret of that appid; required
	OpenPlatform bool             // true: the mini-program is bound to an Open Platform account, so answers carry a unionid
	Now          func() time.Time // the clock by which codes die; nil is time.Now
}

// Sandbox is one stand-in. The zero value does not work; New makes one.
type Sandbox struct {
	cfg    *Config // behind a pointer, so that a Sandbox printed with %+v shows an address and not the secret
	codes  *ledger
	closed chan struct{}

	mu       sync.Mutex
	server   *http.Server
	listener net.Listener
	served   chan struct{} // closed when the server has returned
}

// New returns a Sandbox that does not listen yet.
func New(cfg Config) (*Sandbox, error) {
	if cfg.AppID == "" || cfg.Secret.Reveal() == "" {
		return nil, errors.New("sandbox: appid and secret must not be empty")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Sandbox{cfg: &cfg, codes: newLedger(cfg.Now), closed: make(chan struct{})}, nil
}

// IssueCode returns a fresh code for person, as wx.login would on that person's phone.
func (s *Sandbox) IssueCode(person string) string { return s.codes.issue(person) }

// Seen returns how often code arrived at /sns/jscode2session, so that a test can prove that it was sent once.
func (s *Sandbox) Seen(code string) int { return s.codes.seen(code) }

// Start listens on a loopback address such as 127.0.0.1:0 and serves until Close. Any other address is refused: the
// sandbox logs everybody in as anybody.
func (s *Sandbox) Start(listen string) error {
	if err := loopbackOnly(listen); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil || s.isClosed() {
		return errors.New("sandbox: was started before")
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	s.serve(listener)
	return nil
}

// serve runs the server in a goroutine that Close waits for.
func (s *Sandbox) serve(listener net.Listener) {
	s.listener = listener
	s.server = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		// Serve always returns an error; after Close it is ErrServerClosed, and nobody is left to tell of another.
		_ = s.server.Serve(listener)
	}()
}

// URL returns http://127.0.0.1:port for wechat.base_url, or "" before Start.
func (s *Sandbox) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return "http://" + s.listener.Addr().String()
}

// Close drops every connection, ends every wait and returns when the listener is closed. A second Close does nothing.
func (s *Sandbox) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	close(s.closed)
	if s.server == nil {
		return nil
	}
	err := s.server.Close()
	<-s.served
	return err
}

// isClosed reports whether Close was called. The caller holds mu.
func (s *Sandbox) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// loopbackOnly accepts 127.0.0.0/8, ::1 and localhost.
func loopbackOnly(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("sandbox: listen address %q: %w", listen, err)
	}
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("sandbox: refuses to listen on %q: only a loopback address such as 127.0.0.1:0", listen)
}
