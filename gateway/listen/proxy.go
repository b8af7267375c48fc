package listen

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"wxgate/gateway/wire"
)

// proxied is a connection that begins with a PROXY protocol header (haproxy.org/download/3.2/doc/proxy-protocol.txt,
// version 1 §2.1 and version 2 §2.2): from the first Read on its RemoteAddr is the client that the header names. The
// header must be there; what else comes first is a *MalformedError.
type proxied struct {
	net.Conn
	passed bool // the header has been read
	rest   []byte
	client atomic.Pointer[net.TCPAddr] // nil: not known yet, or the proxy itself; without an IP: the header names nobody
}

// maxProxyHeader is the longest header that is accepted, in bytes: addresses take at most 216, TLVs with the names of a
// certificate a few hundred.
const maxProxyHeader = 4 << 10

// Read reads the header first. There is no extra time for it: the deadline for the head of the first request applies.
func (p *proxied) Read(b []byte) (int, error) {
	for !p.passed {
		if err := p.readHeader(); err != nil {
			return 0, err
		}
	}
	if len(p.rest) == 0 {
		return p.Conn.Read(b)
	}
	n := copy(b, p.rest)
	if p.rest = p.rest[n:]; len(p.rest) == 0 {
		p.rest = nil
	}
	return n, nil
}

// readHeader reads once and checks whether the header is complete.
func (p *proxied) readHeader() error {
	if p.rest == nil {
		p.rest = make([]byte, 0, 256)
	}
	if len(p.rest) == cap(p.rest) {
		p.rest = append(p.rest, make([]byte, len(p.rest))...)[:len(p.rest)]
	}
	n, err := p.Conn.Read(p.rest[len(p.rest):cap(p.rest)])
	p.rest = p.rest[:len(p.rest)+n]
	if refused := p.look(); refused != nil || p.passed {
		return refused
	}
	return err
}

// look judges what has arrived of the header.
func (p *proxied) look() error {
	length, client, good := proxyHeader(p.rest)
	switch {
	case !good:
		p.passed, p.rest = true, nil // Close discards what follows, which would otherwise reset our answer
		return refuse(wire.ReasonProxy)
	case length > 0:
		switch {
		case client.IsValid():
			p.client.Store(net.TCPAddrFromAddrPort(client))
		case !ofProxyItself(p.rest):
			p.client.Store(new(net.TCPAddr))
		}
		p.passed, p.rest = true, p.rest[length:]
	}
	return nil
}

// begun returns what a new connection must begin with to be in the same state as this one.
func (p *proxied) begun() []byte {
	client := p.client.Load()
	switch {
	case !p.passed:
		return p.rest
	case client == nil:
		return append([]byte(proxySignature2+"\x20\x00\x00\x00"), p.rest...)
	case client.IP == nil:
		return append([]byte("PROXY UNKNOWN\r\n"), p.rest...)
	}
	family, addr := "TCP4", client.AddrPort().Addr().Unmap()
	if addr.Is6() {
		family = "TCP6"
	}
	header := fmt.Sprintf("PROXY %s %s %s %d %d\r\n", family, addr, addr, client.Port, client.Port)
	return append([]byte(header), p.rest...)
}

// RemoteAddr returns the client that the header names, an address without an IP if it names nobody, and the proxy if
// the connection is its own.
func (p *proxied) RemoteAddr() net.Addr {
	if client := p.client.Load(); client != nil {
		return client
	}
	return p.Conn.RemoteAddr()
}

// NetConn returns the proxy's connection.
func (p *proxied) NetConn() net.Conn { return p.Conn }

// CloseWrite ends our side.
func (p *proxied) CloseWrite() error {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return p.Conn.Close()
}

// SyscallConn reaches the descriptor.
func (p *proxied) SyscallConn() (syscall.RawConn, error) {
	if raw, ok := p.Conn.(syscall.Conn); ok {
		return raw.SyscallConn()
	}
	return nil, syscall.ENOTSUP
}

const (
	proxySignature1 = "PROXY "
	proxySignature2 = "\r\n\r\n\x00\r\nQUIT\n"
	maxProxyLine    = 107 // §2.1, with CRLF
)

