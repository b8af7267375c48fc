package http1

import (
	"context"
	"io"
	"time"

	"wxgate/message"
)

// Check sends a GET for path on a connection of its own and returns the status of the answer, all within timeout.
func (p *Pool) Check(ctx context.Context, host, path string, timeout time.Duration) (status int, err error) {
	deadline := time.Now().Add(timeout)
	c, err := p.dialQueue.dial(timeout, deadline)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	if err := c.SetDeadline(deadline); err != nil {
		return 0, err
	}
	_, err = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: "+host+
		"\r\nUser-Agent: wxgate-health\r\nAccept: */*\r\nConnection: close\r\n\r\n")
	for err == nil {
		var h head
		if h, err = readHead(&c.in, new(message.Response)); err == nil && !h.interim() {
			return h.status, nil
		}
	}
	return 0, err
}
