package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"

	"github.com/valyala/fasthttp"

	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/gateway/listen"
)

// gate is where requests that need the store wait while it goes to another process.
type gate struct {
	mu     sync.Mutex
	state  gateState
	inside int
	change chan struct{} // closed by the next change of state, and when the last one leaves
}

type gateState uint8

const (
	gateOpen  gateState = iota
	gateShut            // who comes waits
	gateMoved           // the store is elsewhere, for good
	gateEnded           // we stopped while it was shut, and nobody is known to serve
)

func newGate() *gate { return &gate{change: make(chan struct{})} }

// enter waits while the gate is shut, and returns how it was then: unless it was open, the store must not be asked here.
func (d *gate) enter() gateState {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.state == gateShut {
		change := d.change
		d.mu.Unlock()
		<-change
		d.mu.Lock()
	}
	if d.state == gateOpen {
		d.inside++
	}
	return d.state
}

// end lets those go that wait, when nobody will open the gate any more.
func (d *gate) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == gateShut {
		d.state = gateEnded
		d.changed()
	}
}

// moved reports whether the store is elsewhere.
func (d *gate) moved() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state == gateMoved
}

func (d *gate) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside--; d.inside == 0 {
		d.changed()
	}
}

func (d *gate) set(state gateState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state = state
	d.changed()
}

func (d *gate) changed() {
	close(d.change)
	d.change = make(chan struct{})
}

// empty waits until nobody is inside.
func (d *gate) empty(ctx context.Context) error {
	for {
		d.mu.Lock()
		inside, change := d.inside, d.change
		d.mu.Unlock()
		if inside == 0 {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Hold lets no request begin that needs the store, and waits until those that use it are answered. Requests with a token
// go on. When ctx ends first, all is as before.
func (g *Gateway) Hold(ctx context.Context) error {
	g.gate.set(gateShut)
	err := g.gate.empty(ctx)
	if err != nil {
		g.gate.set(gateOpen)
	}
	return err
}

// Resume lets the requests go on that Hold made wait.
func (g *Gateway) Resume() { g.gate.set(gateOpen) }

// HandOver gives every client to another process that serves already: those that wait at once, the others as soon as
// they are answered. WebSockets are ended with 1001. It returns when none is left or ctx ends; Shutdown must follow.
func (g *Gateway) HandOver(ctx context.Context, ln *listen.Listener, give listen.Give) error {
	closed := ln.HandOver(give)
	g.gate.set(gateMoved)
	g.sockets.Drain()
	return errors.Join(closed, g.admin.Shutdown(ctx), ln.WaitLeft(ctx))
}

// Adopt serves a connection that another process gave away, with what it had read of a request.
func (g *Gateway) Adopt(ln *listen.Listener, client net.Conn, begun []byte) {
	conn := ln.Adopt(client, begun)
	go func() { _ = g.server.ServeConn(conn) }() // how a client leaves is its own affair
}

// acquireStore is to be called before the store is asked for a request, once at most. Unless it reports that the store may be
// asked, the exchange has ended: with the error, or in another process.
func (g *Gateway) acquireStore(ex *Exchange) (acquired bool, err error) {
	switch g.gate.enter() {
	case gateOpen:
		ex.inStore = true
		return true, nil
	case gateMoved:
		return false, g.move(ex)
	}
	return false, answer.ErrDraining
}

func (g *Gateway) releaseStore(ex *Exchange) {
	if ex.inStore {
		ex.inStore = false
		g.gate.leave()
	}
}

// move gives the connection of a request to the process that serves now, with the request.
func (g *Gateway) move(ex *Exchange) error {
	if ex.conn == nil || ex.pass == asking {
		return answer.ErrDraining
	}
	begun, err := ex.original(&ex.request.Header)
	if err != nil {
		return err
	}
	client, id := ex.conn, ex.id
	g.endWithout(ex, func(net.Conn) {
		if err := client.Give(begun); err != nil {
			g.deps.Log.Error("a request was lost: its connection could not be handed over", "request_id", id, "error", err)
		}
	}, func() {})
	ex.outcome = moved
	return nil
}

// original is the request as it came, its body included; an Expect was met. What cannot be kept in memory is refused.
func (ex *Exchange) original(h *fasthttp.RequestHeader) ([]byte, error) {
	text := append([]byte(ex.received), ' ')
	text = append(append(text, h.RequestURI()...), ' ')
	text = append(append(text, h.Protocol()...), "\r\n"...)
	for name, value := range header.Lines(h) {
		if !header.Folded(name, "expect") {
			text = append(append(append(append(text, name...), ": "...), value...), "\r\n"...)
		}
	}
	text = append(text, "\r\n"...)
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
