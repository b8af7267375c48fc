package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"wxgate/message"
)

// ErrUndrained is a service that takes the content of a request for the next request.
var ErrUndrained = errors.New("the content of a request is taken for the next request")

// canaryWait is how long a service may take to answer what it should not have taken for a request.
const canaryWait = 500 * time.Millisecond

// Reach connects to o as a request would; the error is what prevents it.
func Reach(ctx context.Context, o Origin, sec *Security) error {
	c, err := newDialer(o, o.Address, new(buffers)).connect(ctx, sec.of(o))
	if err != nil {
		return err
	}
	return c.Close()
}

// Drains sends o a POST whose content looks like a request, and returns ErrUndrained if both are answered. share leaves
// the connection open to further requests. An origin that cannot be reached is another error.
func Drains(ctx context.Context, o Origin, sec *Security, share bool) error {
	c, err := newDialer(o, o.Address, new(buffers)).connect(ctx, sec.of(o))
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if _, err := io.WriteString(c, canary(o.Name, share)); err != nil {
		return err
	}
	return c.answersOnce()
}

// canary is a POST with a GET for its content. share leaves its connection to a further request.
func canary(host string, share bool) string {
	content := "GET /wxgate-doctor-canary HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"
	last := "Connection: close\r\n"
	if share {
		last = ""
	}
	return fmt.Sprintf("POST /wxgate-doctor HTTP/1.1\r\nHost: %s\r\nUser-Agent: wxgate-doctor\r\nContent-Type: text/plain\r\n%sContent-Length: %d\r\n\r\n%s",
		host, last, len(content), content)
}

// answersOnce reads one answer, and waits whether there is another one.
func (c *conn) answersOnce() error {
	k := call{conn: c, resp: new(message.Response)}
	for k.answer.status == 0 {
		if err := k.readHead(); err != nil {
			return err
		}
	}
	if !k.bodiless() {
		if err := discardBody(c, k.answer.bodyFraming()); err != nil {
			return err
		}
	}
	if err := c.readUntil(time.Now().Add(canaryWait)); err != nil {
		return err
	}
	if len(c.in.buffered()) > 0 || c.in.fill() == nil {
		return ErrUndrained
	}
	return nil // silence, or its end
}

func discardBody(c *conn, body framing) error {
	for {
		_, err := body.next(&c.in)
		if err == io.EOF { //nolint:errorlint // a wrapped one is no end
			return nil
		}
		if err != nil {
			return err
		}
	}
}
