package wire

import (
	"bytes"
	"net/netip"
)

// requestTarget judges the request-target, which begins at byte from of the head, by its form (RFC 9112 §3.2). It judges
// bytes and grammar; what a path may mean ("..", "%2f", …) is the policy of the gateway.
func (h *head) requestTarget(method, target []byte, from int) Reason {
	switch {
	case target[0] == '/':
		return originForm(target)
	case target[0] == '*' && len(target) == 1 && string(method) == "OPTIONS":
		return ""
	}
	start := authorityStart(target)
	if start == 0 {
		return reasonTargetForm
	}
	end := start + authorityLen(target[start:])
	if !validHost(target[start:end]) {
		return reasonTargetForm
	}
	h.authority = rangeOf(from+start, end-start)
	return originForm(target[end:])
}

// originForm judges "absolute-path [ ? query ]"; a fragment is never sent (RFC 9112 §3.2.1).
func originForm(target []byte) Reason {
	n := pathBytes.span(target)
	if n < len(target) && target[n] == '?' {
		n += queryBytes.span(target[n:])
	}
	if n < len(target) {
		return reasonTargetByte
	}
	return ""
}

// authorityStart returns where the authority of an absolute-form target begins, 0 for any other form.
func authorityStart(target []byte) int {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(target) > len(scheme) && is(target[:len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}

func authorityLen(b []byte) int {
	if n := bytes.IndexAny(b, "/?"); n >= 0 {
		return n
	}
	return len(b)
}

// OriginForm returns the origin-form of a target that passed this package: path and query as the client spelled them.
// An absolute-form target, whose authority equals Host by then, loses scheme and authority; without a path it becomes
// "/", or "*" for OPTIONS (RFC 9112 §3.2.1, §3.2.4). It allocates only for an absolute target that has a query and no
// path.
func OriginForm(method string, target []byte) []byte {
	start := authorityStart(target)
	if start == 0 {
		return target
	}
	rest := target[start+authorityLen(target[start:]):]
	switch {
	case len(rest) == 0 && method == "OPTIONS":
		return []byte("*")
	case len(rest) == 0:
		return []byte("/")
	case rest[0] == '?':
		return append([]byte("/"), rest...)
	}
	return rest
}

const maxHostBytes = 255 + len(":65535") // a DNS name (RFC 1035 §2.3.4) with a port

// validHost judges uri-host [ ":" port ] (RFC 9112 §3.2, RFC 3986 §3.2.2). A name is letters, digits and "-._~": the
// escapes and sub-delims of the URI grammar ("a,b", "a%2eb", "a;b") are in no DNS name, but in many attacks.
func validHost(b []byte) bool {
	if len(b) == 0 || len(b) > maxHostBytes {
		return false
	}
	if b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		return end > 0 && validIPv6(b[1:end]) && validPort(b[end+1:])
	}
	name := hostBytes.span(b)
	return name > 0 && validPort(b[name:])
}

// validIPv6 takes an IPv6 address without a zone.
func validIPv6(b []byte) bool {
	addr, err := netip.ParseAddr(string(b))
	return err == nil && addr.Is6() && addr.Zone() == ""
}

// validPort takes nothing, or a colon with a port that may be empty (RFC 3986 §3.2.3).
func validPort(b []byte) bool {
	if len(b) == 0 {
		return true
	}
	port := 0
	for _, ch := range b[1:] {
		port = min(port*10+int(ch-'0'), 1<<16)
	}
	return b[0] == ':' && digitBytes.span(b[1:]) == len(b)-1 && port < 1<<16
}
