package wire

import "bytes"

// requestLine judges "method SP request-target SP HTTP-version" (RFC 9112 §3), which begins at byte from of the head.
// Exactly one space stands between the parts: servers that are lenient here disagree about where the target ends.
func (h *head) requestLine(line []byte, from int) Reason {
	sp := tokenBytes.span(line)
	if sp == 0 || sp < len(line) && line[sp] != ' ' {
		return ReasonMethod
	}
	last := bytes.LastIndexByte(line, ' ')
	if last <= sp+1 {
		return ReasonRequestLine
	}
	method, target := line[:sp], line[sp+1:last]
	if target[0] == ' ' || target[len(target)-1] == ' ' || last == len(line)-1 {
		return ReasonRequestLine
	}
	if reason := h.setVersion(line[last+1:]); reason != "" {
		return reason
	}
	if reason := refusedMethod(method); reason != "" {
		return reason
	}
	return h.target(method, target, from+sp+1)
}

// setVersion takes HTTP/1.1 and HTTP/1.0, spelled so: the name is case-sensitive (RFC 9112 §2.3). A later minor
// version could be served as 1.1 (RFC 9110 §2.5), but nobody sends one in good faith.
func (h *head) setVersion(v []byte) Reason {
	switch string(v) {
	case "HTTP/1.1":
		return ""
	case "HTTP/1.0":
		h.old = true
		return ""
	}
	if len(v) == 8 && string(v[:5]) == "HTTP/" && digitBytes[v[5]] && v[5] != '1' && v[6] == '.' && digitBytes[v[7]] {
		return ReasonOtherVersion
	}
	return ReasonVersion
}

// refusedMethod names the methods that no gateway of ours may see. All other tokens are the gateway's to judge.
func refusedMethod(method []byte) Reason {
	switch string(method) {
	case "CONNECT":
		return ReasonConnect
	case "TRACE":
		return ReasonTrace
	}
	return ""
}
