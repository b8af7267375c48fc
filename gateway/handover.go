package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"

	"wxgate/gateway/answer"
	"wxgate/gateway/listen"
	"wxgate/message"
)

// Gate is held by requests that use the store, and makes them wait while the store is handed to another process. Its
// implementation is in process/handover.
type Gate interface {
	Acquire() (open, moved bool) // waits while the gate is shut; Release must follow if it was open
	Release()
	HandedOver() bool
	SetHandedOver() // another process has the store, for good
	Close()         // no process is known to serve: waiting requests are refused
}

// openGate is the gate of a process that never hands over its store.
type openGate struct{}

func (openGate) Acquire() (open, moved bool) { return true, false }
func (openGate) Release()                    {}
func (openGate) HandedOver() bool            { return false }
func (openGate) SetHandedOver()              {}
func (openGate) Close()                      {}

// storeGate acquires and releases the gate for exchanges.
type storeGate struct {
	gate Gate
	log  *slog.Logger
}

// acquire must be called before a request uses the store, at most once. Unless it reports true, the exchange has ended:
// with the error, or in another process.
func (s storeGate) acquire(ex *Exchange) (acquired bool, err error) {
	switch open, moved := s.gate.Acquire(); {
	case open:
		ex.inGate = true
		return true, nil
	case moved:
		return false, s.handOver(ex)
	}
	return false, answer.ErrDraining
}

func (s storeGate) release(ex *Exchange) {
	if ex.inGate {
		ex.inGate = false
		s.gate.Release()
	}
}

// handOver passes the connection and the request to the process that serves now. A TLS connection stays: its client is
// told to come back.
func (s storeGate) handOver(ex *Exchange) error {
	if ex.request.Secure {
		return answer.ErrDraining
	}
	partial, err := originalRequest(ex.request.Head, ex)
	if err != nil {
		return err
	}
	ex.partial, ex.outcome = partial, handedOver
	return nil
}

// originalRequest is the request as it was received, of that head, with its body; an Expect was already answered. A body too large
// for memory is refused.
func originalRequest(head []byte, ex *Exchange) ([]byte, error) {
	var text []byte
	for line := range bytes.SplitAfterSeq(head, []byte("\r\n")) {
		if name, _, _ := bytes.Cut(line, []byte{':'}); !message.EqualFold(name, "expect") {
			text = append(text, line...)
		}
	}
	if ex.body.stream == nil {
		return text, nil
	}
	ex.body.limit = min(ex.body.limit, endpointBodyLimit)
	body, err := io.ReadAll(&ex.body)
	switch {
	case errors.Is(err, answer.ErrBodyTooLarge) && ex.route.bodyLimit > endpointBodyLimit:
		return nil, answer.ErrDraining
	case err != nil:
		return nil, err
	case ex.body.size >= 0:
		return append(text, body...), nil
	case len(body) > 0:
		text = append(strconv.AppendInt(text, int64(len(body)), 16), "\r\n"...)
		text = append(append(text, body...), "\r\n"...)
	}
	return append(text, "0\r\n\r\n"...), nil
}

// HandOver passes every client to another process that already serves: idle ones at once, the others as soon as they
// are answered. WebSockets are closed with 1001. It returns when none is left or ctx ends; Shutdown must follow.
func (g *Gateway) HandOver(ctx context.Context, ln *listen.Listener, give listen.Give) error {
	closed := ln.HandOver(give)
	g.store.gate.SetHandedOver()
	g.forwarder.sockets.Drain()
	http3 := make(chan error, 1)
	go func() { http3 <- g.streams.Shutdown(ctx) }()
	return errors.Join(closed, g.admin.Shutdown(ctx), ln.WaitLeft(ctx), <-http3)
}

// Adopt serves a connection that another process handed over, with what that process had read of a request.
func (g *Gateway) Adopt(ln *listen.Listener, client net.Conn, partial []byte) {
	ln.Adopt(client, partial, g.server)
}
