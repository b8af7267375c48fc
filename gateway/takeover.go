package gateway

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
)

// takeOverWait is how long fasthttp may take to hand a connection over: it writes what it still holds first.
const takeOverWait = time.Minute

// takeOver makes run the owner of the client's connection once the answer is written; the connection is closed when run
// returns. lost is called instead when fasthttp gives the connection up before that, which it does without a word.
func (g *Gateway) takeOver(c *fiber.Ctx, run func(net.Conn), lost func()) {
	begun := new(atomic.Bool)
	g.taken.Add(1)
	timer := time.AfterFunc(takeOverWait, func() {
		if !begun.Swap(true) {
			defer g.taken.Done()
			lost()
		}
	})
	c.Context().Hijack(func(conn net.Conn) {
		if begun.Swap(true) {
			return
		}
		defer g.taken.Done()
		timer.Stop()
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
