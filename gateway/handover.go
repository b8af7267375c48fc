package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"wxgate/gateway/answer"
	"wxgate/gateway/header"
	"wxgate/gateway/listen"
)

// errMoved ends a request here that another process answers: its connection went there, and what it has sent.
var errMoved = errors.New("the request goes on in another process")

// door is where requests that need the store wait while it goes to another process.
type door struct {
	mu     sync.Mutex
	state  doorState
	inside int
	change chan struct{} // closed by the next change of state, and when the last one leaves
}

type doorState uint8

const (
	doorOpen  doorState = iota
	doorShut            // who comes waits
	doorMoved           // the store is elsewhere, for good
	doorEnded           // we stopped while it was shut, and nobody is known to serve
)

func newDoor() *door { return &door{change: make(chan struct{})} }

// enter waits while the door is shut, and returns how it was then: unless it was open, the store must not be asked here.
func (d *door) enter() doorState {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.state == doorShut {
		change := d.change
		d.mu.Unlock()
		<-change
		d.mu.Lock()
	}
	if d.state == doorOpen {
		d.inside++
	}
	return d.state
}

// end lets those go that wait, when nobody will open the door any more.
func (d *door) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == doorShut {
		d.state = doorEnded
		d.changed()
	}
}

// moved reports whether the store is elsewhere.
func (d *door) moved() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.state == doorMoved
}

func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside--; d.inside == 0 {
		d.changed()
	}
}

func (d *door) set(state doorState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state = state
	d.changed()
}

func (d *door) changed() {
	close(d.change)
	d.change = make(chan struct{})
}

// empty waits until nobody is inside.
func (d *door) empty(ctx context.Context) error {
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
	g.door.set(doorShut)
	err := g.door.empty(ctx)
	if err != nil {
		g.door.set(doorOpen)
	}
	return err
}

// Resume lets the requests go on that Hold made wait.
func (g *Gateway) Resume() { g.door.set(doorOpen) }

// HandOver gives every client to another process that serves already: those that wait at once, the others as soon as
// they are answered. WebSockets are ended with 1001. It returns when none is left or ctx ends; Shutdown must follow.
func (g *Gateway) HandOver(ctx context.Context, ln *listen.Listener, give listen.Give) error {
	closed := ln.HandOver(give)
	g.door.set(doorMoved)
	g.sockets.Drain()
	return errors.Join(closed, g.admin.Shutdown(ctx), ln.WaitLeft(ctx))
}

// Adopt serves a connection that another process gave away, with what it had read of a request.
func (g *Gateway) Adopt(ln *listen.Listener, client net.Conn, begun []byte) {
	conn := ln.Adopt(client, begun)
	go func() { _ = g.app.Server().ServeConn(conn) }() // how a client leaves is its own affair
}

// enterStore is to be called before the store is asked for a request, once at most. errMoved is then the request's end.
func (g *Gateway) enterStore(c *fiber.Ctx, ex *exchange) error {
	switch g.door.enter() {
	case doorOpen:
		ex.inStore = true
		return nil
	case doorMoved:
		return g.move(c, ex)
	}
	return answer.ErrDraining
}

func (g *Gateway) leaveStore(ex *exchange) {
	if ex.inStore {
		ex.inStore = false
		g.door.leave()
	}
}

// move gives the connection of a request away, with the request.
func (g *Gateway) move(c *fiber.Ctx, ex *exchange) error {
	client, strict := c.Context().Conn().(*listen.Conn)
	if !strict || askedBefore(c) == asking {
		return answer.ErrDraining
	}
	begun, err := ex.original(&c.Request().Header)
	if err != nil {
		return err
	}
	c.Context().HijackSetNoResponse(true)
	g.hijacks.Begin(c.Context(), func(net.Conn) {
		if err := client.Give(begun); err != nil {
			g.deps.Log.Error("a request was lost: its connection could not be handed over", "request_id", ex.id, "error", err)
		}
	}, func() {})
	return errMoved
}

// original is the request as it came, its body included; an Expect was met. What cannot be kept in memory is refused.
func (ex *exchange) original(h *fasthttp.RequestHeader) ([]byte, error) {
	text := append([]byte(ex.method), ' ')
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
