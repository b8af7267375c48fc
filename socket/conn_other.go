//go:build !linux

package socket

import (
	"net"
	"time"
)

// Conn is a TCP connection. Like every net.Conn it is safe for concurrent use.
type Conn struct {
	*net.TCPConn
	probe *Probe
}

// New makes a Conn of c, which must not be used any more.
func New(c *net.TCPConn) *Conn { return &Conn{c, NewProbe(c)} }

// ReadInto is Read into what b lends.
func (c *Conn) ReadInto(b Lender) (int, error) {
	n, err := c.Read(b.Lend())
	if n == 0 {
		b.TakeBack()
	}
	return n, err
}

// TryWrite writes what goes without waiting, which is nothing here.
func (c *Conn) TryWrite([]byte) (int, error) { return 0, nil }

// Writev writes all the parts, one behind the other, with as few system calls as possible, and returns how many bytes
// it has written. Nothing else is written between them.
func (c *Conn) Writev(parts ...[]byte) (n int, err error) {
	buffers := append(net.Buffers(nil), parts...)
	written, err := buffers.WriteTo(c.TCPConn)
	return int(written), err
}

// Exchange writes request and reads into answer what comes back, waiting for the first byte. It looks first: if
// something is there to be read before anything was written, it writes nothing, and returns that or the error of the
// read. When the kernel does not take all of request at once, it may return what was written and no error: the rest is
// to be written.
func (c *Conn) Exchange(request, answer []byte) (written, read int, err error) {
	if c.probe.Quiet() {
		if written, err = c.TCPConn.Write(request); err != nil {
			return written, 0, err
		}
	}
	read, err = c.TCPConn.Read(answer)
	return written, read, err
}

// processCPU is not known here.
func processCPU() time.Duration { return 0 }
