package upstream

import (
	"context"

	"wxgate/upstream/http1"
)

// Reach connects to a target of cfg as a request would; the error is what prevents it.
func Reach(ctx context.Context, cfg Config, t Target) error {
	to, sec, err := cfg.placeOf(t)
	if err != nil {
		return err
	}
	return http1.Reach(ctx, to, sec)
}

// Drains sends a target of cfg a POST whose content looks like a request, as cfg would have it sent, and returns
// http1.ErrUndrained if both are answered. A target that cannot be reached is another error.
func Drains(ctx context.Context, cfg Config, t Target) error {
	to, sec, err := cfg.placeOf(t)
	if err != nil {
		return err
	}
	return http1.Drains(ctx, to, sec, cfg.Keepalive.ReuseAfterBody)
}

// placeOf is what it takes to connect to one of the targets.
func (c Config) placeOf(t Target) (http1.Origin, *http1.Security, error) {
	to, err := http1.ParseOrigin(t.URL)
	if err != nil {
		return to, nil, err
	}
	sec, faults := c.TLS.Load()
	return to, sec, faults.At("tls").Err()
}
