package streamtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
)

// The types of what HTTP/3 sends (RFC 9114 §7.2, §6.2.1).
const (
	frameData      = 0
	frameHeaders   = 1
	frameSettings  = 4
	controlStream  = 0
	noErrorOfHTTP3 = 0x100
)

// QUIC is a connection of HTTP/3. One goroutine uses it.
type QUIC struct{ conn *quic.Conn }

// DialQUIC connects, and sends settings.
func DialQUIC(addr string) (*QUIC, error) {
	ctx, cancel := context.WithTimeout(context.Background(), waits)
	defer cancel()
	conn, err := quic.DialAddr(ctx, addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}, CurvePreferences: curves()}, &quic.Config{})
	if err != nil {
		return nil, err
	}
	control, err := conn.OpenUniStream()
	if err != nil {
		return nil, err
	}
	_, err = control.Write([]byte{controlStream, frameSettings, 0})
	return &QUIC{conn}, err
}

// Close closes the connection.
func (c *QUIC) Close() error { return c.conn.CloseWithError(noErrorOfHTTP3, "") }

// Open opens a stream, as soon as the server lets it, and sends the first bytes of it.
func (c *QUIC) Open(first []byte) (*quic.Stream, error) {
	ctx, cancel := context.WithTimeout(context.Background(), waits)
	defer cancel()
	stream, err := c.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	_ = stream.SetDeadline(time.Now().Add(waits))
	_, err = stream.Write(first)
	return stream, err
}

// Context ends with the connection, by the reason of that.
func (c *QUIC) Context() context.Context { return c.conn.Context() }

// Head is the frame of a head.
func Head(fields []Field) []byte {
	var block bytes.Buffer
	encoder := qpack.NewEncoder(&block)
	for _, f := range fields {
		_ = encoder.WriteField(qpack.HeaderField{Name: f.Name, Value: f.Value})
	}
	return frame(frameHeaders, block.Bytes())
}

// Do sends a request whole, and returns its answer. It fails when nothing comes.
func (c *QUIC) Do(fields []Field, body string) (Answer, error) {
	stream, err := c.conn.OpenStream()
	if err != nil {
		return c.ended(err)
	}
	_ = stream.SetDeadline(time.Now().Add(waits))
	request := Head(fields)
	if body != "" {
		request = append(request, frame(frameData, []byte(body))...)
	}
	_, _ = stream.Write(request) // a server that refuses it does not read it to its end
	_ = stream.Close()
	return c.read(stream)
}

// frame is a frame (RFC 9114 §7.1).
func frame(kind uint64, payload []byte) []byte {
	b := quicvarint.Append(nil, kind)
	return append(quicvarint.Append(b, uint64(len(payload))), payload...)
}

// ended makes an answer of a stream or a connection that was reset.
func (c *QUIC) ended(err error) (Answer, error) {
	var stream *quic.StreamError
	var conn *quic.ApplicationError
	if errors.As(err, &stream) || errors.As(err, &conn) {
		return Answer{Broken: true}, nil
	}
	return Answer{}, err
}

// read reads an answer.
func (c *QUIC) read(stream *quic.Stream) (a Answer, err error) {
	all, err := io.ReadAll(stream)
	if err != nil {
		return c.ended(err)
	}
	for r := bytes.NewReader(all); r.Len() > 0; {
		kind, err := quicvarint.Read(r)
		if err != nil {
			return a, err
		}
		size, err := quicvarint.Read(r)
		if err != nil {
			return a, err
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(r, payload); err != nil {
			return a, err
		}
		switch kind {
		case frameData:
			a.Body += string(payload)
		case frameHeaders:
			if err := a.decode(payload); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

// decode takes the fields of a head.
func (a *Answer) decode(block []byte) error {
	a.Header = make(http.Header)
	next := qpack.NewDecoder().Decode(block)
	for {
		f, err := next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case f.Name == ":status":
			a.Status, _ = strconv.Atoi(f.Value)
		case !strings.HasPrefix(f.Name, ":"):
			a.Header.Add(f.Name, f.Value)
		}
	}
}
