package wire

import (
	"bytes"
	"math"

	"wxgate/message"
)

// head is what a request head says about itself as far as framing and routing depend on it. Its parts are given by
// offsets: the head may move in memory before it is complete.
type head struct {
	old             bool // HTTP/1.0
	chunked         bool
	hasHost         bool
	hasLength       bool
	close           bool // Connection: close
	keepAlive       bool // Connection: keep-alive
	expectsContinue bool
	length          int64 // the Content-Length
	method          message.Range
	target          message.Range
	authority       message.Range // of an absolute-form target
	host            message.Range
}

// rangeOf is the range of n bytes from at on: sections have few kilobytes.
func rangeOf(at, n int) message.Range { return message.Range{From: int32(at), To: int32(at + n)} }

// fieldName returns the index of the colon that ends the name of a field line (RFC 9112 §5, §5.1, §5.2).
func fieldName(line []byte) (colon int, reason Reason) {
	n := tokenBytes.span(line)
	switch {
	case n < len(line) && line[n] == ':' && n > 0:
		return n, ""
	case line[0] == ' ' || line[0] == '\t':
		return 0, reasonFold
	case n == len(line):
		return 0, reasonNoColon
	case n > 0 && colonAfterSpace(line[n:]):
		return 0, reasonColonSpace
	}
	return 0, reasonFieldName
}

func colonAfterSpace(b []byte) bool {
	rest := trimSpace(b)
	return len(rest) < len(b) && len(rest) > 0 && rest[0] == ':'
}

// field judges the fields that decide framing and routing, and reads those about the connection. All others are opaque:
// any byte but a control byte. The value begins at byte from of the head.
func (h *head) field(name, value []byte, from int) Reason {
	switch len(name) {
	case len("expect"):
		if is(name, "expect") && is(value, "100-continue") {
			h.expectsContinue = true
		}
	case len("connection"):
		if is(name, "connection") {
			h.setConnection(value)
		}
	case len("host"):
		if is(name, "host") {
			return h.setHost(value, from)
		}
	case len("content-length"):
		if is(name, "content-length") {
			return h.setLength(value)
		}
	case len("transfer-encoding"):
		if is(name, "transfer-encoding") {
			return h.setCoding(value)
		}
	}
	return ""
}

// setConnection reads the options about the connection itself (RFC 9112 §9.3, §9.6).
func (h *head) setConnection(value []byte) {
	for option := range bytes.SplitSeq(value, []byte{','}) {
		switch option = trimSpace(option); {
		case is(option, "close"):
			h.close = true
		case is(option, "keep-alive"):
			h.keepAlive = true
		}
	}
}

// setHost takes one Host, on HTTP/1.0 too (RFC 9112 §3.2).
func (h *head) setHost(value []byte, from int) Reason {
	if h.hasHost {
		return reasonTwoHosts
	}
	if !validHost(value) {
		return reasonHost
	}
	h.hasHost, h.host = true, rangeOf(from, len(value))
	return ""
}

// setLength takes one decimal number. A list is refused even when its members agree, which RFC 9112 §6.3 allows.
func (h *head) setLength(value []byte) Reason {
	switch {
	case h.hasLength:
		return reasonTwoLengths
	case h.chunked:
		return reasonBothLengths
	}
	n, ok := decimal(value)
	if !ok {
		return reasonLength
	}
	h.hasLength, h.length = true, n
	return ""
}

// setCoding takes "chunked", once, alone and on HTTP/1.1 (RFC 9112 §6.1).
func (h *head) setCoding(value []byte) Reason {
	switch {
	case h.chunked:
		return reasonTwoCodings
	case h.hasLength:
		return reasonBothLengths
	case h.old:
		return reasonOldCoding
	case !is(value, "chunked"):
		return reasonCoding
	}
	h.chunked = true
	return ""
}

// finish judges what only the whole head b can tell.
func (h *head) finish(b []byte) Reason {
	if !h.hasHost && (!h.old || h.authority.To > 0) {
		return reasonNoHost
	}
	if h.authority.To > 0 && !sameFold(h.authority.Of(b), h.host.Of(b)) {
		return reasonTargetHost
	}
	return ""
}

// decimal reads 1*DIGIT, below 2^63.
func decimal(b []byte) (n int64, ok bool) {
	for _, ch := range b {
		d := int64(ch) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(b) > 0
}
