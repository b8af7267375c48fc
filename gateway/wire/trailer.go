package wire

// forbiddenTrailers are the fields that mean something for framing, routing, authentication or the content, and must
// therefore stand in the head (RFC 9110 §6.5.1). The set holds all that fasthttp forbids, so that both agree.
var forbiddenTrailers = [...]string{
	"authorization", "cache-control", "connection", "content-encoding", "content-length", "content-range",
	"content-type", "cookie", "date", "expect", "forwarded", "host", "if-match", "if-modified-since", "if-none-match",
	"if-range", "if-unmodified-since", "keep-alive", "location", "max-forwards", "origin", "pragma",
	"proxy-authenticate", "proxy-authorization", "proxy-connection", "range", "set-cookie", "te", "trailer",
	"transfer-encoding", "upgrade", "www-authenticate",
}

// trailerField judges the name of a trailer field.
func trailerField(name []byte) Reason {
	for _, word := range forbiddenTrailers {
		if is(name, word) {
			return reasonTrailer
		}
	}
	if hasPrefix(name, "x-forwarded") || hasPrefix(name, "x-real-ip") {
		return reasonTrailer
	}
	return ""
}

func hasPrefix(name []byte, prefix string) bool {
	return len(name) >= len(prefix) && is(name[:len(prefix)], prefix)
}
