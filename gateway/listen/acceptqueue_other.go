//go:build !linux

package listen

import "net"

// acceptQueue cannot be looked at on this system: who has connected and was not accepted is reset at the end.
type acceptQueue struct{}

func acceptQueueOf(net.Listener) (acceptQueue, bool) { return acceptQueue{}, false }

func (acceptQueue) shut() error { return nil }

func (acceptQueue) empty() bool { return true }
