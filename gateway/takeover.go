package gateway

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/gofiber/fiber/v2"

	"wxgate/gateway/listen"
)

// takeOver makes run the owner of the client's connection once the answer is written; the connection is closed when run
// returns. lost is called instead when fasthttp closes the connection before that, which it does without a word: the
// client was gone, or the server is stopping.
func (g *Gateway) takeOver(c *fiber.Ctx, run func(net.Conn), lost func()) {
	client, strict := c.Context().Conn().(*listen.Conn)
	begun := new(atomic.Bool)
	g.taken.Add(1)
	if strict {
		client.OnClose(func() {
			if !begun.Swap(true) {
				defer g.taken.Done()
				lost()
			}
		})
	}
	c.Context().Hijack(func(conn net.Conn) {
		if begun.Swap(true) {
			return
		}
		defer g.taken.Done()
		run(conn)
	})
}

// waitTaken waits until the connections that were taken over have ended; false means that ctx ended first.
func (g *Gateway) waitTaken(ctx context.Context) bool {
	ended := make(chan struct{})
	go func() { defer close(ended); g.taken.Wait() }()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
		return false
	}
}
