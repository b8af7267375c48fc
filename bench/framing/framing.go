// Package framing finds where HTTP/1.1 messages end, for the load generator and the service of the benchmarks. It trusts
// its peers and costs little; nothing of the product may use it.
package framing

import "bytes"

// HeadEnd returns the length of the head at the start of b including its blank line, or 0 if it is incomplete.
func HeadEnd(b []byte) int {
	i := bytes.Index(b, []byte("\r\n\r\n"))
	if i < 0 {
		return 0
	}
	return i + 4
}

// Header returns the value of the first header line with that name, given in lower case, or nil.
func Header(head []byte, name string) []byte {
	for {
		i := bytes.IndexByte(head, '\n')
		if i < 0 {
			return nil
		}
		head = head[i+1:]
		if len(head) > len(name) && head[len(name)] == ':' && equalFold(head[:len(name)], name) {
			value, _, _ := bytes.Cut(head[len(name)+1:], []byte("\r"))
			return bytes.TrimSpace(value)
		}
	}
}

func equalFold(b []byte, lower string) bool {
	for i := range len(lower) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// Body follows the body of one message. The zero value is a body of no bytes.
type Body struct {
	Left int64 // bytes to come; of a chunked body, 1 until its end

	chunked bool
	state   chunkState
	chunk   int64 // bytes to come of this chunk
	size    int64 // what was read of a size line
	line    int   // length of this trailer line
}

// chunkState is what comes next in a chunked body (RFC 9112 §7.1).
type chunkState int

const (
	sizeLine chunkState = iota
	chunkData
	afterData
	trailer
)

// BodyOf returns the body that the message with that head has. A response without a length has none: its end would be
// that of the connection.
func BodyOf(head []byte) Body {
	if value := Header(head, "content-length"); value != nil {
		return Body{Left: decimal(value)}
	}
	if value := Header(head, "transfer-encoding"); bytes.Contains(bytes.ToLower(value), []byte("chunked")) {
		return Body{chunked: true, Left: 1}
	}
	return Body{}
}

func decimal(digits []byte) (n int64) {
	for _, c := range digits {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
	}
	return n
}

// Done reports whether the body has ended.
func (b *Body) Done() bool { return b.Left == 0 }

// Feed takes what belongs to the body from the start of p. It returns how many bytes these are, and how many of them are
// content.
func (b *Body) Feed(p []byte) (used int, content int64) {
	if !b.chunked {
		n := min(int64(len(p)), b.Left)
		b.Left -= n
		return int(n), n
	}
	for used < len(p) && b.Left != 0 {
		if b.state != chunkData {
			b.control(p[used])
			used++
			continue
		}
		n := min(int64(len(p)-used), b.chunk)
		used, content = used+int(n), content+n
		if b.chunk -= n; b.chunk == 0 {
			b.state = afterData
		}
	}
	return used, content
}

// control takes a byte that is no content.
func (b *Body) control(c byte) {
	switch {
	case b.state == sizeLine && c == '\n':
		b.startChunk()
	case b.state == sizeLine:
		if digit, ok := hexDigit(c); ok {
			b.size = b.size<<4 | digit
		}
	case b.state == afterData && c == '\n':
		b.state = sizeLine
	case b.state == trailer && c == '\n':
		if b.line == 0 {
			b.Left = 0
		}
		b.line = 0
	case b.state == trailer && c != '\r':
		b.line++
	}
}

func (b *Body) startChunk() {
	b.chunk, b.size, b.state = b.size, 0, chunkData
	if b.chunk == 0 {
		b.state, b.line = trailer, 0
	}
}

// hexDigit reports false for anything else, which is the CR at the end of a line.
func hexDigit(c byte) (int64, bool) {
	switch {
	case c >= '0' && c <= '9':
		return int64(c - '0'), true
	case c >= 'a' && c <= 'f':
		return int64(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return int64(c-'A') + 10, true
	}
	return 0, false
}
