//go:build !linux

package process

import (
	"context"

	"wxgate/gateway"
)

// restarter would hand everything over to a new process; that works on Linux alone.
type restarter struct{}

func newRestarter(context.Context) (*restarter, error) { return new(restarter), nil }

func (*restarter) onOrphaned(func()) {}

func (*restarter) inherit(gateway.ServerConfig) (inherited, error) { return activated() }

func (*restarter) serving(*Service) error { return nil }

func (*restarter) follow(context.Context) {}

func (*restarter) shepherd() (int, error) { return 0, nil }
