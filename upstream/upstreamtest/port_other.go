//go:build !unix

package upstreamtest

import (
	"net"
	"testing"
)

// holdPort finds a free port; nothing keeps others from taking it.
func holdPort(t testing.TB, address string) string {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func listenHeld(address string) (net.Listener, error) { return net.Listen("tcp", address) }
