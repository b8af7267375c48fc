package listen

import (
	"context"
	"net"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// Hijacks are the connections that were taken over from fasthttp and have not ended yet.
type Hijacks struct{ open sync.WaitGroup }

// Begin makes run the owner of the client's connection once the answer is written. The connection is closed when run
// returns. If fasthttp silently closes the connection before that, because the client was gone or the server is
// stopping, lost is called instead.
func (h *Hijacks) Begin(ctx *fasthttp.RequestCtx, run func(net.Conn), lost func()) {
	client, strict := ctx.Conn().(*Conn)
	begun := new(atomic.Bool)
	h.open.Add(1)
	if strict {
		client.notifyClose(func() {
			if !begun.Swap(true) {
				defer h.open.Done()
				lost()
			}
		})
	}
	ctx.Hijack(func(conn net.Conn) {
		if begun.Swap(true) {
			return
		}
		defer h.open.Done()
		run(conn)
	})
}

// Wait waits until all have ended, and reports whether they did so before ctx.
func (h *Hijacks) Wait(ctx context.Context) bool {
	ended := make(chan struct{})
	go func() { defer close(ended); h.open.Wait() }()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
		return false
	}
}
