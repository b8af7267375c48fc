package upstreamtest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Request is a request as it arrived.
type Request struct {
	Raw    []byte // every byte, head and body with its framing
	Method string
	Target string // the request target as it came
	Fields []Field
	Body   []byte // without chunk framing
	Conn   int    // the number of its connection
}

// Field is one field line: the name as it came, the value without white space around it.
type Field struct{ Name, Value string }

// Path returns the target without its query.
func (r Request) Path() string {
	path, _, _ := strings.Cut(r.Target, "?")
	return path
}

// Head returns the head as it came, with its empty line.
func (r Request) Head() string {
	head, _, _ := strings.Cut(string(r.Raw), "\r\n\r\n")
	return head + "\r\n\r\n"
}

// Field returns the value of the first field of that name, in any case, or "".
func (r Request) Field(name string) string {
	if values := r.Values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Values returns the values of all fields of that name, in any case, in their order.
func (r Request) Values(name string) []string {
	var values []string
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// ReadRequest reads a request as it is. With an error it returns what came before that.
func ReadRequest(br *bufio.Reader) (Request, error) {
	var raw bytes.Buffer
	r := recorder{br: br, raw: &raw}
	req, err := r.request()
	req.Raw = raw.Bytes()
	return req, err
}

// recorder reads a request and writes every byte down.
type recorder struct {
	br  *bufio.Reader
	raw *bytes.Buffer
}

func (r recorder) line() (string, error) {
	line, err := r.br.ReadString('\n')
	r.raw.WriteString(line)
	return strings.TrimRight(line, "\r\n"), err
}

func (r recorder) request() (Request, error) {
	req, err := r.head()
	if err != nil {
		return req, err
	}
	req.Body, err = r.body(req)
	return req, err
}

func (r recorder) head() (Request, error) {
	var req Request
	first, err := r.line()
	if err != nil {
		return req, err
	}
	if req.Method, req.Target, err = requestLine(first); err != nil {
		return req, err
	}
	for {
		line, err := r.line()
		if err != nil {
			return req, err
		}
		if line == "" {
			return req, nil
		}
		name, value, _ := strings.Cut(line, ":")
		req.Fields = append(req.Fields, Field{name, strings.TrimSpace(value)})
	}
}

func requestLine(line string) (method, target string, err error) {
	parts := strings.Split(line, " ")
	if len(parts) != 3 {
		return "", "", fmt.Errorf("not a request line: %q", line)
	}
	return parts[0], parts[1], nil
}

func (r recorder) body(req Request) ([]byte, error) {
	if strings.EqualFold(req.Field("Transfer-Encoding"), "chunked") {
		return r.chunks()
	}
	n, _ := strconv.Atoi(req.Field("Content-Length"))
	return r.bytes(n)
}

func (r recorder) bytes(n int) ([]byte, error) {
	var b bytes.Buffer
	_, err := io.CopyN(io.MultiWriter(&b, r.raw), r.br, int64(n))
	if n > 0 && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b.Bytes(), err
}

func (r recorder) chunks() ([]byte, error) {
	var body []byte
	for {
		line, err := r.line()
		if err != nil {
			return body, io.ErrUnexpectedEOF
		}
		size, err := strconv.ParseUint(line, 16, 31)
		if err != nil {
			return body, fmt.Errorf("chunk size: %w", err)
		}
		data, err := r.bytes(int(size))
		body = append(body, data...)
		if err != nil {
			return body, err
		}
		if end, err := r.line(); err != nil || end != "" {
			return body, fmt.Errorf("after a chunk: %q, %w", end, err)
		}
		if size == 0 {
			return body, nil
		}
	}
}
