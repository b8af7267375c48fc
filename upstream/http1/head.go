package http1

import (
	"bufio"
	"bytes"
	"errors"

	"github.com/valyala/fasthttp"
)

// The most that a head may hold.
const (
	maxHeadBytes = 64 << 10
	maxFields    = 200
)

// head is what the head of an answer says of its framing.
type head struct {
	status          int
	http10          bool
	length          int64 // Content-Length, -1: none
	chunked         bool
	close           bool     // Connection: close
	keep            bool     // Connection: keep-alive
	upgrades        bool     // Connection: upgrade
	named           []string // further names in Connection, which are hop-by-hop
	transferEncoded bool     // there was a Transfer-Encoding
	lengths         int      // how many Content-Length there were
}

func (h *head) interim() bool { return h.status < 200 }

// persistent reports whether the service keeps the connection open after this answer (RFC 9112 §9.3).
func (h *head) persistent() bool { return !h.close && (!h.http10 || h.keep) }

// readHead reads one head, strictly as RFC 9112 §2-6 writes it, and puts status and end-to-end fields into resp, names
// and values as they came. The fields of an interim answer (1xx) are checked and dropped.
func readHead(c *conn, resp *fasthttp.Response) (head, error) {
	resp.Reset()
	resp.Header.DisableNormalizing()
	resp.Header.SetNoDefaultContentType(true)
	h := head{length: -1}
	line, err := firstLine(c)
	if err != nil {
		return h, err
	}
	size := len(line)
	if err = h.statusLine(line, resp); err != nil {
		return h, err
	}
	if err = h.fields(c, size, resp); err != nil {
		return h, err
	}
	h.dropNamed(resp)
	return h, h.framing()
}

// firstLine refuses what does not begin like HTTP as soon as it is there, not when a line end or a timeout comes.
func firstLine(c *conn) ([]byte, error) {
	if _, err := c.br.Peek(1); err != nil {
		return nil, unanswered{ioError("waiting for the answer", err)}
	}
	begun, _ := c.br.Peek(min(c.br.Buffered(), len("HTTP/1.")))
	if !bytes.HasPrefix([]byte("HTTP/1."), begun) {
		return nil, invalid("not an HTTP/1 status line")
	}
	return readHeadLine(c.br, "reading the status line")
}

// readHeadLine is readLine for lines that may be as long as a whole head: what the buffer of the connection does not
// hold is put together in one of its own.
func readHeadLine(br *bufio.Reader, doing string) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return endOfLine(line, err, doing)
	}
	var whole []byte
	for errors.Is(err, bufio.ErrBufferFull) && len(whole) <= maxHeadBytes {
		whole = append(whole, line...)
		line, err = br.ReadSlice('\n')
	}
	return endOfLine(append(whole, line...), err, doing)
}

// readLine reads a line that ends with CRLF and returns it without.
func readLine(br *bufio.Reader, doing string) ([]byte, error) {
	line, err := br.ReadSlice('\n')
	return endOfLine(line, err, doing)
}

func endOfLine(line []byte, err error, doing string) ([]byte, error) {
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, invalid("a line is too long")
	case err != nil:
		return nil, ioError(doing, err)
	case len(line) < 2 || line[len(line)-2] != '\r':
		return nil, invalid("a line ends without CR")
	}
	return line[:len(line)-2], nil
}

// statusLine takes `HTTP/1.1 200 OK` (RFC 9112 §4). The space after the code may be missing, as in the wild.
func (h *head) statusLine(line []byte, resp *fasthttp.Response) error {
	const code = len("HTTP/1.1 ")
	if len(line) < code+3 || line[code-1] != ' ' || len(line) > code+3 && line[code+3] != ' ' {
		return invalid("malformed status line")
	}
	version := line[code-2]
	if version != '0' && version != '1' {
		return invalid("a version other than HTTP/1.0 and HTTP/1.1")
	}
	h.http10 = version == '0'
	status, ok := digits(line[code : code+3])
	if !ok || status < 100 || status > 599 {
		return invalid("a status outside 100 to 599")
	}
	h.status = int(status)
	reason := line[min(code+4, len(line)):]
	if !clean(reason) {
		return invalid("a control byte in the reason phrase")
	}
	resp.Header.SetStatusCode(h.status)
	resp.Header.SetStatusMessage(reason)
	return nil
}

// fields reads field lines up to the empty one.
func (h *head) fields(c *conn, size int, resp *fasthttp.Response) error {
	for n := 0; ; n++ {
		line, err := readHeadLine(c.br, "reading the head")
		if err != nil || len(line) == 0 {
			return err
		}
		if size += len(line) + 2; size > maxHeadBytes || n == maxFields {
			return invalid("the head is too large")
		}
		if err := h.field(line, resp); err != nil {
			return err
		}
	}
}

// field takes one field line: framing for us, what is end-to-end for resp.
func (h *head) field(line []byte, resp *fasthttp.Response) error {
	name, value, err := splitField(line)
	if err != nil {
		return err
	}
	own, err := h.hopByHop(name, value)
	if err != nil || own || h.interim() && h.status != fasthttp.StatusSwitchingProtocols {
		return err
	}
	return addField(resp, name, value)
}

// splitField takes a field line apart (RFC 9112 §5): a token, a colon, a value without control bytes. White space
// between the two is removed, as §5.1 has it of a proxy, except of the fields that say where the answer ends: whoever
// skips such a line, and whoever reads it, would see two answers. A line that begins with white space may belong to the
// one before.
func splitField(line []byte) (name, value []byte, err error) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return nil, nil, invalid("malformed field name")
	}
	name = line[:colon]
	if last := name[colon-1]; last == ' ' || last == '\t' {
		name = bytes.TrimRight(name, " \t")
		if equalFold(name, "content-length") || equalFold(name, "transfer-encoding") {
			return nil, nil, invalid("white space after the name of a framing field")
		}
	}
	if !isToken(name) {
		return nil, nil, invalid("malformed field name")
	}
	value = bytes.Trim(line[colon+1:], " \t")
	if !clean(value) {
		return nil, nil, invalid("a control byte in a field value")
	}
	return name, value, nil
}

// framing refuses every ambiguity about where the answer ends (RFC 9112 §6).
func (h *head) framing() error {
	switch {
	case h.lengths > 1:
		return invalid("more than one Content-Length")
	case h.transferEncoded && h.lengths > 0:
		return invalid("both Content-Length and Transfer-Encoding")
	case h.transferEncoded && h.http10:
		return invalid("Transfer-Encoding in HTTP/1.0")
	}
	return nil
}
