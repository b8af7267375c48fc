package upstream

import (
	"context"
	"log/slog"
	"net/netip"
	"time"
)

// Env is what a test replaces of the environment; a zero leaves the real thing.
type Env struct {
	Now    func() time.Time
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	Log    *slog.Logger
}

// Reconfigure prepares cfg and applies it.
func (u *Upstream) Reconfigure(cfg Config) error {
	c, err := u.Prepare(cfg)
	if err != nil {
		return err
	}
	return c.Apply()
}

// NewWithEnv is New in another environment. Names are looked up whenever the last look-up is a millisecond old.
func NewWithEnv(env Env, name string, cfg Config, m *Metrics) (*Upstream, error) {
	d := realDeps()
	if env.Now != nil {
		d.now = env.Now
	}
	if env.Lookup != nil {
		d.lookup, d.resolve, d.pause = env.Lookup, time.Millisecond, 0
	}
	return open(name, cfg, m, d, env.Log)
}
