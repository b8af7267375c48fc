package http1

import (
	"bytes"
	"net/http"

	"wxgate/message"
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
func readHead(r *reader, resp *message.Response) (head, error) {
	resp.Reset()
	h := head{length: -1}
	line, err := firstLine(r)
	if err != nil {
		return h, err
	}
	size := len(line)
	if err = h.statusLine(line, resp); err != nil {
		return h, err
	}
	if err = h.fields(r, size, resp); err != nil {
		return h, err
	}
	h.dropNamed(resp)
	return h, h.framing()
}

// firstLine refuses what does not begin like HTTP as soon as it is there, not when a line end or a timeout comes.
func firstLine(r *reader) ([]byte, error) {
	if len(r.buffered()) == 0 {
		if err := r.fill(); err != nil {
			return nil, unanswered{ioError("waiting for the answer", err)}
		}
	}
	const version = "HTTP/1."
	for {
		come := r.buffered()
		n := min(len(come), len(version))
		switch {
		case string(come[:n]) != version[:n]:
			return nil, invalid("not an HTTP/1 status line")
		case n == len(version):
			return r.line(maxHeadBytes, "reading the status line")
		}
		if err := r.fill(); err != nil {
			return nil, ioError("reading the status line", err)
		}
	}
}

// statusLine takes `HTTP/1.1 200 OK` (RFC 9112 §4). The space after the code may be missing, as in the wild.
func (h *head) statusLine(line []byte, resp *message.Response) error {
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
	resp.Status, resp.Reason, resp.Relayed = h.status, append(resp.Reason, reason...), true
	return nil
}

// fields reads field lines up to the empty one.
func (h *head) fields(r *reader, size int, resp *message.Response) error {
	for n := 0; ; n++ {
		line, err := r.line(maxHeadBytes, "reading the head")
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
func (h *head) field(line []byte, resp *message.Response) error {
	name, value, err := splitField(line)
	if err != nil {
		return err
	}
	own, err := h.hopByHop(name, value)
	if err == nil && own && h.keepsPlace(name, value) {
		resp.Fields.AddBytes(name, value)
		resp.Sized = resp.Sized || len(name) == len("Content-Length")
	}
	if err != nil || own || h.interim() && h.status != http.StatusSwitchingProtocols {
		return err
	}
	if held := contentType(resp, name); held != nil {
		return sameContentType(held, value)
	}
	resp.Fields.AddBytes(name, value)
	return nil
}

// contentType is the Content-Type that resp has already, nil when there is none or when name is another field's.
func contentType(resp *message.Response, name []byte) []byte {
	if len(name) != len("content-type") || !message.EqualFold(name, "content-type") {
		return nil
	}
	return resp.Fields.Get("content-type")
}

// sameContentType refuses two Content-Types that disagree: who reads the first sees another document than who reads the
// last (RFC 9110 §8.3). Two that agree are one.
func sameContentType(held, value []byte) error {
	if !bytes.Equal(held, value) {
		return invalid("different Content-Types")
	}
	return nil
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
		if message.EqualFold(name, "content-length") || message.EqualFold(name, "transfer-encoding") {
			return nil, nil, invalid("white space after the name of a framing field")
		}
	}
	if !isToken(name) {
		return nil, nil, invalid("malformed field name")
	}
	value = trim(line[colon+1:])
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
