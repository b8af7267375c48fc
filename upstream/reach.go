package upstream

import (
	"context"
	"fmt"
)

// Reach connects to one of the targets of cfg as a request would, and says what is in the way.
func Reach(ctx context.Context, cfg Config, t Target) error {
	to, sec, err := cfg.placeOf(t)
	if err != nil {
		return err
	}
	return reach(ctx, to, sec)
}

// Drains sends a target of cfg a POST whose content looks like a request, as cfg would let it go out, and returns
// ErrUndrained when both are answered. A target that cannot be asked is another error.
func Drains(ctx context.Context, cfg Config, t Target) error {
	to, sec, err := cfg.placeOf(t)
	if err != nil {
		return err
	}
	return drains(ctx, to, sec, cfg.Keepalive.ReuseAfterBody)
}

// placeOf is what it takes to connect to one of the targets.
func (c Config) placeOf(t Target) (origin, *security, error) {
	to, err := parseTarget(t.URL)
	if err != nil {
		return to, nil, err
	}
	sec, err := c.TLS.load()
	if err != nil {
		return to, nil, fmt.Errorf("tls.%w", err)
	}
	return to, sec, nil
}
