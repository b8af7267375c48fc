// Package streamtest is a client of HTTP/2 that sends what it is told, be it right or wrong.
package streamtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Field is a field line of a request, pseudo-header fields among them, as it goes out.
type Field struct{ Name, Value string }

// Answer is what came back on a stream.
type Answer struct {
	Status int
	Header http.Header
	Body   string
	Reset  http2.ErrCode // of a stream or a connection that was ended in the midst of it
	Broken bool          // it was
}

// Conn is a connection of HTTP/2. One goroutine uses it.
type Conn struct {
	*http2.Framer
	conn  *tls.Conn
	block bytes.Buffer
	hpack *hpack.Encoder
	last  uint32 // stream
}

// waits is how long a client waits for an answer.
const waits = time.Minute

// Dial connects, and exchanges settings.
func Dial(addr string) (*Conn, error) {
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}, CurvePreferences: curves()}}
	dialed, err := dialer.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	conn, ok := dialed.(*tls.Conn)
	if !ok {
		return nil, fmt.Errorf("dialed a %T", dialed)
	}
	if agreed := conn.ConnectionState().NegotiatedProtocol; agreed != "h2" {
		return nil, fmt.Errorf("the server agreed on %q", agreed)
	}
	_ = conn.SetDeadline(time.Now().Add(waits))
	c := &Conn{Framer: http2.NewFramer(conn, conn), conn: conn}
	c.hpack = hpack.NewEncoder(&c.block)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.AllowIllegalWrites = true
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return nil, err
	}
	return c, c.WriteSettings()
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Block is the fields, compressed.
func (c *Conn) Block(fields []Field) []byte {
	c.block.Reset()
	for _, f := range fields {
		_ = c.hpack.WriteField(hpack.HeaderField{Name: f.Name, Value: f.Value})
	}
	return bytes.Clone(c.block.Bytes())
}

// Open sends the head of a request on a new stream.
func (c *Conn) Open(fields []Field, end bool) (stream uint32, err error) {
	if c.last == 0 {
		c.last = 1
	} else {
		c.last += 2
	}
	return c.last, c.WriteHeaders(http2.HeadersFrameParam{StreamID: c.last, BlockFragment: c.Block(fields), EndStream: end, EndHeaders: true})
}

// Do sends a request whole, and returns its answer. It fails when the connection does, or nothing comes.
func (c *Conn) Do(fields []Field, body string) (Answer, error) {
	_ = c.conn.SetDeadline(time.Now().Add(waits))
	stream, err := c.Open(fields, body == "")
	for ; err == nil && body != ""; body = body[min(len(body), 16<<10):] {
		err = c.WriteData(stream, len(body) <= 16<<10, []byte(body[:min(len(body), 16<<10)]))
	}
	if err != nil {
		return Answer{}, err
	}
	return c.Answer(stream)
}

// Answer reads the answer on a stream.
func (c *Conn) Answer(stream uint32) (a Answer, err error) {
	var body strings.Builder
	defer func() { a.Body = body.String() }()
	for {
		f, err := c.ReadFrame()
		if err != nil {
			return a, err
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = c.WriteSettingsAck()
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				a.Reset, a.Broken = f.ErrCode, true
				return a, nil
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				a.Reset, a.Broken = f.ErrCode, true
				return a, nil
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID == stream && a.take(f) {
				return a, nil
			}
		case *http2.DataFrame:
			body.Write(f.Data())
			if n := f.Length; n > 0 {
				err = errors.Join(c.WriteWindowUpdate(0, n), c.WriteWindowUpdate(f.StreamID, n))
			}
			if f.StreamID == stream && f.StreamEnded() {
				return a, nil
			}
		}
		if err != nil {
			return a, err
		}
	}
}

// take takes a head, and reports whether the answer has ended.
func (a *Answer) take(f *http2.MetaHeadersFrame) bool {
	if a.Status == 0 || a.Status < 200 {
		a.Status, _ = strconv.Atoi(f.PseudoValue("status"))
		a.Header = make(http.Header)
		for _, field := range f.RegularFields() {
			a.Header.Add(field.Name, field.Value)
		}
	}
	return f.StreamEnded()
}

// FieldsOf are the fields of a request of HTTP/1.1, and its body: a Host is :authority, a further one stays. Names are in
// lower case.
func FieldsOf(raw string) (fields []Field, body string) {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	line, rest, _ := strings.Cut(head, "\r\n")
	method, target, _ := strings.Cut(line, " ")
	target = target[:max(0, strings.LastIndexByte(target, ' '))]
	fields = []Field{{":method", method}, {":scheme", "https"}, {":path", target}}
	var regular []Field
	for l := range strings.SplitSeq(rest, "\r\n") {
		name, value, isField := strings.Cut(l, ":")
		switch name = strings.ToLower(name); {
		case !isField:
		case name == "host" && len(fields) == 3:
			fields = append(fields, Field{":authority", strings.Trim(value, " \t")})
		default:
			regular = append(regular, Field{name, strings.Trim(value, " \t")})
		}
	}
	return append(fields, regular...), body
}

// curves are without ML-KEM, whose handshakes cost twice as much: tests make thousands.
func curves() []tls.CurveID { return []tls.CurveID{tls.X25519} }
