package listen_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"wxgate/gateway/listen"
	"wxgate/gateway/wire"
	"wxgate/gateway/wire/wiretest"
)

const (
	get  = "GET /a HTTP/1.1\r\nHost: h\r\n"
	post = "POST /a HTTP/1.1\r\nHost: h\r\n"
	end  = "\r\n"

	chunkedHead = post + "Transfer-Encoding: chunked\r\n\r\n"
)

// script is a client that sends its pieces, one a read, and then ends.
type script struct {
	net.Conn
	pieces []string
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	if s.pieces[0] = s.pieces[0][n:]; s.pieces[0] == "" {
		s.pieces = s.pieces[1:]
	}
	return n, nil
}

func (s *script) SetReadDeadline(time.Time) error { return nil }
func (s *script) Close() error                    { return nil }

// verdict is what a server gets from a connection.
type verdict struct {
	passed   string
	reason   wire.Reason
	requests uint64
	inBody   bool // the last of them was not complete
}

// verdictOn reads all pieces with a buffer of size bytes, and leaves the placeholder out of what passed.
func verdictOn(t testing.TB, size int, pieces ...string) verdict {
	t.Helper()
	conn := listen.NewConn(&script{pieces: pieces}, listen.DefaultConfig())
	defer conn.Close()
	var v verdict
	buf := make([]byte, size)
	for {
		n, err := conn.Read(buf)
		v.passed += string(buf[:n])
		if err == nil {
			continue
		}
		v.requests, v.inBody = conn.Requests(), conn.BodyRemaining()
		if conn.Asked() {
			v.passed = v.passed[:len(v.passed)-1]
		}
		var fault *wire.MalformedError
		if errors.As(err, &fault) {
			v.reason = fault.Reason
		} else if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Read: %v, want an end or a verdict; input %q", err, pieces)
		}
		return v
	}
}

func check(t *testing.T, c wiretest.Case, got verdict) {
	t.Helper()
	if got.passed != c.Pass || got.reason != c.Want {
		t.Errorf("%s (%s):\n got %q, reason %q\nwant %q, reason %q\ninput %q", c.Name, c.Rule, got.passed, got.reason, c.Pass, c.Want, c.In())
	}
}

func TestThereAreTwoHundredCasesAndMore(t *testing.T) {
	t.Parallel()
	if got := len(wiretest.ByHand()); got < 200 {
		t.Errorf("got %d cases written by hand, want 200 or more", got)
	}
}

func TestTheVerdictIsWhatTheRFCSays(t *testing.T) {
	t.Parallel()
	for _, c := range wiretest.All() {
		check(t, c, verdictOn(t, 64<<10, c.In()))
	}
}

func TestTheVerdictDoesNotDependOnHowTheBytesArrive(t *testing.T) {
	t.Parallel()
	for _, c := range wiretest.All() {
		for i := 1; i < len(c.In()); i += 1 + len(c.In())/600 {
			check(t, c, verdictOn(t, 64<<10, c.In()[:i], c.In()[i:]))
		}
	}
}

func TestTheVerdictDoesNotDependOnTheReader(t *testing.T) {
	t.Parallel()
	for _, c := range wiretest.All() {
		for _, size := range []int{1, 2, 7, 4096} {
			check(t, c, verdictOn(t, size, c.In()))
		}
	}
}

func TestTheVerdictDoesNotDependOnOneByteReads(t *testing.T) {
	t.Parallel()
	for _, c := range wiretest.All() {
		pieces := make([]string, 0, len(c.In()))
		for i := range len(c.In()) {
			pieces = append(pieces, c.In()[i:i+1])
		}
		check(t, c, verdictOn(t, 64<<10, pieces...))
	}
}
