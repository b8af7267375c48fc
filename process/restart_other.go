//go:build !linux

package process

import (
	"context"

	"wxgate/gateway"
)

// restarter hands nothing over: that works on Linux only.
type restarter struct{}

func newRestarter(context.Context) (*restarter, error) { return new(restarter), nil }

func (*restarter) onOrphaned(func()) {}

func (*restarter) inherit(gateway.ServerConfig) (inherited, error) { return activated() }

func (*restarter) announce(*Service) error { return nil }

func (*restarter) follow(context.Context) {}

func (*restarter) supervise() (int, error) { return 0, nil }
