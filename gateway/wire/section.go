package wire

import "wxgate/message"

// section judges the lines that make a head or a trailer section: what is alike in both (RFC 9112 §2.2, §5, §7.1.2).
// Its input is always contiguous from the first byte of the section; it remembers how far it has looked, so that a
// section that comes in pieces is looked at once. The zero value expects a head.
type section struct {
	trailers  bool           // a trailer section: no request line, fewer names allowed
	emptyLine bool           // the one empty line that may precede a request line was seen
	inFields  bool           // the request line is behind us
	looked    int            // how many bytes were looked at
	line      int            // where the current line begins
	fields    int            // field lines so far
	lines     []message.Line // where they stand, of a head
	head      head
}

// tlsHandshake is the first byte of whoever speaks TLS to us.
const tlsHandshake = 0x16

// judge looks at b, all bytes of the section so far. end is the length of the section once it is complete and 0 while
// more is needed. The verdict depends on the bytes alone, not on how they were split.
func (s *section) judge(b []byte, limits *Limits) (end int, reason Reason) {
	b = b[:min(len(b), limits.MaxHeadBytes)]
	for {
		s.looked = controlAt(b, s.looked)
		rest := b[s.looked:]
		switch {
		case len(rest) == 0 || len(rest) == 1 && rest[0] == '\r':
			if len(b) == limits.MaxHeadBytes {
				return 0, s.tooLarge(b[s.line:])
			}
			return 0, ""
		case rest[0] == '\t': // white space in a value; names and targets refuse it themselves
			s.looked++
		case rest[0] == '\r' && rest[1] == '\n':
			if done, reason := s.endLine(b, limits); done || reason != "" {
				return s.looked, reason
			}
		case rest[0] == tlsHandshake && s.looked == 0 && !s.trailers:
			return 0, reasonTLS
		default:
			return 0, strayControl(rest[0])
		}
	}
}

// tooLarge says what of a section is too large, whose last line has not ended.
func (s *section) tooLarge(line []byte) Reason {
	if s.inFields || s.trailers {
		return reasonHeadSize
	}
	return tooLong(line)
}

// endLine judges the line that ends at s.looked and moves on to the next one. done means that it was the last.
func (s *section) endLine(b []byte, limits *Limits) (done bool, reason Reason) {
	from, line := s.line, b[s.line:s.looked]
	s.looked += len("\r\n")
	s.line = s.looked
	switch {
	case len(line) > 0 && (s.inFields || s.trailers):
		return false, s.field(line, from, limits)
	case len(line) > 0:
		s.inFields = true
		return false, s.head.requestLine(line, from)
	case s.trailers:
		return true, ""
	case s.inFields:
		return true, s.head.finish(b)
	case s.emptyLine:
		return false, reasonEmptyLines
	}
	s.emptyLine = true
	return false, ""
}

// field judges one field line that begins at byte from of the section.
func (s *section) field(line []byte, from int, limits *Limits) Reason {
	if s.fields++; s.fields > limits.MaxFields {
		return reasonFieldCount
	}
	colon, reason := fieldName(line)
	if reason != "" {
		return reason
	}
	name := line[:colon]
	if s.trailers {
		return trailerField(name)
	}
	value := trimSpace(line[colon+1:])
	at := from + cap(line) - cap(value) // both share an array: the capacities tell where the value begins
	s.lines = append(s.lines, message.Line{Name: rangeOf(from, colon), Value: rangeOf(at, len(value))})
	return s.head.field(name, value, at)
}

// started reports whether b, the section so far, holds more than the empty line that precedes a request line: until
// then the connection is idle.
func (s *section) started(b []byte) bool {
	for _, ch := range b[:min(len(b), 3)] {
		if ch != '\r' && ch != '\n' {
			return true
		}
	}
	return false
}

func strayControl(ch byte) Reason {
	switch ch {
	case '\n':
		return reasonBareLF
	case '\r':
		return reasonBareCR
	}
	return reasonControl
}

// forbiddenTrailers are the fields that mean something for framing, routing, authentication or the content, and must
// therefore stand in the head (RFC 9110 §6.5.1).
var forbiddenTrailers = [...]string{
	"authorization", "cache-control", "connection", "content-encoding", "content-length", "content-range",
	"content-type", "cookie", "date", "expect", "forwarded", "host", "if-match", "if-modified-since", "if-none-match",
	"if-range", "if-unmodified-since", "keep-alive", "location", "max-forwards", "origin", "pragma",
	"proxy-authenticate", "proxy-authorization", "proxy-connection", "range", "set-cookie", "te", "trailer",
	"transfer-encoding", "upgrade", "www-authenticate",
}

// trailerField judges the name of a trailer field.
func trailerField(name []byte) Reason {
	for _, word := range forbiddenTrailers {
		if is(name, word) {
			return reasonTrailer
		}
	}
	if hasPrefix(name, "x-forwarded") || hasPrefix(name, "x-real-ip") {
		return reasonTrailer
	}
	return ""
}

func hasPrefix(name []byte, prefix string) bool {
	return len(name) >= len(prefix) && is(name[:len(prefix)], prefix)
}
