//go:build !linux

package listen

import "net"

// acceptQueue cannot be inspected on this system: clients that are not accepted yet are reset at the end.
type acceptQueue struct{}

func acceptQueueOf(net.Listener) (acceptQueue, bool) { return acceptQueue{}, false }

func (acceptQueue) shut() error { return nil }

func (acceptQueue) empty() bool { return true }
