//go:build linux

package handover

import (
	"bytes"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// pair is both ends of a conversation within this process.
func pair(t *testing.T) (one, other *Channel) {
	t.Helper()
	one, file, err := newPair()
	if err != nil {
		t.Fatal(err)
	}
	if other, err = open(file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = one.Close(), other.Close() })
	return one, other
}

// TestASocketArrivesWhole sends a connection, closes it here, and talks over the one that arrived.
func TestASocketArrivesWhole(t *testing.T) {
	t.Parallel()
	one, other := pair(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	begun := bytes.Repeat([]byte("x"), maxPayload)
	if err := one.Send(Connection, begun, accepted.(syscall.Conn)); err != nil {
		t.Fatal(err)
	}
	if err := accepted.Close(); err != nil {
		t.Fatal(err)
	}
	m, err := other.Receive(time.Now().Add(10 * time.Second))
	if err != nil || m.Kind != Connection || !bytes.Equal(m.Payload, begun) {
		t.Fatalf("got %q with %d bytes, %v", m.Kind, len(m.Payload), err)
	}
	conn, err := m.Conn()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); string(got) != "hello" || err != nil {
		t.Errorf("the client got %q, %v", got, err)
	}
}

func TestTheEndAndTheDeadlineOfAConversation(t *testing.T) {
	t.Parallel()
	one, other := pair(t)
	if _, err := other.Receive(time.Unix(1, 0)); err == nil || errors.Is(err, ErrEnded) {
		t.Errorf("got %v after the deadline", err)
	}
	if err := one.Send(Prepared, make([]byte, maxPayload+1)); err == nil {
		t.Error("a message that is too large was sent")
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Receive(time.Time{}); !errors.Is(err, ErrEnded) {
		t.Errorf("got %v, want ErrEnded", err)
	}
	if err := other.Send(Prepared, nil); !errors.Is(err, ErrEnded) {
		t.Errorf("a message to nobody: got %v, want ErrEnded", err)
	}
}
