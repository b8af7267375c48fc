// Package socket is TCP connections whose reads and writes cost the scheduler nothing, and what the kernel knows of a
// connection.
//
// A Conn keeps every promise of the net.Conn that it was made of: deadlines, errors, an end, a Close at any time. On
// Linux it makes its system calls without telling the scheduler, which is right because they never wait: one that would
// parks the goroutine as package net does. The scheduler's own handling of a call costs more than a short one takes, and
// wakes a monitor thread in a process that is nearly idle. On other systems a Conn is the connection that it was made of.
package socket

import "net"

// Wrap returns a *Conn for a *net.TCPConn, and every other connection as it is.
func Wrap(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		return New(tcp)
	}
	return c
}

// Lender lends the memory of a read.
type Lender interface {
	Lend() []byte // for one try to read
	TakeBack()    // what was lent, because there was nothing to read
}