// proxyHeader reads the header at the beginning of b. length is 0 while it is incomplete. client is not valid if the
// header names none, as in the health checks of a proxy.
func proxyHeader(b []byte) (length int, client netip.AddrPort, good bool) {
	switch {
	case begins(b, proxySignature1):
		length, client, good = proxyLine(b)
	case begins(b, proxySignature2):
		length, client, good = proxyBinary(b)
	}
	if !good {
		return 0, netip.AddrPort{}, false
	}
	return length, client, true
}

// ofProxyItself reports whether a header, which is whole and good, says that the connection is the proxy's own: LOCAL
// of version 2. UNKNOWN of version 1 and an address that is not of the Internet are those of somebody else, and what
// comes from there is no proxy's word.
func ofProxyItself(b []byte) bool {
	return strings.HasPrefix(string(b[:min(len(b), len(proxySignature2)+1)]), proxySignature2+"\x20")
}

// begins reports whether b, as far as it goes, is a prefix of the text or starts with it.
func begins(b []byte, text string) bool {
	n := min(len(b), len(text))
	return string(b[:n]) == text[:n]
}

// proxyLine reads version 1: PROXY TCP4 or TCP6, two addresses, two ports; or PROXY UNKNOWN and anything.
func proxyLine(b []byte) (length int, client netip.AddrPort, good bool) {
	line, _, ended := bytes.Cut(b[:min(len(b), maxProxyLine)], []byte("\r\n"))
	if !ended {
		return 0, client, len(b) < maxProxyLine && !bytes.ContainsAny(line, "\n\x00")
	}
	length = len(line) + len("\r\n")
	words := strings.Split(string(line), " ")
	if words[1] == "UNKNOWN" {
		return length, client, true
	}
	if len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6" {
		return 0, client, false
	}
	from, ok := proxyAddress(words[1], words[2], words[4])
	_, alsoOK := proxyAddress(words[1], words[3], words[5])
	return length, from, ok && alsoOK
}

// proxyAddress reads an address of the family and a port in their canonical forms.
func proxyAddress(family, host, port string) (address netip.AddrPort, good bool) {
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" || addr.Is4() != (family == "TCP4") {
		return address, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return address, false
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), true
}

// The second byte after the signature of version 2: family and transport.
const (
	proxyUnspecified = 0x00
	proxyTCP4        = 0x11
	proxyTCP6        = 0x21
	proxyUnixStream  = 0x31
)

// proxyBinary reads version 2.
func proxyBinary(b []byte) (length int, client netip.AddrPort, good bool) {
	const fixed = len(proxySignature2) + 4
	if len(b) < fixed {
		return 0, client, len(b) <= len(proxySignature2) || b[len(proxySignature2)]>>4 == 2
	}
	command, family := b[fixed-4], b[fixed-3]
	length = fixed + int(binary.BigEndian.Uint16(b[fixed-2:]))
	addresses, known := map[byte]int{proxyUnspecified: 0, proxyTCP4: 12, proxyTCP6: 36, proxyUnixStream: 216}[family]
	local := command == 0x20
	switch {
	case length > maxProxyHeader, !local && command != 0x21, !local && (!known || length < fixed+addresses):
		return 0, client, false
	case len(b) < length:
		return 0, client, true
	case local: // of the proxy itself; what follows is skipped
		return length, client, true
	}
	body := b[fixed:length]
	switch family {
	case proxyTCP4:
		client = netip.AddrPortFrom(netip.AddrFrom4([4]byte(body[:4])), binary.BigEndian.Uint16(body[8:]))
	case proxyTCP6:
		client = netip.AddrPortFrom(netip.AddrFrom16([16]byte(body[:16])).Unmap(), binary.BigEndian.Uint16(body[32:]))
	}
	return length, client, family == proxyUnspecified || wholeTLVs(body[addresses:])
}

// wholeTLVs reports whether b is a sequence of type, length, value. The values are not needed here.
func wholeTLVs(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 3 {
			return false
		}
		n := 3 + int(binary.BigEndian.Uint16(b[1:]))
		if len(b) < n {
			return false
		}
		b = b[n:]
	}
	return true
}
