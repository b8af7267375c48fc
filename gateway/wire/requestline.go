package wire

import "bytes"

// requestLine judges "method SP request-target SP HTTP-version" (RFC 9112 §3), which begins at byte from of the head.
// Exactly one space stands between the parts: servers that are lenient here disagree about where the target ends.
func (h *head) requestLine(line []byte, from int) Reason {
	sp := tokenBytes.span(line)
	switch {
	case sp == 0 || sp < len(line) && line[sp] != ' ':
		return reasonMethod
	case sp > maxMethodBytes:
		return reasonMethodSize
	}
	last := bytes.LastIndexByte(line, ' ')
	if last <= sp+1 {
		return reasonRequestLine
	}
	method, target := line[:sp], line[sp+1:last]
	if target[0] == ' ' || target[len(target)-1] == ' ' || last == len(line)-1 {
		return reasonRequestLine
	}
	if reason := h.setVersion(line[last+1:]); reason != "" {
		return reason
	}
	if reason := refusedMethod(method); reason != "" {
		return reason
	}
	h.method, h.target = rangeOf(from, sp), rangeOf(from+sp+1, len(target))
	return h.requestTarget(method, target, from+sp+1)
}

// maxMethodBytes is longer than every method that is registered (RFC 9112 §3); UPDATEREDIRECTREF has 17.
const maxMethodBytes = 32

// tooLong says which part of a request line that has no end is too long (RFC 9112 §3).
func tooLong(line []byte) Reason {
	switch sp := tokenBytes.span(line); {
	case sp == 0 || sp < len(line) && line[sp] != ' ':
		return reasonMethod
	case sp > maxMethodBytes:
		return reasonMethodSize
	}
	return reasonTargetSize
}

// setVersion takes HTTP/1.1 and HTTP/1.0, spelled so: the name is case-sensitive (RFC 9112 §2.3). A later minor version
// is served as the highest that we know (RFC 9110 §2.5), and is made that in place, so that nobody behind us has to
// know.
func (h *head) setVersion(v []byte) Reason {
	switch {
	case len(v) != len("HTTP/1.1") || string(v[:5]) != "HTTP/" || !digitBytes[v[5]] || v[6] != '.' || !digitBytes[v[7]]:
		return reasonVersion
	case v[5] != '1':
		return reasonOtherVersion
	case v[7] == '0':
		h.old = true
	default:
		v[7] = '1'
	}
	return ""
}

// refusedMethod names the methods that no gateway of ours may see. All other tokens are the gateway's to judge.
func refusedMethod(method []byte) Reason {
	switch string(method) {
	case "CONNECT":
		return reasonConnect
	case "TRACE":
		return reasonTrace
	}
	return ""
}
