package wire

const (
	maxChunkDigits = 15       // below 2^60
	maxChunkLine   = 512      // size and extensions, without CRLF
	maxChunkWaste  = 16 << 10 // lines beyond what honest chunking costs, as in net/http (CVE-2023-39326)
)

// chunkState is the part of chunked-body (RFC 9112 §7.1) that the next byte belongs to.
type chunkState uint8

const (
	chunkSize      chunkState = iota // 1*HEXDIG
	extBeforeName                    // after ";", BWS
	extName                          // token
	extAfterName                     // BWS
	extBeforeValue                   // after "=", BWS
	extToken                         // a value that is a token
	extQuoted                        // a value in quotes
	extEscaped                       // after "\" in quotes
	extUnquoted                      // after the closing quote
	extAfterValue                    // BWS
	chunkLineLF                      // the LF after the size line
	chunkData
	chunkDataCR // the CRLF after the data
	chunkDataLF
)

// chunked judges a chunked body up to its last chunk; the trailer section that follows is a section.
type chunked struct {
	state  chunkState
	digits int   // of the size, so far
	line   int   // bytes of the size line, so far
	size   int64 // of the chunk
	left   int64 // data still to come
	waste  int64
}

// next looks at b, the next bytes of the body, up to the end of a piece of content. It consumes n bytes, the last of
// which are data; last means that the last chunk ended there. With a reason, b[n] is the offending byte.
func (c *chunked) next(b []byte) (data []byte, n int, last bool, reason Reason) {
	for n < len(b) {
		if c.state == chunkData {
			size := int(min(c.left, int64(len(b)-n)))
			if c.left -= int64(size); c.left == 0 {
				c.state = chunkDataCR
			}
			return b[n : n+size], n + size, false, ""
		}
		if reason = c.step(b[n]); reason != "" {
			return nil, n, false, reason
		}
		n++
		if c.state == chunkData && c.size == 0 {
			return nil, n, true, ""
		}
	}
	return nil, n, false, ""
}

// step moves by one byte that is not data.
func (c *chunked) step(ch byte) Reason {
	switch c.state {
	case chunkDataCR:
		return c.expect(ch, '\r', chunkDataLF)
	case chunkDataLF:
		c.digits, c.line, c.size = 0, 0, 0
		return c.expect(ch, '\n', chunkSize)
	case chunkLineLF:
		return c.endLine(ch)
	}
	if c.line++; c.line > maxChunkLine && ch != '\r' {
		return reasonChunkLine
	}
	if c.state == chunkSize {
		return c.sizeByte(ch)
	}
	return c.extByte(ch)
}

func (c *chunked) expect(ch, want byte, next chunkState) Reason {
	if ch != want {
		return reasonChunkEnd
	}
	c.state = next
	return ""
}

// endLine takes the LF of a size line. The account of waste forgives 16 bytes a chunk and as much as the data weighs.
func (c *chunked) endLine(ch byte) Reason {
	if ch != '\n' {
		return reasonBareCR
	}
	c.waste = max(0, c.waste+int64(c.line)-16-2*min(c.size, maxChunkWaste))
	if c.waste > maxChunkWaste {
		return reasonChunkWaste
	}
	c.state, c.left = chunkData, c.size
	return ""
}

// sizeByte takes a byte of the chunk-size or the one that ends it. White space may not: parsers differ
// there.
func (c *chunked) sizeByte(ch byte) Reason {
	digit := hexDigit(ch)
	switch {
	case digit >= 0 && c.digits < maxChunkDigits:
		c.digits++
		c.size = c.size<<4 | digit
		return ""
	case digit >= 0 || c.digits == 0:
		return reasonChunkSize
	case ch == ';':
		c.state = extBeforeName
		return ""
	case ch == '\r':
		c.state = chunkLineLF
		return ""
	case ch == '\n':
		return reasonBareLF
	}
	return reasonChunkSize
}

// extByte takes a byte of chunk-ext (RFC 9112 §7.1.1), including the white space that a recipient must parse (BWS).
func (c *chunked) extByte(ch byte) Reason {
	next, ok := extNext(c.state, ch)
	if !ok && ch == '\n' {
		return reasonBareLF
	}
	if !ok {
		return reasonChunkExt
	}
	c.state = next
	return ""
}

// extNext is the table of chunk-ext: the state after ch, and whether ch may stand there.
func extNext(state chunkState, ch byte) (next chunkState, ok bool) {
	space, token := ch == ' ' || ch == '\t', tokenBytes[ch]
	switch state {
	case extBeforeName:
		return pick(space, extBeforeName, extName), space || token
	case extBeforeValue:
		if ch == '"' {
			return extQuoted, true
		}
		return pick(space, extBeforeValue, extToken), space || token
	case extQuoted:
		if ch == '"' {
			return extUnquoted, true
		}
		return pick(ch == '\\', extEscaped, extQuoted), ch == '\\' || quotedBytes[ch]
	case extEscaped:
		return extQuoted, ch == '"' || ch == '\\' || quotedBytes[ch]
	case extName, extToken:
		if token {
			return state, true
		}
	}
	return extSeparator(state, ch)
}

// extSeparator is the state after ch where a name or a value has ended. "=" follows names only, the end of the line no
// white space.
func extSeparator(state chunkState, ch byte) (next chunkState, ok bool) {
	named := state == extName || state == extAfterName
	switch ch {
	case ' ', '\t':
		return pick(named, extAfterName, extAfterValue), true
	case ';':
		return extBeforeName, true
	case '=':
		return extBeforeValue, named
	case '\r':
		return chunkLineLF, state != extAfterName && state != extAfterValue
	}
	return state, false
}

func pick(first bool, a, b chunkState) chunkState {
	if first {
		return a
	}
	return b
}

func hexDigit(ch byte) int64 {
	switch {
	case '0' <= ch && ch <= '9':
		return int64(ch - '0')
	case 'a' <= lower(ch) && lower(ch) <= 'f':
		return int64(lower(ch)-'a') + 10
	}
	return -1
}
