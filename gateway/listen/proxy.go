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

	"wxgate/gateway/wire"
)

// proxy is what is known of a connection from a PROXY protocol header (haproxy.org/download/3.2/doc/proxy-protocol.txt,
// version 1 §2.1 and version 2 §2.2), with which it begins if it comes from a trusted proxy.
type proxy struct {
	awaited bool                        // the header must come first
	read    bool                        // it has come
	client  atomic.Pointer[net.TCPAddr] // nil: not known, or the proxy itself; without an IP: the header names nobody
}

// maxProxyHeader is the longest header that is accepted, in bytes: addresses take at most 216, TLVs with the names of a
// certificate a few hundred.
const maxProxyHeader = 4 << 10

// look judges b, what has arrived of the header, and returns its length once it is complete.
func (p *proxy) look(b []byte) (length int, reason wire.Reason) {
	length, client, good := parseProxyHeader(b)
	switch {
	case !good:
		return 0, wire.ReasonProxy
	case length == 0:
		return 0, ""
	case client.IsValid():
		p.client.Store(net.TCPAddrFromAddrPort(client))
	case !ofProxyItself(b):
		p.client.Store(new(net.TCPAddr))
	}
	p.awaited, p.read = false, true
	return length, ""
}

// header is what a new connection must begin with to be in the same state as this one.
func (p *proxy) header() []byte {
	client := p.client.Load()
	switch {
	case !p.read:
		return nil
	case client == nil:
		return []byte(proxySignature2 + "\x20\x00\x00\x00")
	case client.IP == nil:
		return []byte("PROXY UNKNOWN\r\n")
	}
	family, addr := "TCP4", client.AddrPort().Addr().Unmap()
	if addr.Is6() {
		family = "TCP6"
	}
	return fmt.Appendf(nil, "PROXY %s %s %s %d %d\r\n", family, addr, addr, client.Port, client.Port)
}

const (
	proxySignature1 = "PROXY "
	proxySignature2 = "\r\n\r\n\x00\r\nQUIT\n"
	maxProxyLine    = 107 // §2.1, with CRLF
)

// parseProxyHeader reads the header at the beginning of b. length is 0 while it is incomplete. client is not valid if the
// header names none, as in the health checks of a proxy.
func parseProxyHeader(b []byte) (length int, client netip.AddrPort, good bool) {
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
