package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

const (
	maxCall  = 256 << 10 // bytes of one read or write, which keeps a thread from everything else
	maxParts = 8         // of one writev
)

// Conn is a TCP connection. Like every net.Conn it is safe for concurrent use.
type Conn struct {
	*net.TCPConn
	raw syscall.RawConn
	in  input
	out output

	exchange exchange
}

// input is a read. Its function is made once, so that a read does not allocate.
type input struct {
	mu     sync.Mutex
	call   func(fd uintptr) (done bool)
	lender Lender // nil: p is given
	p      []byte
	n      int
	err    syscall.Errno
}

// output is a write, of p or of what is left of parts.
type output struct {
	mu    sync.Mutex
	call  func(fd uintptr) (done bool)
	callv func(fd uintptr) (done bool)
	try   func(fd uintptr)
	p     []byte
	parts [maxParts]syscall.Iovec
	first int // of parts that is not written
	last  int // behind the last one
	n     int
	err   syscall.Errno
}

// New makes a Conn of c, which must not be used any more.
func New(c *net.TCPConn) *Conn {
	raw, err := c.SyscallConn()
	if err != nil { // c is nil, or was never connected
		raw = invalid{err}
	}
	s := &Conn{TCPConn: c, raw: raw}
	s.in.call, s.out.call, s.out.callv = s.in.read, s.out.write, s.out.writev
	s.out.try = func(fd uintptr) { s.out.write(fd) }
	s.exchange = exchange{call: s.exchange.step, in: &s.in, out: &s.out}
	return s
}

// invalid is the raw side of no connection.
type invalid struct{ err error }

func (i invalid) Control(func(uintptr)) error    { return i.err }
func (i invalid) Read(func(uintptr) bool) error  { return i.err }
func (i invalid) Write(func(uintptr) bool) error { return i.err }

// ReadInto is Read into what b lends, which nothing holds while the connection waits.
func (c *Conn) ReadInto(b Lender) (int, error) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	in.lender, in.n, in.err = b, 0, 0
	err := c.raw.Read(in.call)
	if in.lender, in.p = nil, nil; err != nil {
		return 0, c.failed("read", err)
	}
	return c.result()
}

// Read reads into p, waiting for the first byte.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return c.TCPConn.Read(p)
	}
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	in.p, in.n, in.err = p[:min(len(p), maxCall)], 0, 0
	err := c.raw.Read(in.call)
	if in.p = nil; err != nil {
		return 0, c.failed("read", err)
	}
	return c.result()
}

// result is that of a read.
func (c *Conn) result() (int, error) {
	in := &c.in
	switch {
	case in.err != 0:
		return 0, c.failed("read", os.NewSyscallError("read", in.err))
	case in.n == 0:
		return 0, io.EOF
	}
	return in.n, nil
}

func (in *input) read(fd uintptr) bool {
	if in.lender != nil {
		p := in.lender.Lend()
		in.p = p[:min(len(p), maxCall)]
	}
	for {
		n, err := rawRead(fd, in.p)
		switch err {
		case 0:
			in.n = n
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			if in.lender != nil {
				in.lender.TakeBack()
				in.p = nil
			}
			return false
		default:
			in.err = err
			return true
		}
	}
}

// Write writes all of p, unless an error ends it before.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return c.TCPConn.Write(p)
	}
	out := &c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	out.p, out.n, out.err = p, 0, 0
	err := c.raw.Write(out.call)
	out.p = nil
	return c.written("write", err)
}

func (out *output) write(fd uintptr) bool {
	for len(out.p) > 0 {
		n, err := rawWrite(fd, out.p[:min(len(out.p), maxCall)])
		switch err {
		case 0:
			out.n += n
			out.p = out.p[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			out.err = err
			return true
		}
	}
	return true
}

// TryWrite writes what goes without waiting. It knows no deadline.
func (c *Conn) TryWrite(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	out := &c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	out.p, out.n, out.err = p, 0, 0
	err := c.raw.Control(out.try)
	out.p = nil
	return c.written("write", err)
}

// Writev writes all the parts, one behind the other, with as few system calls as possible, and returns how many bytes
// it has written. Nothing else is written between them.
func (c *Conn) Writev(parts ...[]byte) (n int, err error) {
	out := &c.out
	out.mu.Lock()
	defer out.mu.Unlock()
	for len(parts) > 0 {
		parts = out.fill(parts)
		err := c.raw.Write(out.callv)
		clear(out.parts[:]) // lets go of the memory
		written, err := c.written("writev", err)
		if n += written; err != nil {
			return n, err
		}
	}
	return n, nil
}

// fill takes as many parts as one call may have, and returns the others.
func (out *output) fill(parts [][]byte) (rest [][]byte) {
	out.first, out.last, out.n, out.err = 0, 0, 0, 0
	for i, part := range parts {
		if out.last == maxParts {
			return parts[i:]
		}
		if len(part) > 0 {
			out.parts[out.last].Base = &part[0]
			out.parts[out.last].SetLen(len(part))
			out.last++
		}
	}
	return nil
}

func (out *output) writev(fd uintptr) bool {
	for out.first < out.last {
		n, err := rawWritev(fd, out.parts[out.first:out.last])
		switch err {
		case 0:
			out.advance(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			out.err = err
			return true
		}
	}
	return true
}

// advance takes n bytes from the parts.
func (out *output) advance(n int) {
	out.n += n
	for out.first < out.last {
		part := &out.parts[out.first]
		size := int(part.Len)
		if n < size {
			part.Base = (*byte)(unsafe.Add(unsafe.Pointer(part.Base), n))
			part.SetLen(size - n)
			return
		}
		n -= size
		out.first++
	}
}

// written is the result of a write.
func (c *Conn) written(call string, err error) (int, error) {
	switch {
	case err != nil:
		return c.out.n, c.failed("write", err)
	case c.out.err != 0:
		return c.out.n, c.failed("write", os.NewSyscallError(call, c.out.err))
	}
	return c.out.n, nil
}

// failed wraps err as package net does.
func (c *Conn) failed(op string, err error) error {
	var raw *net.OpError
	if errors.As(err, &raw) {
		err = raw.Err // its operation is raw-read or raw-write
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}
