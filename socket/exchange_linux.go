package socket

import (
	"os"
)

// exchange is a write and the read of what is answered.
type exchange struct {
	call  func(fd uintptr) (done bool)
	in    *input
	out   *output
	asked bool // nothing was there to be read, so out was written
}

// Exchange writes request and reads into answer what comes back, waiting for the first byte. It looks first: if
// something is there to be read before anything was written, it writes nothing, and returns that or the error of the
// read. When the kernel does not take all of request at once, it returns what was written and no error: the rest is to
// be written. Only the read waits, so the write has no deadline.
func (c *Conn) Exchange(request, answer []byte) (written, read int, err error) {
	in, out, x := &c.in, &c.out, &c.exchange
	out.mu.Lock()
	defer out.mu.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	in.p, in.n, in.err = answer[:min(len(answer), maxCall)], 0, 0
	out.p, out.n, out.err, x.asked = request, 0, 0, false
	err = c.raw.Read(x.call)
	in.p, out.p = nil, nil
	switch {
	case err != nil:
		return out.n, 0, c.failed("read", err)
	case out.err != 0:
		return out.n, 0, c.failed("write", os.NewSyscallError("write", out.err))
	case x.asked && out.n < len(request):
		return out.n, 0, nil
	}
	read, err = c.result()
	return out.n, read, err
}

// step looks and writes when it is called first, and then reads. Whatever comes after the look ends the wait: it began
// before.
func (x *exchange) step(fd uintptr) bool {
	if x.asked {
		return x.in.read(fd)
	}
	if x.in.read(fd) {
		return true
	}
	x.asked = true
	return !x.out.write(fd) || x.out.err != 0
}
