package http1

import (
	"bytes"
	"io"
	"sync"
	"sync/atomic"
)

const (
	smallBuffer  = 16 << 10  // what is read at once, in bytes
	largeBuffer  = 128 << 10 // of a long body
	largeBuffers = 128       // of those that a pool lends at a time: whoever finds none goes on with a small one
	maxLine      = 16 << 10  // bytes of a line of chunk framing
)

// buffers lends memory. A connection has some only while an exchange uses it.
type buffers struct {
	small, large sync.Pool // of *[]byte
	lent         atomic.Int32
}

func (b *buffers) getSmall() *[]byte {
	if p, ok := b.small.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, smallBuffer)
	return &p
}

// getLarge returns nil when enough are lent.
func (b *buffers) getLarge() *[]byte {
	if b.lent.Add(1) > largeBuffers {
		b.lent.Add(-1)
		return nil
	}
	if p, ok := b.large.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, largeBuffer)
	return &p
}

// exchangeForLarge returns a large buffer for a small one, or the small one itself when enough are lent.
func (b *buffers) exchangeForLarge(small *[]byte) *[]byte {
	large := b.getLarge()
	if large == nil {
		return small
	}
	b.put(small)
	return large
}

func (b *buffers) put(p *[]byte) {
	switch len(*p) {
	case smallBuffer:
		b.small.Put(p)
	case largeBuffer:
		b.lent.Add(-1)
		b.large.Put(p)
	}
}

// reader is what has come on a connection. What it returns is valid until the next call that may wait, or release.
type reader struct {
	src      io.Reader
	buffers  *buffers
	buf      *[]byte // nil: none is attached
	from, to int     // what has come and was not taken
	err      error   // of a read whose bytes come first
}

// buffered returns what has come and was not taken.
func (r *reader) buffered() []byte {
	if r.from == r.to {
		return nil
	}
	return (*r.buf)[r.from:r.to]
}

// release gives the buffer back, with what was not taken.
func (r *reader) release() {
	if r.buf != nil {
		r.buffers.put(r.buf)
	}
	r.buf, r.from, r.to, r.err = nil, 0, 0, nil
}

// space returns room for what comes next, at least one byte. Whatever is read into it is added to to.
func (r *reader) space() []byte {
	switch {
	case r.buf == nil:
		r.buf = r.buffers.getSmall()
	case r.from == r.to:
		r.from, r.to = 0, 0
	case r.to == len(*r.buf) && r.from > 0:
		r.to = copy(*r.buf, r.buffered())
		r.from = 0
	case r.to == len(*r.buf): // full, of one line
		longer := make([]byte, 2*len(*r.buf)+1) // of no size that is lent
		r.replace(&longer)
	}
	return (*r.buf)[r.to:]
}

// replace makes buf the buffer, with what was not taken.
func (r *reader) replace(buf *[]byte) {
	n := copy(*buf, r.buffered())
	r.buffers.put(r.buf)
	r.buf, r.from, r.to = buf, 0, n
}

// fill waits for bytes. It returns nil as soon as there are more than before.
func (r *reader) fill() error {
	if err := r.err; err != nil {
		r.err = nil
		return err
	}
	space := r.space()
	for range 100 {
		n, err := r.src.Read(space)
		if n > 0 {
			r.to, r.err = r.to+n, err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// enlarge makes the next read a long one.
func (r *reader) enlarge() {
	if r.buf == nil || len(*r.buf) != smallBuffer {
		return
	}
	if large := r.buffers.getLarge(); large != nil {
		r.replace(large)
	}
}

// some takes up to most of the bytes that come next, waiting for the first. most is at least 1. long bodies are read in
// large parts.
func (r *reader) some(most int64, long bool) ([]byte, error) {
	if r.from == r.to {
		if long {
			r.enlarge()
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
	part := r.buffered()
	part = part[:min(most, int64(len(part)))]
	r.from += len(part)
	return part, nil
}

// Read reads what was not taken, and then, without a buffer, what comes. It is for those who take the connection over.
func (r *reader) Read(p []byte) (int, error) {
	if n := copy(p, r.buffered()); n > 0 {
		r.from += n
		return n, nil
	}
	if err := r.err; err != nil {
		r.err = nil
		return 0, err
	}
	return r.src.Read(p)
}

// line takes a line of at most so many bytes, which ends with CRLF, and returns it without.
func (r *reader) line(most int, doing string) ([]byte, error) {
	seen := 0
	for {
		come := r.buffered()
		if n := bytes.IndexByte(come[seen:], '\n'); n >= 0 {
			line := come[:seen+n]
			r.from += len(line) + 1
			if len(line) == 0 || line[len(line)-1] != '\r' {
				return nil, invalid("a line ends without CR")
			}
			return line[:len(line)-1], nil
		}
		if seen = len(come); seen >= most {
			return nil, invalid("a line is too long")
		}
		if err := r.fill(); err != nil {
			return nil, ioError(doing, err)
		}
	}
}
