// Package websocket relays WebSockets (RFC 6455) after the handshake, in tunnels that end with their session, with the
// gateway, or when both ends are idle, each with a Close frame at a frame boundary.
package websocket

import "encoding/binary"

// frames tracks frame boundaries in one direction of a WebSocket (RFC 6455 §5.2), to know where we may insert a frame.
// It validates nothing: the ends of the tunnel do.
type frames struct {
	header      [14]byte
	headerRead  int    // bytes of header read so far
	payloadLeft uint64 // bytes of the payload still to come
	closed      bool   // a Close frame has passed
}

const opcodeClose = 0x8

// atBoundary reports whether the next byte starts a frame.
func (f *frames) atBoundary() bool { return f.headerRead == 0 && f.payloadLeft == 0 }

// advance moves past the next bytes.
func (f *frames) advance(b []byte) {
	for len(b) > 0 {
		if f.payloadLeft > 0 {
			n := min(f.payloadLeft, uint64(len(b)))
			f.payloadLeft -= n
			b = b[n:]
			continue
		}
		f.header[f.headerRead] = b[0]
		f.headerRead++
		b = b[1:]
		if f.headerRead >= 2 && f.headerRead == f.headerLen() {
			f.readHeader()
		}
	}
}

// headerLen is the length of the current header: two bytes, an extended payload length, the mask.
func (f *frames) headerLen() int {
	n := 2
	switch f.header[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.header[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// readHeader interprets a complete header.
func (f *frames) readHeader() {
	f.closed = f.closed || f.header[0]&0x0f == opcodeClose
	switch n := f.header[1] & 0x7f; n {
	case 126:
		f.payloadLeft = uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		f.payloadLeft = binary.BigEndian.Uint64(f.header[2:])
	default:
		f.payloadLeft = uint64(n)
	}
	f.headerRead = 0
}

// Status codes of the Close frames that the gateway sends (RFC 6455 §7.4.1).
const (
	CloseGoingAway = 1001 // the gateway stops, or both ends were idle for too long
	ClosePolicy    = 1008 // the session has ended
)

// CloseFrame is a Close frame with a status code. Frames of a client are masked (§5.3); there is nothing to hide here,
// so the mask is zero.
func CloseFrame(code uint16, masked bool) []byte {
	frame := []byte{0x80 | opcodeClose, 2}
	if masked {
		frame = append(frame, 0, 0, 0, 0)
		frame[1] |= 0x80
	}
	return binary.BigEndian.AppendUint16(frame, code)
}
