package wire

import "math"

// extent is a part of the head, by offsets: the head may move in memory before it is complete.
type extent struct{ from, to int }

// head is what a request head says about itself as far as framing and routing depend on it.
type head struct {
	old       bool // HTTP/1.0
	chunked   bool
	hasHost   bool
	hasLength bool
	length    int64  // the Content-Length
	authority extent // of an absolute-form target
	host      extent
}

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

// field judges the fields that decide framing and routing. All others are opaque: any byte but a control byte.
func (h *head) field(line []byte, colon, from int) Reason {
	name := line[:colon]
	switch colon {
	case len("host"):
		if is(name, "host") {
			return h.setHost(line, colon, from)
		}
	case len("content-length"):
		if is(name, "content-length") {
			return h.setLength(trimSpace(line[colon+1:]))
		}
	case len("transfer-encoding"):
		if is(name, "transfer-encoding") {
			return h.setCoding(trimSpace(line[colon+1:]))
		}
	}
	return ""
}

// setHost takes one Host, on HTTP/1.0 too (RFC 9112 §3.2).
func (h *head) setHost(line []byte, colon, from int) Reason {
	value := trimSpace(line[colon+1:])
	if h.hasHost {
		return reasonTwoHosts
	}
	if !validHost(value) {
		return reasonHost
	}
	start := colon + 1
	for line[start] == ' ' || line[start] == '\t' {
		start++
	}
	h.hasHost = true
	h.host = extent{from + start, from + start + len(value)}
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

// setCoding takes "chunked", once, alone and on HTTP/1.1 (RFC 9112 §6.1); fasthttp knows no other coding.
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
	if !h.hasHost && (!h.old || h.authority.to > 0) {
		return reasonNoHost
	}
	if h.authority.to > 0 && !sameFold(b[h.authority.from:h.authority.to], b[h.host.from:h.host.to]) {
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
