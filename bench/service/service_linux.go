// Package service is what stands behind the gateways of the benchmarks: an HTTP/1.1 server of one thread that costs as
// little as possible, so that it is not what is measured. By the end of the path,
//
//	/echo     answers the request line and headers as JSON
//	/size/N   answers N bytes
//	/upload   takes the content and answers its length: {"n":5}
//
// and anything else is answered with 1,024 bytes of JSON.
package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"wxgate/bench/epoll"
	"wxgate/bench/framing"
)

// server holds the connections and the answers that were made before.
type server struct {
	poll      *epoll.Poll
	listeners map[int]bool
	conns     []*conn // by descriptor
	usual     []byte
	sized     map[string][]byte
}

// Run listens on IPv4 addresses and serves until ctx ends.
func Run(ctx context.Context, addresses ...netip.AddrPort) error {
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	poll, err := epoll.New()
	if err != nil {
		return err
	}
	s := &server{poll: poll, listeners: map[int]bool{}, usual: answer(filler(1024)), sized: map[string][]byte{}}
	for _, address := range addresses {
		listener, err := poll.Listen(address)
		if err != nil {
			return err
		}
		s.listeners[listener] = true
	}
	for ctx.Err() == nil {
		if err := poll.Wait(200, s.handle); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) handle(e epoll.Event) error {
	if s.listeners[e.FD] {
		for fd, ok := s.poll.Accept(e.FD); ok; fd, ok = s.poll.Accept(e.FD) {
			s.put(&conn{server: s, fd: fd, in: make([]byte, 4<<10)})
		}
		return nil
	}
	c := s.conns[e.FD]
	if e.Writable && !c.flush() || e.Readable && !c.read() {
		s.conns[e.FD] = nil
		return unix.Close(e.FD)
	}
	return nil
}

func (s *server) put(c *conn) {
	for c.fd >= len(s.conns) {
		s.conns = append(s.conns, make([]*conn, max(256, len(s.conns)))...)
	}
	s.conns[c.fd] = c
}

// conn is one connection of a gateway.
type conn struct {
	server  *server
	fd      int
	in      []byte
	filled  int // of in
	inBody  bool
	body    framing.Body
	content int64  // what this body had so far
	out     []byte // what could not be written yet
}

// read takes what has arrived, and reports whether the connection goes on.
func (c *conn) read() bool {
	if c.filled == len(c.in) {
		return false // a head that is larger than the buffer
	}
	n, err := unix.Read(c.fd, c.in[c.filled:])
	if err != nil || n == 0 {
		return epoll.Again(err)
	}
	c.filled += n
	taken, ok := c.take(c.in[:c.filled])
	copy(c.in, c.in[taken:c.filled])
	c.filled -= taken
	if size := 64 << 10; c.inBody && len(c.in) < size {
		c.in = append(make([]byte, 0, size), c.in[:c.filled]...)[:size]
	}
	return ok
}

// take answers the requests in b, and returns how much of it these were.
func (c *conn) take(b []byte) (taken int, ok bool) {
	for taken < len(b) {
		if c.inBody {
			used, content := c.body.Feed(b[taken:])
			taken, c.content = taken+used, c.content+content
			if !c.body.Done() {
				break
			}
			c.inBody = false
			if !c.write(answer(fmt.Appendf(nil, `{"n":%d}`, c.content))) {
				return taken, false
			}
			continue
		}
		end := framing.HeadEnd(b[taken:])
		if end == 0 {
			break
		}
		head := b[taken : taken+end]
		taken += end
		if !c.request(head) {
			return taken, false
		}
	}
	return taken, true
}

// request answers a request, or prepares to read its content.
func (c *conn) request(head []byte) bool {
	c.body, c.content = framing.BodyOf(head), 0
	c.inBody = !c.body.Done()
	if !c.inBody {
		return c.write(c.server.answerTo(head))
	}
	if bytes.EqualFold(framing.Header(head, "expect"), []byte("100-continue")) {
		return c.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
	return true
}

func (s *server) answerTo(head []byte) []byte {
	line, _, _ := bytes.Cut(head, []byte("\r"))
	_, target, _ := bytes.Cut(line, []byte(" "))
	target, _, _ = bytes.Cut(target, []byte(" "))
	target, _, _ = bytes.Cut(target, []byte("?"))
	if _, size, ok := bytes.Cut(target, []byte("/size/")); ok {
		return s.answerOf(size)
	}
	if bytes.HasSuffix(target, []byte("/echo")) {
		return answer(echo(string(head)))
	}
	return s.usual
}

// answerOf returns the answer with so many bytes.
func (s *server) answerOf(size []byte) []byte {
	if made, ok := s.sized[string(size)]; ok {
		return made
	}
	n, _ := strconv.Atoi(string(size))
	made := answer(filler(n))
	s.sized[string(size)] = made
	return made
}

// write sends b, or what fits now.
func (c *conn) write(b []byte) bool {
	if len(c.out) > 0 {
		c.out = append(bytes.Clone(c.out), b...)
		return true
	}
	n, err := unix.Write(c.fd, b)
	if err != nil && !epoll.Again(err) {
		return false
	}
	if n = max(0, n); n == len(b) {
		return true
	}
	c.out = b[n:]
	return c.server.poll.WaitToWrite(c.fd) == nil
}

// flush sends what could not be written before.
func (c *conn) flush() bool {
	n, err := unix.Write(c.fd, c.out)
	if err != nil && !epoll.Again(err) {
		return false
	}
	if c.out = c.out[max(0, n):]; len(c.out) > 0 {
		return true
	}
	return c.server.poll.WaitToRead(c.fd) == nil
}

func answer(content []byte) []byte {
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n"+
		"X-Powered-By: bench\r\nCache-Control: no-store\r\n\r\n", len(content))
	return append([]byte(head), content...)
}

// filler returns n bytes, from 51 on of JSON.
func filler(n int) []byte {
	const begin, end = `{"code":200,"message":"success","data":[`, `"}`
	if n < len(begin)+len(`],"pad":"`)+len(end) {
		return bytes.Repeat([]byte("x"), n)
	}
	var b bytes.Buffer
	b.WriteString(begin)
	for i := 0; b.Len() < n-100; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"title":"recipe %d","likes":%d}`, i, i, i*7)
	}
	b.WriteString(`],"pad":"`)
	b.WriteString(strings.Repeat("x", n-b.Len()-len(end)))
	b.WriteString(end)
	return b.Bytes()
}

// Echo is what /echo answers.
type Echo struct {
	Line    string              `json:"line"`
	Headers map[string][]string `json:"headers"` // by lower-case name
}

func echo(head string) []byte {
	lines := strings.Split(head, "\r\n")
	e := Echo{Line: lines[0], Headers: map[string][]string{}}
	for _, line := range lines[1:] {
		if name, value, ok := strings.Cut(line, ":"); ok {
			name = strings.ToLower(name)
			e.Headers[name] = append(e.Headers[name], strings.TrimSpace(value))
		}
	}
	text, _ := json.Marshal(e) // strings always encode
	return text
}
