package upstreamtest_test

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"testing"

	"wxgate/upstream/upstreamtest"
)

// A service that refuses keeps its port while everybody asks the system for one, and answers there again.
func TestAServiceThatRefusesKeepsItsPort(t *testing.T) {
	t.Parallel()
	s := upstreamtest.NewSwitchable(t, "a", "127.0.0.1:0")
	refused := upstreamtest.Refused(t)[len("http://"):]
	s.Become(t, upstreamtest.Refusing)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Error(err)
					return
				}
				if got := ln.Addr().String(); got == s.Addr || got == refused {
					t.Errorf("another one was given %s", got)
				}
				_ = ln.Close()
			}
		})
	}
	for _, address := range []string{s.Addr, refused} {
		if ln, err := net.Listen("tcp", address); err == nil {
			_ = ln.Close()
			t.Errorf("another one could take %s", address)
		}
		if conn, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connecting to %s: %v, want refused", address, err)
			if err == nil {
				_ = conn.Close()
			}
		}
	}
	all.Wait()
	s.Become(t, upstreamtest.Well)
	conn, err := net.Dial("tcp", s.Addr)
	if err != nil {
		t.Fatalf("it listens again: %v", err)
	}
	_ = conn.Close()
}
