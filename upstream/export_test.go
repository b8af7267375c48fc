package upstream

import (
	"context"
	"log/slog"
	"net/netip"
	"time"
)

// World is what a test replaces of the world; a zero leaves the real thing.
type World struct {
	Now    func() time.Time
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	Log    *slog.Logger
}

// NewIn is New in another world. Names are looked up whenever the last look-up is a millisecond old.
func NewIn(w World, name string, cfg Config, m *Metrics) (*Upstream, error) {
	d := realDeps()
	if w.Now != nil {
		d.now = w.Now
	}
	if w.Lookup != nil {
		d.lookup, d.resolve, d.pause = w.Lookup, time.Millisecond, 0
	}
	return open(name, cfg, m, d, w.Log)
}
