package websocket

import (
	"encoding/binary"
	"testing"
)

func TestACloseFrameIsWhatTheRFCSays(t *testing.T) {
	t.Parallel()
	for masked, want := range map[bool]string{
		false: "\x88\x02\x03\xf0", // RFC 6455 §5.5.1: FIN, opcode 8, two bytes, 1008
		true:  "\x88\x82\x00\x00\x00\x00\x03\xf0",
	} {
		if got := string(CloseFrame(ClosePolicy, masked)); got != want {
			t.Errorf("masked %v: got %q, want %q", masked, got, want)
		}
	}
}

func TestFramesAreFollowedHoweverTheyAreCut(t *testing.T) {
	t.Parallel()
	var stream []byte
	var starts []int
	for _, size := range []int{0, 1, 125, 126, 127, 65535, 65536} {
		for _, mask := range []byte{0, 0x80} {
			starts = append(starts, len(stream))
			stream = append(stream, 0x82)
			switch {
			case size < 126:
				stream = append(stream, mask|byte(size))
			case size < 65536:
				stream = binary.BigEndian.AppendUint16(append(stream, mask|126), uint16(size))
			default:
				stream = binary.BigEndian.AppendUint64(append(stream, mask|127), uint64(size))
			}
			if mask != 0 {
				stream = append(stream, 0x88, 0x88, 0x88, 0x88) // looks like a Close
			}
			stream = append(stream, make([]byte, size)...)
		}
	}
	for _, piece := range []int{1, 2, 3, 7, 1000, len(stream)} {
		var f frames
		next := 0
		for at := 0; at < len(stream); at += piece {
			for next < len(starts) && starts[next] < at {
				next++
			}
			if want := next < len(starts) && starts[next] == at; f.atBoundary() != want {
				t.Fatalf("pieces of %d, at %d: between is %v, want %v", piece, at, f.atBoundary(), want)
			}
			f.advance(stream[at:min(at+piece, len(stream))])
		}
		if !f.atBoundary() || f.closed {
			t.Errorf("pieces of %d: at the end between is %v and closed %v", piece, f.atBoundary(), f.closed)
		}
		f.advance(CloseFrame(ClosePolicy, piece%2 == 0))
		if !f.atBoundary() || !f.closed {
			t.Errorf("pieces of %d: after a Close between is %v and closed %v", piece, f.atBoundary(), f.closed)
		}
	}
}
