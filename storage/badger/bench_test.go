package badger

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// callersPerCore makes the parallel benchmarks look like many requests that wait for the disk together.
const callersPerCore = 64

func BenchmarkLoginNewUser(b *testing.B) {
	s := openIn(b, b.TempDir())
	var n atomic.Int64
	b.SetParallelism(callersPerCore)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := n.Add(1)
			login(b, s, fmt.Sprint("o", id), fmt.Sprint("s", id))
		}
	})
}

func BenchmarkLoginKnownUser(b *testing.B) {
	const users = 1000
	s := openIn(b, b.TempDir())
	var n atomic.Int64
	b.SetParallelism(callersPerCore)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := n.Add(1)
			login(b, s, fmt.Sprint("o", id%users), fmt.Sprint("s", id))
		}
	})
}

func BenchmarkLoginAlone(b *testing.B) {
	s := openIn(b, b.TempDir())
	for i := range b.N {
		login(b, s, "oABC", fmt.Sprint("s", i))
	}
}

func BenchmarkUser(b *testing.B) {
	s := openIn(b, b.TempDir())
	id := login(b, s, "oABC", "s").ID
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.User(b.Context(), id); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkRevocationsNothingNew(b *testing.B) {
	s := openIn(b, b.TempDir())
	for range b.N {
		if _, err := s.Revocations(b.Context(), 0, 1000); err != nil {
			b.Fatal(err)
		}
	}
}
